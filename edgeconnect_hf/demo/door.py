"""Every request passes here: which routes exist, how large requests may be, who may queue, who has left.

Gradio (6.31) leaves this to the application. Its internals are overridden here, so pyproject.toml pins the minor
version.
"""

import asyncio
import ipaddress
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.queueing import Event, Queue
from starlette.responses import FileResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .files import Files
from .jobs import Gate, Job
from .limits import Limits
from .refusals import BUSY, UNEXPECTED, refusal

JOB: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "model"}  # for events; `Gate` runs one at a time

_SESSION_JOBS = 2  # of one session: one running, one waiting
_ABSENCE = 1  # seconds without a listener after which a visitor who listened has left
_PATIENCE = 15  # seconds within which a visitor begins to listen for a job's result
_JSON_BYTES = 2**18  # of a request that carries no file

_API = "/gradio_api/"
_ROUTES = {  # all that the page and the API's clients ask for; Gradio's others are not served
    "GET": re.compile(
        rf"/|/(config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon.*|(assets|static)/.*)|{_API}"
        r"(info/?|openapi\.json|app_id/?|startup-events|theme\.css|heartbeat/[^/]+|queue/(data|status)|call/.+"
        r"|upload_progress|file=(?!https?:).+|user/?|login_check/?|token/?)"
    ),
    "POST": re.compile(rf"{_API}(queue/join|call/.+|upload|cancel|reset/?|component_server/?)"),
}
_UPLOADS = re.compile(rf"{_API}(upload|component_server/?)")
_LISTENING = re.compile(rf"{_API}(?:queue/(?P<session>data)|call/(?:v2/)?[^/]+/(?P<event>[^/]+))")
_HEARTBEAT = re.compile(rf"{_API}heartbeat/(?P<session>[^/]+)")

logger = logging.getLogger(__name__)


class Listeners:
    """Who listens for results: the session of a page or of `gradio_client`, or the event of a plain HTTP client."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.left: dict[str, float] = {}  # when each left

    @contextmanager
    def listening(self, key: str) -> Iterator[None]:
        self.counts[key] += 1
        try:
            yield
        finally:
            self.counts[key] -= 1
            now = time.monotonic()
            if self.counts[key] <= 0:
                del self.counts[key]
                self.left[key] = now
            self.left = {key: when for key, when in self.left.items() if now - when < 10 * _PATIENCE}

    def have_left(self, keys: set[str], since: float) -> bool:
        """Whether nobody listens under any of `keys`, nor is expected to, for a job queued at `since`."""
        if any(key in self.counts for key in keys):
            return False
        now = time.monotonic()
        left = max((self.left[key] for key in keys if key in self.left), default=0)
        return now - left > _ABSENCE if left > since else now - since > _PATIENCE


class Door(gr.Blocks):
    """The page's `gr.Blocks`. It checks every request's inputs and who sends it.

    Args:
        limits (`Limits`): what a visitor may ask.
        files (`Files`): files that a request may name.
        gate (`Gate`): whose waiting jobs are counted.
        options: of `gr.Blocks`.
    """

    def __init__(self, limits: Limits, files: Files, gate: Gate, **options: Any):
        super().__init__(**options)
        self.limits, self.files, self.gate = limits, files, gate
        self.listeners = Listeners()
        self.admitted: dict[Job, str | None] = {}  # the page's own calls, with the visitors' public addresses
        self.models: list[Any] = []
        self.parts: dict[str, Path] = {}  # of the page, by their routes
        files.demo = self

    _queue: "_AdmittingQueue"

    def queue(self, *args: Any, **options: Any) -> "Door":
        super().queue(*args, **options)
        self._queue = _AdmittingQueue(
            live_updates=True,
            concurrency_count=self.max_threads,
            update_intervals=1,
            max_size=self._queue.max_size,
            blocks=self,
            default_concurrency_limit=self._queue.default_concurrency_limit,
        )
        return self

    async def process_api(self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any) -> dict[str, Any]:
        """Check the inputs of every endpoint, private ones included; keep unexpected errors to the log."""
        self.files.check_inputs(inputs, options.get("session_hash"))
        try:
            return await super().process_api(block_fn, inputs, *args, **options)
        except gr.Error:
            raise
        except Exception:  # its message may name files of this server
            logger.exception("A request failed.")
            raise refusal(UNEXPECTED) from None

    def identify(self) -> tuple[str | None, Callable[[], bool]]:
        """The session of the event being processed, and a function that tells whether its visitor has left."""
        event = self._queue.event_ids_to_events.get(LocalContext.event_id.get() or "")
        if event is None:
            return None, lambda: False
        keys, queued_at = {event._id, event.session_hash}, event.enqueue_time
        return event.session_hash, lambda: self.listeners.have_left(keys, queued_at)

    def absence(self, session: str) -> Callable[[], bool]:
        """A function that tells whether the visitor of a session has left, for a call that begins now."""
        since = time.monotonic()
        return lambda: self.listeners.have_left({session}, since)

    def admit(self, job: Job, request: Any) -> None:
        """Count `job` among the visitor's until it is taken out of `admitted`.

        Raises:
            gr.Error: there are too many of this session, this address, or in all.
        """
        address = _public_address(request)
        if reason := self._queue.reason_against(job.session, address):
            raise refusal(reason)
        self.admitted[job] = address

    def close_session(self, session: str) -> None:
        """Delete a session: its files, its components' values, its messages."""
        self.files.forget(session)
        self.state_holder.session_data.pop(session, None)
        self.state_holder.time_last_used.pop(session, None)
        self._queue.pending_event_ids_session.pop(session, None)
        if session in self._queue.pending_messages_per_session:
            del self._queue.pending_messages_per_session[session]

    def is_open(self, session: str) -> bool:
        """Whether the session still has a page open or a job unanswered."""
        sessions = [event.session_hash for event in self._queue.unanswered()] + [job.session for job in self.admitted]
        return session in self.listeners.counts or session in sessions


class _AdmittingQueue(Queue):
    """Gradio's queue, bounded by `Limits`. Jobs are the functions for which `is_job` is true."""

    blocks: Door

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        if body.fn_index not in self.blocks.fns:
            return False, "There is no such endpoint.", "error"
        reason = self.reason_against(body.session_hash, _public_address(request))
        if reason and is_job(self.blocks.fns[body.fn_index]):
            return False, reason, "queue_full"
        return await super().push(body=body, request=request, username=username)

    def unanswered(self) -> list[Event]:
        """Events whose result has not been delivered."""
        pending = self.pending_event_ids_session
        return [
            event for event in self.event_ids_to_events.values() if event._id in pending.get(event.session_hash, ())
        ]

    def reason_against(self, session: str | None, address: str | None) -> str | None:
        """Why one more job of this visitor is turned away, if it is."""
        limits = self.blocks.limits
        jobs = [(job.session, address) for job, address in self.blocks.admitted.items()]
        jobs += [(each.session_hash, _public_address(each.request)) for each in self.unanswered() if is_job(each.fn)]
        if sum(theirs == session for theirs, _ in jobs) >= _SESSION_JOBS:
            return "You have one job running and one waiting. Please wait for them."
        if address is not None and sum(theirs == address for _, theirs in jobs) >= limits.max_address_jobs:
            return f"Your address has {limits.max_address_jobs:g} jobs running or waiting. Please wait for them."
        return BUSY if len(jobs) > limits.max_waiting else None  # one of them runs


def is_job(function: Any) -> bool:
    """Whether an endpoint runs the model."""
    return function.concurrency_id == JOB["concurrency_id"]


def _public_address(request: Any) -> str | None:
    """The visitor's address; None for a private one: a reverse proxy's, which visitors share, or this machine's."""
    host = request.client.host if request.client else ""
    try:
        return host if ipaddress.ip_address(host).is_global else None
    except ValueError:
        return None


class Doorkeeper:
    """ASGI middleware in front of Gradio: routes, sizes, listeners, `Retry-After`.

    Args:
        app: Gradio's application.
        door (`Door`): the page.
    """

    def __init__(self, app: ASGIApp, door: Door):
        self.app, self.door = app, door
        self.closing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a lifespan; there is no websocket to connect to
            await self.app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if path in self.door.parts and method in ("GET", "HEAD"):
            await FileResponse(self.door.parts[path], headers={"cache-control": "no-cache"})(scope, receive, send)
            return
        routes = _ROUTES.get("GET" if method == "HEAD" else method)
        if routes is None or not routes.fullmatch(path):
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
            return
        is_upload = _UPLOADS.fullmatch(path) is not None
        # A multipart envelope takes some hundred bytes.
        largest = int(self.door.limits.max_megabytes * 2**20) + 2**16 if is_upload else _JSON_BYTES
        with self._following(path, scope["query_string"].decode("latin-1")):
            await self._bounded(scope, receive, send, largest)
        if is_upload:
            self.door.files.make_room()

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        """Pass on a request of at most `largest` bytes; add `Retry-After` to a 503."""
        too_large = JSONResponse({"detail": f"The request is larger than {largest // 1024} kB."}, 413)
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > largest:
            await too_large(scope, receive, send)
            return
        received, is_answered = 0, False

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > largest:
                raise _TooLargeError
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            if message["type"] == "http.response.start" and message["status"] == 503:
                wait = max(1, math.ceil(self.door.gate.expected_wait()))
                message = {**message, "headers": [*message["headers"], (b"retry-after", str(wait).encode())]}
            await send(message)

        try:
            await self.app(scope, receive_bounded, send_with_headers)
        except _TooLargeError:
            if not is_answered:
                await too_large(scope, receive, send)

    @contextmanager
    def _following(self, path: str, query: str) -> Iterator[None]:
        """Note who listens; delete a session some time after its page was closed."""
        if match := _HEARTBEAT.fullmatch(path):
            with self.door.listeners.listening(match["session"]):
                yield
            task = asyncio.create_task(self._close_later(match["session"]))
            self.closing.add(task)
            task.add_done_callback(self.closing.discard)
        elif match := _LISTENING.fullmatch(path):
            session = re.search(r"(?:^|&)session_hash=([^&]+)", query)
            key = match["event"] if match["event"] else session[1] if session else ""
            with self.door.listeners.listening(key):
                yield
        else:
            yield

    async def _close_later(self, session: str) -> None:
        await asyncio.sleep(self.door.limits.session_grace)
        if not self.door.is_open(session):
            self.door.close_session(session)


class _TooLargeError(Exception):
    """A request's body exceeds its limit."""

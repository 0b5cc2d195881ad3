"""What is asked of Python passes here: its inputs are checked, its jobs counted, its errors put in words.

Gradio (6.31) leaves this to the application. Its internals are overridden here, so pyproject.toml pins the minor
version.
"""

import functools
import inspect
import ipaddress
import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.queueing import Event, Queue

from .files import Files
from .jobs import Gate, Job, Supervisor
from .limits import Limits
from .listeners import Listeners
from .refusals import BUSY, UNEXPECTED, GoneError, refusal

_SESSION_JOBS = 2  # of one session: one running, one waiting

logger = logging.getLogger(__name__)


class Door(gr.Blocks):
    """The page's `gr.Blocks`. It checks every request's inputs and who sends it.

    Args:
        limits (`Limits`): what a visitor may ask.
        files (`Files`): files that a request may name.
        options: of `gr.Blocks`.
    """

    def __init__(self, limits: Limits, files: Files, **options: Any):
        super().__init__(**options)
        self.limits, self.files, self.gate = limits, files, Gate(limits)
        self.supervisor, self.listeners = Supervisor(self.gate), Listeners()
        self.admitted: dict[Job, str | None] = {}  # the page's own calls, with the visitors' public addresses
        self.parts: dict[str, Path] = {}  # of the page, by their routes
        self.preparations: list[Callable[[], None]] = []  # for threads, once it serves
        files.served = self.temp_file_sets

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

    def add_endpoint(
        self, handler: Callable[..., Mapping[str, Any]], components: dict[str, Any], outputs: list[str]
    ) -> None:
        """Add an endpoint to the current `gr.Blocks`, under the handler's name.

        Args:
            handler: returns its results by name; its parameters' names are components'.
            components: give types and descriptions; no page shows them.
            outputs: the results' names.
        """

        @functools.wraps(handler)
        async def run(*inputs: Any) -> dict[Any, Any]:
            event = self._queue.event_ids_to_events.get(LocalContext.event_id.get() or "")
            job = Job(self.limits.time_limit)
            if event is not None:
                keys, since = {event._id, event.session_hash}, event.enqueue_time
                job.session, job.is_abandoned = event.session_hash, lambda: self.listeners.have_left(keys, since)
            results = await self.supervisor.run(job, handler, *inputs)
            return {components[name]: value for name, value in results.items()}

        gr.Button(visible=False).click(
            run,
            [components[name] for name in inspect.signature(handler).parameters],
            [components[name] for name in outputs],
            api_name=handler.__name__,
            concurrency_limit=None,  # `Gate` runs one at a time
        )

    def call(self, handler: Callable[..., dict[str, Any]], ends: Collection[str] = ()) -> Callable[..., Any]:
        """`handler` as one of a component's `server_functions`. Gradio (6.31) runs these for anybody, past its queue.

        Args:
            handler: is called with the page's arguments by name and returns what the page gets; a refusal becomes
                `{"error": message}`.
            ends: names of handlers. The session's earlier calls of these end, and are answered `{"replaced": True}`.
                The page numbers its calls, so that one that was held up on its way does not end a newer one.
        """

        async def call(data: Any, request: gr.Request) -> dict[str, Any]:
            session, since = str((await _body(request)).get("session_hash")), time.monotonic()
            has_left = functools.partial(self.listeners.have_left, {session}, since)
            job = Job(self.limits.time_limit, session, has_left, handler.__name__)
            try:
                self.files.check_inputs(data, session)
                job.number = int(data.pop("number", 0))
                rivals = [each for each in self.admitted if each.session == session and each.name in ends]
                if any(each.number > job.number for each in rivals):
                    raise _ReplacedError
                for older in rivals:
                    older.end = _ReplacedError()
                    del self.admitted[older]
                address = _public_address(request)
                if reason := self._queue.reason_against(session, address):
                    raise refusal(reason)
                self.admitted[job] = address
                return await self.supervisor.run(job, handler, **data)
            except _ReplacedError:
                return {"replaced": True}
            except gr.Error as error:
                return {"error": error.message, "isGone": isinstance(error, GoneError)}
            except Exception:  # its message may name files of this server
                logger.exception("A call of the page failed.")
                return {"error": UNEXPECTED}
            finally:
                self.admitted.pop(job, None)

        call.__name__ = handler.__name__
        return call

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
    """Gradio's queue, bounded by `Limits`."""

    blocks: Door

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        if body.fn_index not in self.blocks.fns:
            return False, "There is no such endpoint.", "error"
        reason = self.reason_against(body.session_hash, _public_address(request))
        if reason is not None:
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
        jobs += [(each.session_hash, _public_address(each.request)) for each in self.unanswered()]
        if sum(theirs == session for theirs, _ in jobs) >= _SESSION_JOBS:
            return "You have one job running and one waiting. Please wait for them."
        if address is not None and sum(theirs == address for _, theirs in jobs) >= limits.max_address_jobs:
            return f"Your address has {limits.max_address_jobs:g} jobs running or waiting. Please wait for them."
        return BUSY if len(jobs) > limits.max_waiting else None  # one of them runs


def _public_address(request: Any) -> str | None:
    """The visitor's address; None for a private one: a reverse proxy's, which visitors share, or this machine's."""
    host = request.client.host if request.client else ""
    try:
        return host if ipaddress.ip_address(host).is_global else None
    except ValueError:
        return None


async def _body(request: gr.Request) -> dict[str, Any]:
    """The request's JSON, which Gradio has read already."""
    try:
        return await request.json()
    except ValueError:  # a form with files
        raise refusal(UNEXPECTED) from None


class _ReplacedError(Exception):
    """A newer call has taken a job's place."""

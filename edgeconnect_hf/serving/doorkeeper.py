"""Every request passes here: which routes exist, how large requests may be, who listens, who has left."""

import asyncio
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .door import Door

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
        with self._following(scope):
            await self._bounded(scope, receive, send, largest)
        if is_upload:
            self.door.files.make_room()

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        """Pass on a request of at most `largest` bytes; add `Retry-After` to a 503."""
        reason, received = f"The request is larger than {largest // 1024} kB.", 0
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > largest:
            await JSONResponse({"detail": reason}, 413)(scope, receive, send)
            return

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > largest:
                raise HTTPException(413, reason)
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                wait = max(1, math.ceil(self.door.gate.expected_wait()))
                MutableHeaders(scope=message)["retry-after"] = str(wait)
            await send(message)

        await self.app(scope, receive_bounded, send_with_headers)

    @contextmanager
    def _following(self, scope: Scope) -> Iterator[None]:
        """Note who listens; delete a session some time after its page was closed."""
        path = scope["path"]
        if match := _HEARTBEAT.fullmatch(path):
            with self.door.listeners.listening(match["session"]):
                yield
            task = asyncio.create_task(self._close_later(match["session"]))
            self.closing.add(task)
            task.add_done_callback(self.closing.discard)
        elif match := _LISTENING.fullmatch(path):
            with self.door.listeners.listening(match["event"] or Request(scope).query_params.get("session_hash", "")):
                yield
        else:
            yield

    async def _close_later(self, session: str) -> None:
        await asyncio.sleep(self.door.limits.session_grace)
        if not self.door.is_open(session):
            self.door.close_session(session)

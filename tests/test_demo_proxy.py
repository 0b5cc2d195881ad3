"""The demo behind a reverse proxy that serves it under a path, as nginx's `location /x/ { proxy_pass http://…/; }`."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs the extra `demo`")
pytest.importorskip("playwright", reason="the extra `dev` brings playwright")

import httpx
import uvicorn
from gradio_client import Client, handle_file
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from test_demo import browser, files, needs_chromium, open_photo, pixels, repair_after, save, stroke, wait_for_app

from edgeconnect_hf.demo import build_demo, launch

__all__ = ["browser", "files"]  # fixtures

PREFIX = "/x"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}


@pytest.fixture(scope="module")
def proxied(tiny_pipeline, tmp_path_factory) -> Iterator[str]:
    """The page's address at the proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        demo = build_demo(tiny_pipeline)
        with serving(proxy(launch(demo, host="127.0.0.1", block=False, root_path=PREFIX))) as address:
            yield f"{address}{PREFIX}/"
        demo.close()


def proxy(url: str) -> Starlette:
    """Passes on what comes under the prefix, without it, to the server at `url`."""
    client = httpx.AsyncClient(base_url=url, timeout=60)

    async def forward(request: Request) -> StreamingResponse:
        path, host = request.path_params["path"], request.headers["host"]
        headers = [(name, value) for name, value in request.headers.items() if name not in {"host", *HOP_BY_HOP}]
        headers += [("x-forwarded-host", host), ("x-forwarded-proto", "http"), ("x-forwarded-for", "8.8.8.8")]
        sent = client.build_request(
            request.method, path, params=request.query_params, headers=headers, content=request.stream()
        )
        answer = await client.send(sent, stream=True)
        kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(lifespan=lifespan, routes=[Route(PREFIX + "/{path:path}", forward, methods=["GET", "POST"])])


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """The address of an ASGI app at a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@needs_chromium
def test_the_page_works_under_a_path_of_a_proxy(proxied, browser, files, tiny_pipeline):
    page = browser.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda response: errors.append(response.url) if response.status >= 400 else None)
    page.goto(proxied)
    wait_for_app(page)
    page.wait_for_function(
        "() => {const all = [...document.querySelectorAll('.ec-examples img')];"
        "return all.length && all.every(each => each.naturalWidth)}"
    )
    open_photo(page, files / "photo.png")
    repair_after(page, stroke, (190, 150), (290, 150), (290, 170), (190, 170))
    photo, repaired = pixels(files / "photo.png"), pixels(save(page, "png")[1])
    assert repaired.shape == photo.shape
    assert (repaired != photo).any()
    page.close()
    assert errors == []
    assert [url for url in asked if not url.startswith((proxied, "blob:", "data:"))] == []
    assert {"canvas/app.js", "gradio_api/upload"} <= {url.removeprefix(proxied).partition("?")[0] for url in asked}


def test_the_api_works_under_a_path_of_a_proxy(proxied, files, tiny_pipeline):
    client = Client(proxied, verbose=False)
    photo, mask = files / "photo.png", files / "mask.png"
    repaired, _ = client.predict(handle_file(photo), handle_file(mask), api_name="/inpaint")
    client.close()
    expected = tiny_pipeline(Image.open(photo), Image.open(mask)).images[0]
    assert np.array_equal(pixels(repaired), np.asarray(expected))

"""The demo put together: building the page, serving it. Needs the extra `demo`."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from ..pipeline import EdgeConnectPipeline
from ..segmenting import segment
from ..selection import select_object
from ..serving.door import Door
from ..serving.doorkeeper import Doorkeeper
from ..serving.limits import Limits
from .api import Endpoints, add_endpoints
from .canvas import STATIC, Canvas, add_canvas
from .model import Model
from .photos import Photos
from .planes import Bools

EXAMPLES = Path(__file__).parents[1] / "examples"

_MAX_SESSIONS = 500  # sessions whose state is kept; the least recently used goes first
# Gradio's semi-bold font file lacks most letters; its bold one has them all.
_FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))


def build_demo(
    pipeline: EdgeConnectPipeline | dict[str, EdgeConnectPipeline],
    examples: Path | None = EXAMPLES,
    limits: Limits | None = None,
    segmenter: Callable[..., Bools] = segment,
) -> Door:
    """Build the page and the API.

    Args:
        pipeline: the pipeline to use; or several, by the names under which the page offers them.
        examples (`Path`, *optional*): folder of example photos, each `NAME.jpg` with its mask `NAME_mask.png`; by
            default those of the package. None: no examples.
        limits (`Limits`, *optional*): what a visitor may ask.
        segmenter: what finds the object that a visitor selects, as in `select_object`.

    Returns:
        The app; `launch` starts it.
    """
    limits = limits or Limits()
    photos, file_age = Photos(limits), int(limits.file_age)
    demo = Door(
        limits,
        photos,
        title="EdgeConnect",
        analytics_enabled=False,
        delete_cache=(min(600, file_age), file_age),
        fill_width=True,
    )
    pipelines = pipeline if isinstance(pipeline, dict) else {"EdgeConnect": pipeline}
    models = {name: Model(each, demo.gate, limits) for name, each in pipelines.items()}
    demo.preparations = [model.warm_up for model in models.values()]
    pairs = _find_examples(examples)
    demo.parts = {f"/canvas/{path.name}": path for path in (*STATIC.glob("*.*"), *sum(pairs, ()))}
    select = functools.partial(select_object, segmenter=segmenter)
    with demo:
        with gr.Column(visible=False):  # first, so that its endpoints have the plain names
            add_endpoints(Endpoints(next(iter(models.values())), photos, select), demo)
            gr.State()  # has the page send a heartbeat, which tells when it is closed
        add_canvas(Canvas(models, photos, demo.gate, select), demo, pairs)
    demo.queue(max_size=int(limits.max_waiting), default_concurrency_limit=4, api_open=False)
    return demo


def launch(
    demo: Door, host: str | None = None, port: int | None = None, block: bool = True, root_path: str = ""
) -> str:
    """Serve the page.

    Args:
        demo: from `build_demo`.
        host (`str`, *optional*): address to listen on; by default this machine only, on a Space all addresses.
        port (`int`, *optional*): by default the first free one from 7860.
        block (`bool`): return only when the server ends.
        root_path (`str`): where a reverse proxy serves the page, as `/edgeconnect`.

    Returns:
        The page's address.
    """
    for prepare in demo.preparations:
        threading.Thread(target=prepare, name="warm-up", daemon=True).start()
    _, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        root_path=root_path or None,
        prevent_thread_lock=not block,
        css=(STATIC / "canvas.css").read_text("utf-8"),
        theme=gr.themes.Default(font=[_FONT, "ui-sans-serif", "system-ui", "sans-serif"]),
        app_kwargs={"middleware": [Middleware(Doorkeeper, door=demo)]},
        max_file_size=int(demo.limits.max_megabytes * gr.FileSize.MB),
        max_threads=int(demo.limits.max_waiting) + 20,  # jobs wait in `jobs.Gate`, beside a few other events
        state_session_capacity=_MAX_SESSIONS,
        ssr_mode=False,
        footer_links=["api", "settings"],
        quiet=not block,
    )
    return url


def _find_examples(folder: Path | None) -> list[tuple[Path, Path]]:
    """Photos of the folder, each with its mask."""
    if folder is None:
        return []
    masks = sorted(folder.glob("*_mask.png"))
    return [(mask.with_name(mask.name.replace("_mask.png", ".jpg")), mask) for mask in masks]

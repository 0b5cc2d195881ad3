"""The demo put together: which button does what, building the page, serving it. Needs the extra `demo`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gradio as gr
from starlette.middleware import Middleware

from ..pipeline import EdgeConnectPipeline
from . import texts
from .api import Endpoints, add_endpoints
from .door import JOB, Door, Doorkeeper
from .files import Files
from .handlers import Handlers
from .jobs import Gate, Supervisor
from .layout import add_page
from .limits import Limits
from .model import Model
from .updates import Updates, by_component

EXAMPLES = Path(__file__).parents[1] / "examples"


class Action(NamedTuple):
    """One row of the table. Components go by their names in `layout`, several separated by spaces.

    Args:
        kind: "open" reads a photo, "edit" changes what an editor shows, "job" runs the model, "cancel" ends all jobs.
        button: the component that is clicked.
        handler: the method of `Handlers` that runs.
        reads: components whose values are the handler's arguments.
        changes: components that the handler may return new values for.
        progress: component that shows progress. Not an editor: the page would send its pictures with every tick.
        scroll_to: `elem_id` of what scrolls into view afterwards.
        event: what happens to the button.
    """

    kind: Literal["open", "edit", "job", "cancel"]
    button: str
    handler: Callable[..., Updates]
    reads: str
    changes: str
    progress: str | None
    scroll_to: str | None = None
    event: str = "click"


_HOLE = "mask_editor work sigma strategy model"
_LINES = "mask_editor lines_editor work sigma strategy model"
_OPENED = "work start workspace photo mask_editor lines_panel result_panel"
_MASKED = "work mask_editor"
_DRAWN = "work lines_panel lines_editor result_panel"
_PAINTED = "work result_panel slider download"

# fmt: off
ACTIONS = (
    Action("open",   "photo",        Handlers.open_photo,    "photo",               _OPENED, "photo", event="upload"),
    Action("job",    "example",      Handlers.erase_example, "example sigma strategy model",
                                                           f"{_OPENED} {_DRAWN} {_PAINTED}", "photo", "result"),
    Action("job",    "erase",        Handlers.erase,         _HOLE, f"{_DRAWN} {_PAINTED}", "mask_status", "result"),
    Action("job",    "find",         Handlers.find,          _HOLE,               _DRAWN, "mask_status", "lines-panel"),
    Action("job",    "sketch",       Handlers.sketch,        _HOLE,               _DRAWN, "mask_status", "lines-panel"),
    Action("edit",   "grow",         Handlers.grow,          "mask_editor work by", _MASKED, "mask_status"),
    Action("edit",   "shrink",       Handlers.shrink,        "mask_editor work by", _MASKED, "mask_status"),
    Action("edit",   "invert",       Handlers.invert,        "mask_editor work",    _MASKED, "mask_status"),
    Action("edit",   "upload",       Handlers.upload_mask,   "upload work",   _MASKED, "mask_status", event="upload"),
    Action("edit",   "mask_editor",  Handlers.clear_mask,    "work",          _MASKED, "mask_status", event="clear"),
    Action("edit",   "lines_editor", Handlers.restore_lines, "work",    "lines_editor", "lines_status", event="clear"),
    Action("job",    "resume",       Handlers.resume,        _LINES,             _DRAWN, "lines_status", "lines-panel"),
    Action("job",    "complete",     Handlers.complete,      "mask_editor lines_editor work strategy model",
                                                                                 _PAINTED, "lines_status", "result"),
    Action("edit",   "reuse",        Handlers.reuse,         "work",                _OPENED, "mask_status"),
    Action("cancel", "restart",      Handlers.restart,       "",                    _OPENED, None),
)
# fmt: on

_SCROLL = """async () => {{
  const panel = document.getElementById("{}");
  await Promise.allSettled([...panel.querySelectorAll("img")].map(image => image.decode()));
  panel.scrollIntoView({{block: "nearest"}});
  return [];
}}"""
_MAX_SESSIONS = 500  # sessions whose state is kept; the least recently used goes first
_PAGE_ONLY: dict[str, Any] = {"api_visibility": "private"}


def build_demo(
    pipeline: EdgeConnectPipeline | dict[str, EdgeConnectPipeline],
    examples: Path | None = EXAMPLES,
    limits: Limits | None = None,
) -> Door:
    """Build the page and the API.

    Args:
        pipeline: the pipeline to use; or several, by the names under which the page offers them.
        examples (`Path`, *optional*): folder of example photos, each `NAME.jpg` with its mask `NAME_mask.png`; by
            default those of the package. None: no examples.
        limits (`Limits`, *optional*): what a visitor may ask.

    Returns:
        The app; `launch` starts it.
    """
    limits = limits or Limits()
    files, gate = Files(limits), Gate(limits)
    pipelines = pipeline if isinstance(pipeline, dict) else {"EdgeConnect": pipeline}
    models = {name: Model(pipeline, gate, limits) for name, pipeline in pipelines.items()}
    pairs = _find_examples(examples)
    file_age = int(limits.file_age)
    demo = Door(
        limits,
        files,
        gate,
        title="EdgeConnect",
        analytics_enabled=False,
        delete_cache=(min(600, file_age), file_age),
    )
    supervisor = Supervisor(limits, gate, demo.identify)
    with demo:
        with gr.Column(visible=False):  # first, so that its endpoints have the plain names
            add_endpoints(Endpoints(next(iter(models.values())), files), supervisor)
        gr.Markdown(texts.HEADING)
        page = add_page(list(models), pairs, limits.file_age)
        _connect(page, Handlers(models, files, pairs), supervisor)
        gr.Markdown(texts.ABOUT.format(**vars(limits)))
    demo.queue(max_size=int(limits.max_waiting), default_concurrency_limit=4, api_open=False)
    return demo


def launch(demo: Door, host: str | None = None, port: int | None = None, block: bool = True) -> str:
    """Serve the page.

    Args:
        demo: from `build_demo`.
        host (`str`, *optional*): address to listen on; by default this machine only, on a Space all addresses.
        port (`int`, *optional*): by default the first free one from 7860.
        block (`bool`): return only when the server ends.

    Returns:
        The page's address.
    """
    _, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not block,
        css=texts.CSS,
        # Gradio's semi-bold font file lacks most letters; its bold one has them all.
        theme=gr.themes.Default(
            font=[
                gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)),
                "ui-sans-serif",
                "system-ui",
                "sans-serif",
            ]
        ),
        app_kwargs={"middleware": [Middleware(Doorkeeper, door=demo)]},
        max_file_size=int(demo.limits.max_megabytes * gr.FileSize.MB),
        max_threads=int(demo.limits.max_waiting) + 20,  # jobs wait in `jobs.Gate`, beside a few other events
        state_session_capacity=_MAX_SESSIONS,
        ssr_mode=False,
        footer_links=["api", "settings"],
        quiet=not block,
    )
    return url


def _connect(page: dict[str, Any], handlers: Handlers, supervisor: Supervisor) -> None:
    """Make the page do what `ACTIONS` says."""
    # While an editor is sent a new value, the buttons that read it are off. A click would submit its old picture, as if
    # a person had erased the new one.
    readers = [page[action.button] for action in ACTIONS if "mask_editor" in action.reads.split()]
    jobs: list[dict[str, Any]] = []
    for action in ACTIONS:
        trigger = getattr(page[action.button], action.event)
        handler = by_component(getattr(handlers, action.handler.__name__), page)
        reads = [page[name] for name in action.reads.split()]
        changes = [page[name] for name in dict.fromkeys(action.changes.split())]
        options = _PAGE_ONLY | {"show_progress_on": page[action.progress]} if action.progress else _PAGE_ONLY
        if action.kind == "cancel":
            trigger(handler, reads, changes, cancels=jobs, show_progress="hidden", **options)
            continue
        if action.kind == "edit":
            trigger(None, None, readers, js=_switch(len(readers), on=False), **_PAGE_ONLY)
        event = trigger(supervisor.job(handler), reads, changes, **options, **(JOB if action.kind == "job" else {}))
        if action.kind == "edit":
            event.then(None, None, readers, js=_switch(len(readers), on=True), **_PAGE_ONLY)
        if action.kind == "job":
            jobs.append(event)
        if action.scroll_to:
            event.success(None, None, None, js=_SCROLL.format(action.scroll_to), **_PAGE_ONLY)


def _switch(count: int, on: bool) -> str:
    """JavaScript that switches `count` buttons on or off without asking the server."""
    update = f"{{__type__: 'update', interactive: {str(on).lower()}}}"
    return f"() => [{', '.join([update] * count)}]"


def _find_examples(folder: Path | None) -> list[tuple[Path, Path]]:
    """Photos of the folder, each with its mask."""
    if folder is None:
        return []
    masks = sorted(folder.glob("*_mask.png"))
    return [(mask.with_name(mask.name.replace("_mask.png", ".jpg")), mask) for mask in masks]

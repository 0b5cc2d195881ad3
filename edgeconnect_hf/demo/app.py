"""The page: paint a mask, see the lines, edit them, complete. Needs the extra `demo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..pipeline import MAX_SIGMA, EdgeConnectPipeline
from ..windows import STRATEGIES
from . import canvas
from .components import FileImage, LayersEditor
from .door import Door, Doorkeeper
from .handlers import Studio
from .jobs import Supervisor
from .limits import Limits

EXAMPLES = Path(__file__).parents[1] / "examples"

_CSS = """
.gradio-container {width: 100% !important; max-width: 1280px !important; margin: 0 auto !important}
.swatch {display: inline-block; width: 1.4em; height: .4em; margin-right: .4em; vertical-align: middle;
  outline: 1px solid #8888}
.legend {white-space: nowrap; margin-right: 1.2em}
.block.status {min-height: 64px !important}
.status .html-container {padding: 0 !important}
.status .html-container.pending, .status .wrap:has(.error) {visibility: hidden}
#lines-hint {height: 420px; display: flex; align-items: center; justify-content: center; text-align: center;
  border: 1px dashed var(--border-color-primary); border-radius: var(--block-radius); padding: 0 12%}
#workspace .column:has(#lines) #lines-hint {display: none}
#examples .container {width: 160px; height: 96px}
#examples img {width: 100%; height: 100%; object-fit: cover}
@media (max-width: 700px) {
  .gradio-container main {padding: 12px !important}
  #mask, #lines {height: 300px !important}
  #lines-hint {height: auto; padding: 24px}
}
"""

# Gradio's semi-bold file lacks most letters; its bold one is whole.
_THEME = gr.themes.Default(
    font=[gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"]
)

_HEADING = """# EdgeConnect
Paint over what should not be in a photo. EdgeConnect draws the missing lines, you correct them, it paints between them.
"""

_MASK_HELP = """
<b>Erase object</b> repairs the photo at once. <b>Find edges</b> first shows the lines it will be painted from, for you
to correct; with <b>Sketch</b> you draw them yourself.
"""

_LINES_HINT = """
<div>Paint over something in the photo, then choose <b>Find edges</b> or <b>Sketch</b>: the lines will stand here, to
draw on and to erase.</div>
"""

_LINES_HELP = " ".join(
    f'<span class="legend"><span class="swatch" style="background:{canvas.hex_colour(colour)}"></span>{origin}</span>'
    for colour, origin in (
        (canvas.KNOWN_COLOUR, "found in the photo"),
        (canvas.IMAGINED_COLOUR, "imagined in the hole"),
        (canvas.DRAWN_COLOUR, "drawn by you"),
    )
)
_LINES_HELP += """<br>
<b>Complete</b> paints the hole between these lines. <b>Continue lines</b> adds what goes with those you drew.
"""

_ABOUT = """
**How it works.** Canny's detector finds the lines of what is known; a first network imagines those of the hole; a
second one paints the hole from the lines and the colours around it
([EdgeConnect, Nazeri et al., 2019](https://arxiv.org/abs/1901.00212)). Pixels outside the hole come back exactly as
they were, at the photo's own size; the editors show a smaller copy.

**Limits.** Small holes come out best. Text, faces and people are not in its reach, nor photos unlike those the model
was trained on. Photos up to {max_megabytes:g} MB and {max_megapixels:g} megapixels, some {max_job_seconds:g} seconds a
step; files are deleted when the page is closed.
"""

_SCROLL = """async () => {{
  const panel = document.getElementById("{}");
  await Promise.allSettled([...panel.querySelectorAll("img")].map(image => image.decode()));
  panel.scrollIntoView({{block: "nearest"}});
  return [];
}}"""
_MAX_SESSIONS = 500  # whose state is kept; the one not used for longest goes first
_PAGE_ONLY: dict[str, Any] = {"api_visibility": "private"}
_JOB: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "model"}  # `jobs.Gate` lets one run at a time


def build_demo(
    pipeline: EdgeConnectPipeline | dict[str, EdgeConnectPipeline],
    examples: Path | None = EXAMPLES,
    limits: Limits | None = None,
) -> Door:
    """Lay out the page.

    Args:
        pipeline: the pipeline to use; or several, by the names under which the page offers them.
        examples (`Path`, *optional*): folder of example photos, `NAME.jpg` each with its mask `NAME_mask.png`; by
            default those of the package. None: no examples.
        limits (`Limits`, *optional*): what a visitor may ask.

    Returns:
        The app; `launch` starts it.
    """
    limits = limits or Limits()
    studio = Studio(pipeline if isinstance(pipeline, dict) else {"EdgeConnect": pipeline}, limits)
    file_age = int(limits.file_age)
    demo = Door(
        limits,
        studio.files,
        studio.gate,
        title="EdgeConnect",
        analytics_enabled=False,
        delete_cache=(min(600, file_age), file_age),
    )
    supervisor = Supervisor(limits, studio.gate, demo.identify)
    with demo:
        with gr.Column(visible=False):  # first, so that its endpoints have the plain names
            _add_api(studio, supervisor)
        gr.Markdown(_HEADING)
        _add_page(studio, supervisor, examples)
        gr.Markdown(_ABOUT.format(**vars(limits)))
    demo.queue(max_size=int(limits.max_waiting), default_concurrency_limit=4, api_open=False)
    return demo


def launch(demo: Door, host: str | None = None, port: int | None = None, block: bool = True) -> str:
    """Serve the page.

    Args:
        demo: from `build_demo`.
        host (`str`, *optional*): address to listen on; Gradio's default is this machine only, on a Space all.
        port (`int`, *optional*): the first free one from 7860 by default.
        block (`bool`): return only when the server ends.

    Returns:
        The page's address.
    """
    _, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not block,
        css=_CSS,
        theme=_THEME,
        app_kwargs={"middleware": [Middleware(Doorkeeper, door=demo)]},
        max_file_size=int(demo.limits.max_megabytes * gr.FileSize.MB),
        max_threads=int(demo.limits.max_waiting) + 20,  # jobs wait in `jobs.Gate`, and a few other events run
        state_session_capacity=_MAX_SESSIONS,
        ssr_mode=False,
        footer_links=["api", "settings"],
        quiet=not block,
    )
    return url


def _add_page(studio: Studio, supervisor: Supervisor, examples: Path | None) -> None:
    work = gr.State(time_to_live=studio.limits.file_age)
    with gr.Column() as start:
        photo = FileImage(
            label="Photo",
            sources=["upload", "clipboard"],
            height=320,
            elem_id="photo",
            placeholder="# Drop a photo here\nor click to pick one, or paste it",
        )
        pairs = _find_examples(examples)
        example = gr.Dataset(
            components=[gr.Image(visible=False)],
            samples=[[str(pair[0])] for pair in pairs],
            type="index",
            label="Or try one of these: it is repaired at once",
            visible=bool(pairs),
            elem_id="examples",
        )

    with gr.Row(visible=False, elem_id="workspace") as workspace:
        with gr.Column(min_width=340):
            gr.Markdown("### 1 · Paint over what should go")
            mask_editor = _add_editor("mask", (canvas.hex_colour(canvas.MASK_COLOUR), canvas.MASK_OPACITY), 16)
            with gr.Row():
                erase = gr.Button("Erase object", variant="primary", min_width=280, elem_id="erase")
                find = gr.Button("Find edges", min_width=100, elem_id="find")
                sketch = gr.Button("Sketch", min_width=100, elem_id="sketch")
            status = gr.HTML(_MASK_HELP, padding=False, elem_classes="status")  # progress takes the text's place
            with gr.Accordion("Mask", open=False, elem_id="mask-tools"):
                by = gr.Slider(1, 64, 8, step=1, label="Grow or shrink by, in pixels of the photo", elem_id="by")
                with gr.Row():
                    grow = gr.Button("Grow", min_width=80, elem_id="grow")
                    shrink = gr.Button("Shrink", min_width=80, elem_id="shrink")
                    invert = gr.Button("Invert", min_width=80, elem_id="invert")
                    upload = gr.UploadButton("Upload mask", min_width=110, file_types=["image"], elem_id="upload-mask")
            with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                sigma = gr.Slider(0.5, 5, 2, step=0.1, label="Canny's sigma: larger, fewer lines", elem_id="sigma")
                strategy = gr.Dropdown(
                    STRATEGIES,
                    value="auto",
                    label="Strategy",
                    info="auto: windows around the holes, smaller around large ones. crop: never smaller. resize: as "
                    "small as the training pictures. original: the whole photo.",
                )
                model = gr.Dropdown(
                    studio.models, value=studio.models[0], label="Model", visible=len(studio.models) > 1
                )
            restart = gr.Button("New photo", elem_id="restart")
        with gr.Column(min_width=340):
            gr.Markdown("### 2 · Draw and erase lines")
            gr.HTML(_LINES_HINT, padding=False, elem_id="lines-hint")
            with gr.Column(visible=False, elem_id="lines-panel") as lines_panel:
                lines_editor = _add_editor("lines", canvas.hex_colour(canvas.DRAWN_COLOUR), 2)
                with gr.Row():
                    complete = gr.Button("Complete", variant="primary", min_width=100, elem_id="complete")
                    resume = gr.Button("Continue lines", min_width=100, elem_id="continue")
                lines_status = gr.HTML(_LINES_HELP, padding=False, elem_classes="status")

    with gr.Column(visible=False, elem_id="result") as result_panel:
        gr.Markdown("### 3 · Before and after")
        slider = gr.ImageSlider(
            show_label=False, max_height=560, interactive=False, buttons=["fullscreen"], elem_id="slider"
        )
        with gr.Row():
            download = gr.DownloadButton("Download at full size", variant="primary", elem_id="download")
            reuse = gr.Button("Use result as input", elem_id="reuse")

    settings = [sigma, strategy, model]
    opened = [work, start, workspace, photo, mask_editor, lines_panel, result_panel]
    drawn = [work, lines_panel, lines_editor, result_panel]
    painted = [work, result_panel, slider, download]
    erased = [*drawn[:3], *painted[1:]]
    # No progress is shown on an editor: for each of its ticks the page would send the editor's pictures to the server.
    on_start: dict[str, Any] = _PAGE_ONLY | {"show_progress_on": photo}
    on_mask: dict[str, Any] = _PAGE_ONLY | {"show_progress_on": status}
    on_lines: dict[str, Any] = _PAGE_ONLY | {"show_progress_on": lines_status}

    def erase_example(number: int, *settings: Any) -> tuple[Any, ...]:
        photo_path, mask_path = map(str, pairs[number])
        return studio.erase_example(photo_path, mask_path, *settings)

    photo.upload(supervisor.job(studio.open_photo), photo, opened, **on_start)
    # While an editor is being given a new value, the buttons that read it are off: a click would hand in what it showed
    # before, which looks as if a person had erased what is coming.
    readers = [erase, find, sketch, grow, shrink, invert, complete, resume]
    masked = [work, mask_editor]
    for trigger, change, inputs, outputs, shown_on in (
        (grow.click, studio.grow, [mask_editor, work, by], masked, on_mask),
        (shrink.click, studio.shrink, [mask_editor, work, by], masked, on_mask),
        (invert.click, studio.invert, [mask_editor, work, by], masked, on_mask),
        (upload.upload, studio.upload_mask, [upload, work], masked, on_mask),
        (mask_editor.clear, studio.clear_mask, [work], masked, on_mask),
        (lines_editor.clear, studio.restore_lines, [work], [lines_editor], on_lines),
        (reuse.click, studio.reuse, [work], opened, on_mask),
    ):
        trigger(None, None, readers, js=_switch(readers, on=False), **_PAGE_ONLY)
        changed = trigger(supervisor.job(change), inputs, outputs, **shown_on)
        changed.then(None, None, readers, js=_switch(readers, on=True), **_PAGE_ONLY)

    mask_settings, both_editors = [mask_editor, work, *settings], [mask_editor, lines_editor, work]
    runs: list[dict[str, Any]] = []
    for button, run, inputs, outputs, shown_on, result in (
        (example, erase_example, [example, *settings], [*opened[:5], *erased[1:]], on_start, "result"),
        (erase, studio.erase, mask_settings, erased, on_mask, "result"),
        (find, studio.find, mask_settings, drawn, on_mask, "lines-panel"),
        (sketch, studio.sketch, mask_settings, drawn, on_mask, "lines-panel"),
        (resume, studio.resume, [*both_editors, *settings], drawn, on_lines, "lines-panel"),
        (complete, studio.complete, [*both_editors, strategy, model], painted, on_lines, "result"),
    ):
        clicked = button.click(supervisor.job(run), inputs, outputs, **shown_on, **_JOB)
        clicked.success(None, None, None, js=_SCROLL.format(result), **_PAGE_ONLY)
        runs.append(clicked)
    restart.click(studio.restart, None, opened, cancels=runs, show_progress="hidden", **_PAGE_ONLY)


def _switch(buttons: Sequence[gr.Button], on: bool) -> str:
    """JavaScript that makes the buttons clickable, or not, without asking the server."""
    update = f"{{__type__: 'update', interactive: {str(on).lower()}}}"
    return f"() => [{', '.join([update] * len(buttons))}]"


def _add_editor(name: str, colour: Any, size: int) -> LayersEditor:
    return LayersEditor(
        sources=(),
        layers=False,
        transforms=(),
        eraser=gr.Eraser(default_size=max(size, 6)),
        brush=gr.Brush(default_size=size, colors=[colour], default_color=colour, color_mode="fixed"),
        show_label=False,
        buttons=["fullscreen"],
        height=420,
        elem_id=name,
    )


def _find_examples(folder: Path | None) -> list[tuple[Path, Path]]:
    """Photos of the folder and their masks."""
    if folder is None:
        return []
    return [
        (mask.with_name(mask.name.replace("_mask.png", ".jpg")), mask) for mask in sorted(folder.glob("*_mask.png"))
    ]


def _add_api(studio: Studio, supervisor: Supervisor) -> None:
    """The endpoints for programs. Their components only give types; no page shows them."""
    image = FileImage(label="photo")
    mask_image = FileImage(label="white where to repaint, of the photo's size")
    edges = FileImage(label="the whole line map, white on black, of the photo's size")
    edge_hints = FileImage(label="a few lines in the hole for the edge generator to continue, white on black")
    sigma = gr.Number(2.0, label=f"Canny's sigma, above 0, at most {MAX_SIGMA}; larger, fewer lines")
    strategy = gr.Dropdown(STRATEGIES, value="auto", label="where to work")
    lines = FileImage(label="lines, white on black, of the photo's size")
    repaired = FileImage(label="the repaired photo, PNG")
    button = gr.Button()
    button.click(
        supervisor.job(studio.api_generate_edges),
        [image, mask_image, sigma, strategy, edge_hints],
        lines,
        api_name="generate_edges",
        **_JOB,
    )
    button.click(
        supervisor.job(studio.api_complete), [image, mask_image, edges, strategy], repaired, api_name="complete", **_JOB
    )
    button.click(
        supervisor.job(studio.api_inpaint),
        [image, mask_image, sigma, strategy, edge_hints],
        [repaired, lines],
        api_name="inpaint",
        **_JOB,
    )

"""The page's components and where they stand, by the names that `app.ACTIONS` and the handlers use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..windows import STRATEGIES
from . import canvas, texts
from .components import FileImage, LayersEditor


def add_page(models: Sequence[str], examples: Sequence[tuple[Path, Path]], state_seconds: float) -> dict[str, Any]:
    """Lay out the page in the current `gr.Blocks`.

    Args:
        models: names to choose from; one alone is not shown.
        examples: photos, each with its mask.
        state_seconds (`float`): how long a session's `Work` is kept.

    Returns:
        The components by name.
    """
    page: dict[str, Any] = {"work": gr.State(time_to_live=state_seconds)}
    with gr.Column() as page["start"]:
        _add_start(page, examples)
    with gr.Row(visible=False, elem_id="workspace") as page["workspace"]:
        with gr.Column(min_width=340):
            gr.Markdown("### 1 · Paint over what should go")
            _add_mask_tools(page, models)
        with gr.Column(min_width=340):
            gr.Markdown("### 2 · Draw and erase lines")
            gr.HTML(texts.LINES_HINT, padding=False, elem_id="lines-hint")
            with gr.Column(visible=False, elem_id="lines-panel") as page["lines_panel"]:
                _add_lines_tools(page)
    with gr.Column(visible=False, elem_id="result") as page["result_panel"]:
        gr.Markdown("### 3 · Before and after")
        _add_result(page)
    return page


def _add_start(page: dict[str, Any], examples: Sequence[tuple[Path, Path]]) -> None:
    page["photo"] = FileImage(
        label="Photo",
        sources=["upload", "clipboard"],
        height=320,
        elem_id="photo",
        placeholder=texts.PHOTO_PLACEHOLDER,
    )
    page["example"] = gr.Dataset(
        components=[gr.Image(visible=False)],
        samples=[[str(photo)] for photo, _ in examples],
        type="index",
        label="Or try an example: its hole is filled at once",
        visible=bool(examples),
        elem_id="examples",
    )


def _add_mask_tools(page: dict[str, Any], models: Sequence[str]) -> None:
    page["mask_editor"] = _add_editor("mask", (canvas.hex_colour(canvas.MASK_COLOUR), canvas.MASK_OPACITY), 16)
    with gr.Row():
        page["erase"] = gr.Button("Erase object", variant="primary", min_width=280, elem_id="erase")
        page["find"] = gr.Button("Find lines", min_width=100, elem_id="find")
        page["sketch"] = gr.Button("Sketch", min_width=100, elem_id="sketch")
    page["mask_status"] = gr.HTML(texts.MASK_HELP, padding=False, elem_classes="status")  # progress replaces the text
    with gr.Accordion("Mask", open=False, elem_id="mask-tools"):
        page["by"] = gr.Slider(1, 64, 8, step=1, label="Pixels to grow or shrink the hole by", elem_id="by")
        with gr.Row():
            page["grow"] = gr.Button("Grow", min_width=80, elem_id="grow")
            page["shrink"] = gr.Button("Shrink", min_width=80, elem_id="shrink")
            page["invert"] = gr.Button("Invert", min_width=80, elem_id="invert")
            page["upload"] = gr.UploadButton("Upload mask", min_width=110, file_types=["image"], elem_id="upload-mask")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        page["sigma"] = gr.Slider(
            0.5, 5, 2, step=0.1, label="Canny's sigma: a larger one finds fewer lines", elem_id="sigma"
        )
        page["strategy"] = gr.Dropdown(STRATEGIES, value="auto", label="Strategy", info=texts.STRATEGY_HELP)
        page["model"] = gr.Dropdown(list(models), value=models[0], label="Model", visible=len(models) > 1)
    page["restart"] = gr.Button("New photo", elem_id="restart")


def _add_lines_tools(page: dict[str, Any]) -> None:
    page["lines_editor"] = _add_editor("lines", canvas.hex_colour(canvas.DRAWN_COLOUR), 2)
    with gr.Row():
        page["complete"] = gr.Button("Complete", variant="primary", min_width=100, elem_id="complete")
        page["resume"] = gr.Button("Continue lines", min_width=100, elem_id="continue")
    page["lines_status"] = gr.HTML(texts.LINES_HELP, padding=False, elem_classes="status")


def _add_result(page: dict[str, Any]) -> None:
    page["slider"] = gr.ImageSlider(
        show_label=False, max_height=560, interactive=False, buttons=["fullscreen"], elem_id="slider"
    )
    with gr.Row():
        page["download"] = gr.DownloadButton("Download at full size", variant="primary", elem_id="download")
        page["reuse"] = gr.Button("Use result as input", elem_id="reuse")


def _add_editor(elem_id: str, colour: Any, size: int) -> LayersEditor:
    return LayersEditor(
        sources=(),
        layers=False,
        transforms=(),
        eraser=gr.Eraser(default_size=max(size, 6)),
        brush=gr.Brush(default_size=size, colors=[colour], default_color=colour, color_mode="fixed"),
        show_label=False,
        buttons=["fullscreen"],
        height=420,
        elem_id=elem_id,
    )

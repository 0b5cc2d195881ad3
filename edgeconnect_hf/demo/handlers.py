"""What the page's buttons do. `app.ACTIONS` says which button runs which handler.

A handler's parameters are named after the components it reads; it returns `Updates`, the new values by component.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

import gradio as gr
import numpy as np
from PIL import Image

from ..holes import grow
from ..pictures import read_images
from . import canvas
from .files import Files
from .model import Model
from .refusals import as_refusals, gone, refusal
from .updates import Updates
from .work import Work

Layers: TypeAlias = Sequence[bytes | str] | None  # what `components.LayersEditor` gives
Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")

PROGRESS = gr.Progress()  # as a parameter's default, it makes Gradio pass the tracker of the running event


def _needs_work(handler: Callable[Inputs, Output]) -> Callable[Inputs, Output]:
    """Refuse if `work` is None: Gradio has deleted the session's state, as it deletes old files."""
    place = list(inspect.signature(handler).parameters).index("work")

    @functools.wraps(handler)
    def checked(*inputs: Inputs.args, **options: Inputs.kwargs) -> Output:
        if inputs[place] is None:
            raise gone("photo")
        return handler(*inputs, **options)

    return checked


class Handlers:
    """The page's handlers.

    Args:
        models: by the names under which the page offers them.
        files (`Files`): reads uploads, writes results.
        examples: the example photos, each with its mask.
    """

    def __init__(self, models: dict[str, Model], files: Files, examples: Sequence[tuple[Path, Path]] = ()):
        self.models, self.files, self.examples = models, files, examples

    # Photo

    def open_photo(self, photo: str | None, mask_path: str | None = None) -> Updates:
        if photo is None:
            raise refusal("Please upload a photo first.")
        image = self.files.read(photo, "photo")
        with as_refusals():
            read_images(image, "pil")  # the modes that the pipeline takes
        mask = np.zeros((image.height, image.width), bool) if mask_path is None else self._open_mask(mask_path, image)
        background = canvas.show_photo(image)
        return {
            "work": Work.open(photo, mask),
            "start": gr.update(visible=False),
            "workspace": gr.update(visible=True),
            "photo": None,
            "mask_editor": self._show(background, canvas.mask_layer(mask), canvas_size=background.size),
            "lines_panel": gr.update(visible=False),
            "result_panel": gr.update(visible=False),
        }

    @_needs_work
    def reuse(self, work: Work) -> Updates:
        return self.open_photo(work.result)

    def restart(self) -> Updates:
        return {
            "work": None,
            "start": gr.update(visible=True),
            "workspace": gr.update(visible=False),
            "photo": None,
            "mask_editor": None,
            "lines_panel": gr.update(visible=False),
            "result_panel": gr.update(visible=False),
        }

    # Mask

    @_needs_work
    def grow(self, mask_editor: Layers, work: Work, by: int) -> Updates:
        return self._show_mask(grow(self._read_mask(mask_editor, work), by), work)

    @_needs_work
    def shrink(self, mask_editor: Layers, work: Work, by: int) -> Updates:
        return self._show_mask(grow(self._read_mask(mask_editor, work), -by), work)

    @_needs_work
    def invert(self, mask_editor: Layers, work: Work) -> Updates:
        return self._show_mask(~self._read_mask(mask_editor, work), work)

    @_needs_work
    def upload_mask(self, upload: str, work: Work) -> Updates:
        return self._show_mask(self._open_mask(upload, self.files.read(work.photo, "photo")), work)

    @_needs_work
    def clear_mask(self, work: Work) -> Updates:
        return self._show_mask(np.zeros_like(work.mask), work)

    def _show_mask(self, mask: canvas.Bools, work: Work) -> Updates:
        background = canvas.show_photo(self.files.read(work.photo, "photo"))
        return {"work": work.with_mask(mask), "mask_editor": self._show(background, canvas.mask_layer(mask))}

    # Lines

    @_needs_work
    def find(
        self, mask_editor: Layers, work: Work, sigma: float, strategy: str, model: str, progress: gr.Progress = PROGRESS
    ) -> Updates:
        progress(0.2, desc="Finding lines")
        photo, lines = self._draw(mask_editor, work, sigma, strategy, model)
        return self._show_lines(photo, lines, work)

    @_needs_work
    def sketch(
        self, mask_editor: Layers, work: Work, sigma: float, strategy: str, model: str, progress: gr.Progress = PROGRESS
    ) -> Updates:
        progress(0.2, desc="Finding the lines around the hole")
        photo, lines = self._draw(mask_editor, work, sigma, strategy, model)
        return self._show_lines(photo, replace(lines, edges=lines.edges * ~lines.mask), work)

    @_needs_work
    def resume(
        self,
        mask_editor: Layers,
        lines_editor: Layers,
        work: Work,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = PROGRESS,
    ) -> Updates:
        progress(0.2, desc="Continuing your lines")
        lines = self._read_lines(mask_editor, lines_editor, work)
        drawn = {"known_edges": lines.edges, "edge_hints": lines.edges * lines.drawn}
        with self._turn(work, model, lines.mask, strategy) as (pipe, photo):
            edges = pipe.generate_edges(photo, lines.mask, sigma=sigma, strategy=strategy, **drawn)
        return self._show_lines(photo, replace(lines, edges=edges), work)

    @_needs_work
    def restore_lines(self, work: Work) -> Updates:
        lines = _lines_of(work)
        background = canvas.lines_background(canvas.show_photo(self.files.read(work.photo, "photo")), lines.mask)
        return {"lines_editor": self._show(background, canvas.lines_layer(lines))}

    def _draw(
        self, mask_editor: Layers, work: Work, sigma: float, strategy: str, model: str
    ) -> tuple[Image.Image, canvas.Lines]:
        """The photo and its lines, those in the hole included."""
        mask = self._painted_mask(mask_editor, work)
        with self._turn(work, model, mask, strategy) as (pipe, photo):
            edges = pipe.generate_edges(photo, mask, sigma=sigma, strategy=strategy)
        return photo, canvas.Lines(edges, np.zeros_like(mask), mask)

    def _show_lines(self, photo: Image.Image, lines: canvas.Lines, work: Work) -> Updates:
        background = canvas.lines_background(canvas.show_photo(photo), lines.mask)
        size = {} if work.lines_png else {"canvas_size": background.size}
        return {
            "work": work.with_lines(lines),
            "lines_panel": gr.update(visible=True),
            "lines_editor": self._show(background, canvas.lines_layer(lines), **size),
            "result_panel": gr.update(visible=False),
        }

    # Result

    @_needs_work
    def complete(
        self,
        mask_editor: Layers,
        lines_editor: Layers,
        work: Work,
        strategy: str,
        model: str,
        progress: gr.Progress = PROGRESS,
    ) -> Updates:
        progress(0.2, desc="Painting between the lines")
        lines = self._read_lines(mask_editor, lines_editor, work)
        with self._turn(work, model, lines.mask, strategy) as (pipe, photo):
            repaired = pipe.complete(photo, lines.mask, lines.edges, strategy=strategy)
        return self._show_result(photo, repaired, work)

    @_needs_work
    def erase(
        self, mask_editor: Layers, work: Work, sigma: float, strategy: str, model: str, progress: gr.Progress = PROGRESS
    ) -> Updates:
        progress(0.1, desc="Finding lines")
        mask = self._painted_mask(mask_editor, work)
        with self._turn(work, model, mask, strategy, halves=2) as (pipe, photo):
            edges = pipe.generate_edges(photo, mask, sigma=sigma, strategy=strategy)
            progress(0.5, desc="Painting between the lines")
            repaired = pipe.complete(photo, mask, edges, strategy=strategy)
        drawn = self._show_lines(photo, canvas.Lines(edges, np.zeros_like(mask), mask), work)
        return drawn | self._show_result(photo, repaired, drawn["work"])

    def erase_example(
        self, example: int, sigma: float, strategy: str, model: str, progress: gr.Progress = PROGRESS
    ) -> Updates:
        """`open_photo` and `erase` in one, without waiting for the editor to show the mask."""
        opened = self.open_photo(*map(str, self.examples[example]))
        return opened | self.erase(None, opened["work"], sigma, strategy, model, progress)

    def _show_result(self, photo: Image.Image, repaired: Image.Image, work: Work) -> Updates:
        path = self.files.save_png(repaired, f"{Path(work.photo).stem.removesuffix('_repaired')}_repaired")
        before, after = (self.files.save_preview(canvas.show_photo(image)) for image in (photo, repaired))
        return {
            "work": replace(work, result=path),
            "result_panel": gr.update(visible=True),
            "slider": (before, after),
            "download": path,
        }

    @contextmanager
    def _turn(
        self, work: Work, model: str, mask: canvas.Bools, strategy: str, halves: int = 1
    ) -> Iterator[tuple[Model, Image.Image]]:
        """Hold the chosen model; the photo is read only then."""
        with self.models[model].turn(mask, strategy, halves):
            yield self.models[model], self.files.read(work.photo, "photo")

    # Editors

    def _open_mask(self, path: str, photo: Image.Image) -> canvas.Bools:
        """An uploaded mask, resized to the photo without blur."""
        mask = Image.fromarray(self.files.read_mask(path, "mask"))
        return np.asarray(mask.resize(photo.size, Image.Resampling.NEAREST))

    def _read_mask(self, mask_editor: Layers, work: Work) -> canvas.Bools:
        """The hole painted in the editor; an editor without a value has not changed it."""
        return work.mask if mask_editor is None else canvas.read_mask(self.files.read_layers(mask_editor), work.mask)

    def _painted_mask(self, mask_editor: Layers, work: Work) -> canvas.Bools:
        mask = self._read_mask(mask_editor, work)
        if not mask.any():
            raise refusal("Paint over something in the photo first.")
        return mask

    def _read_lines(self, mask_editor: Layers, lines_editor: Layers, work: Work) -> canvas.Lines:
        lines = _lines_of(work)
        if not np.array_equal(self._read_mask(mask_editor, work), lines.mask):
            raise refusal("You have changed the hole since these lines were found. Find the lines again.")
        return canvas.read_lines(self.files.read_layers(lines_editor or ()), lines)

    def _show(self, background: Image.Image, layer: Image.Image, **canvas_size: Any) -> Any:
        """An update that makes an editor show a layer over a background.

        Pass the background's `canvas_size` when the editor first shows a photo, or it misplaces the layer at the first
        stroke. Not later: a change of anything but the value makes the page send all its pictures to the server.
        """
        value = {
            "background": self.files.save_preview(background),
            "layers": [self.files.save_png(layer, "layer")],
            "composite": None,
        }
        return gr.update(value=value, **canvas_size)


def _lines_of(work: Work) -> canvas.Lines:
    lines = work.lines
    if lines is None:
        raise refusal("Find the lines first.")
    return lines

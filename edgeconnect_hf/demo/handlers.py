"""What the page's buttons and the API's endpoints do: files and editors in, files and editors out."""

import functools
import importlib.util
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import cv2
import gradio as gr
import numpy as np
import torch
from PIL import Image

from ..pictures import load_map
from ..pipeline import EdgeConnectPipeline
from ..windows import find_windows
from . import canvas
from .files import Files
from .jobs import Gate, check_current_job
from .limits import Limits
from .refusals import gone, refusal

EditorValue: TypeAlias = Sequence[bytes | str] | None  # the layers, see `components.LayersEditor`
Update: TypeAlias = Any  # of a component
Inputs = ParamSpec("Inputs")
Outputs = TypeVar("Outputs")

_TRIAL_SIDE = 256  # pixels of the picture on which a model's speed is measured


@dataclass(frozen=True)
class Work:
    """What one visitor is at. Planes are kept as PNG files in memory, a thousandth of their size.

    Args:
        photo (`str`): the file as it was uploaded.
        mask (`bytes`): what the mask editor was shown, at full size.
        lines (`tuple[bytes, ...]`, *optional*): what the lines editor was shown: `Lines`' three planes.
        result (`str`, *optional*): the last result's file.
    """

    photo: str
    mask: bytes
    lines: tuple[bytes, ...] | None = None
    result: str | None = None


def _needs_work(handler: Callable[Inputs, Outputs]) -> Callable[Inputs, Outputs]:
    """A handler that refuses where its `work` is None: what Gradio hands in once the work is deleted, as files are."""
    place = list(inspect.signature(handler).parameters).index("work")

    @functools.wraps(handler)
    def checked(*inputs: Inputs.args, **options: Inputs.kwargs) -> Outputs:
        if inputs[place] is None:
            raise gone("photo")
        return handler(*inputs, **options)

    return checked


class Studio:
    """Handlers of the page and of the API, around one pipeline or several.

    Args:
        pipelines: by the names under which the page offers them; the first is the API's.
        limits (`Limits`, *optional*): what a visitor may ask.
    """

    def __init__(self, pipelines: dict[str, EdgeConnectPipeline], limits: Limits | None = None):
        self.pipelines = pipelines
        self.models = list(pipelines)
        self.limits = limits or Limits()
        self.files = Files(self.limits)
        self.gate = Gate(self.limits)
        self._call = _on_gpu(self._call_pipeline, self.limits.time_limit)
        self._seconds_per_pixel: dict[str, float] = {}
        self._measuring = threading.Lock()

    # Photo

    def open_photo(self, path: str | None, mask_path: str | None = None) -> tuple[Update, ...]:
        if path is None:
            raise refusal("No photo came.")
        photo = self.files.read(path, "photo")
        mask = np.zeros((photo.height, photo.width), bool) if mask_path is None else self._open_mask(mask_path, photo)
        background = canvas.show_photo(photo)
        shown = self._show(background, canvas.mask_layer(mask), canvas_size=background.size)
        return Work(path, _pack(mask)), _visible(False), _visible(True), None, shown, _visible(False), _visible(False)

    @_needs_work
    def reuse(self, work: Work) -> tuple[Update, ...]:
        return self.open_photo(work.result)

    def restart(self) -> tuple[Update, ...]:
        return None, _visible(True), _visible(False), None, None, _visible(False), _visible(False)

    # Mask

    @_needs_work
    def grow(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(canvas.resize_mask(self._mask(mask_value, work), by), work)

    @_needs_work
    def shrink(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(canvas.resize_mask(self._mask(mask_value, work), -by), work)

    @_needs_work
    def invert(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(~self._mask(mask_value, work), work)

    @_needs_work
    def upload_mask(self, path: str, work: Work) -> tuple[Work, Update]:
        return self._show_mask(self._open_mask(path, self.files.read(work.photo, "photo")), work)

    @_needs_work
    def clear_mask(self, work: Work) -> tuple[Work, Update]:
        return self._show_mask(np.zeros_like(_unpack(work.mask)), work)

    def _show_mask(self, mask: canvas.Bools, work: Work) -> tuple[Work, Update]:
        photo = canvas.show_photo(self.files.read(work.photo, "photo"))
        return replace(work, mask=_pack(mask)), self._show(photo, canvas.mask_layer(mask))

    # Lines

    @_needs_work
    def find(
        self,
        mask_value: EditorValue,
        work: Work,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (Gradio's way to ask for it)
    ) -> tuple[Update, ...]:
        progress(0.2, desc="Finding edges")
        mask = self._painted_mask(mask_value, work)
        with self._turn(model, mask, strategy):
            photo = self.files.read(work.photo, "photo")
            edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy)
        return self._show_lines(photo, canvas.Lines(edges, np.zeros_like(mask), mask), work)

    @_needs_work
    def sketch(
        self,
        mask_value: EditorValue,
        work: Work,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, ...]:
        progress(0.2, desc="Finding the lines around the hole")
        mask = self._painted_mask(mask_value, work)
        with self._turn(model, mask, strategy):
            photo = self.files.read(work.photo, "photo")
            edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy) * ~mask
        return self._show_lines(photo, canvas.Lines(edges, np.zeros_like(mask), mask), work)

    @_needs_work
    def resume(
        self,
        mask_value: EditorValue,
        lines_value: EditorValue,
        work: Work,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, ...]:
        progress(0.2, desc="Continuing your lines")
        lines = self._edited_lines(mask_value, lines_value, work)
        with self._turn(model, lines.mask, strategy):
            photo = self.files.read(work.photo, "photo")
            edges = self._generate_edges(
                model,
                photo,
                lines.mask,
                known_edges=lines.edges,
                edge_hints=lines.edges * lines.drawn,
                sigma=sigma,
                strategy=strategy,
            )
        return self._show_lines(photo, replace(lines, edges=edges), work)

    @_needs_work
    def restore_lines(self, work: Work) -> Update:
        lines = _unpack_lines(work)
        background = canvas.lines_background(canvas.show_photo(self.files.read(work.photo, "photo")), lines.mask)
        return self._show(background, canvas.lines_layer(lines))

    def _show_lines(self, photo: Image.Image, lines: canvas.Lines, work: Work) -> tuple[Update, ...]:
        background = canvas.lines_background(canvas.show_photo(photo), lines.mask)
        planes = tuple(map(_pack, (lines.edges, lines.drawn, lines.mask)))
        size = {} if work.lines else {"canvas_size": background.size}
        shown = self._show(background, canvas.lines_layer(lines), **size)
        return replace(work, lines=planes), _visible(True), shown, _visible(False)

    # Result

    @_needs_work
    def complete(
        self,
        mask_value: EditorValue,
        lines_value: EditorValue,
        work: Work,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, ...]:
        progress(0.2, desc="Painting between the lines")
        lines = self._edited_lines(mask_value, lines_value, work)
        with self._turn(model, lines.mask, strategy):
            photo = self.files.read(work.photo, "photo")
            repaired = self._complete(model, photo, lines.mask, lines.edges, strategy=strategy)
        return self._show_result(photo, repaired, work)

    @_needs_work
    def erase(
        self,
        mask_value: EditorValue | None,
        work: Work,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, ...]:
        progress(0.1, desc="Finding edges")
        mask = self._painted_mask(mask_value, work)
        with self._turn(model, mask, strategy, halves=2):
            photo = self.files.read(work.photo, "photo")
            edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy)
            progress(0.5, desc="Painting between the lines")
            repaired = self._complete(model, photo, mask, edges, strategy=strategy)
        work, *shown, _ = self._show_lines(photo, canvas.Lines(edges, np.zeros_like(mask), mask), work)
        work, *painted = self._show_result(photo, repaired, work)
        return work, *shown, *painted

    def erase_example(
        self,
        path: str,
        mask_path: str,
        sigma: float,
        strategy: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, ...]:
        """`open_photo` and `erase` in one, without waiting for the editor to show the mask."""
        work, *opened, _, _ = self.open_photo(path, mask_path)
        work, *erased = self.erase(None, work, sigma, strategy, model, progress)
        return work, *opened, *erased

    def _show_result(self, photo: Image.Image, repaired: Image.Image, work: Work) -> tuple[Update, ...]:
        name = f"{Path(work.photo).stem.removesuffix('_repaired')}_repaired"
        path = self._save(repaired, name)
        slider = tuple(self._save_shown(canvas.show_photo(image)) for image in (photo, repaired))
        return replace(work, result=path), _visible(True), slider, path

    # Files and editors

    def _open_mask(self, path: str, photo: Image.Image) -> canvas.Bools:
        """A mask's file, brought to the photo's size without blur."""
        try:
            mask = load_map(self.files.read(path, "mask"), "mask")
        except ValueError as error:
            raise refusal(str(error)) from error
        return np.asarray(mask.resize(photo.size, Image.Resampling.NEAREST)) >= 128

    def _mask(self, mask_value: EditorValue, work: Work) -> canvas.Bools:
        """What is painted on the editor; without its value, what was last sent there."""
        mask = _unpack(work.mask)
        return mask if mask_value is None else canvas.read_mask(self.files.read_layers(mask_value), mask)

    def _painted_mask(self, mask_value: EditorValue, work: Work) -> canvas.Bools:
        mask = self._mask(mask_value, work)
        if not mask.any():
            raise refusal("Paint over what should go first.")
        return mask

    def _edited_lines(self, mask_value: EditorValue, lines_value: EditorValue, work: Work) -> canvas.Lines:
        lines = _unpack_lines(work)
        if not np.array_equal(self._mask(mask_value, work), lines.mask):
            raise refusal("You painted on since these lines were found. Find the edges again.")
        return canvas.read_lines(self.files.read_layers(lines_value or ()), lines)

    def _save(self, image: Image.Image, name: str) -> str:
        return self.files.save(image, f"{name}.png", compress_level=1)  # a fifth of the time for a tenth more bytes

    def _save_shown(self, image: Image.Image) -> str:
        """A picture that is only looked at: an eighth of the bytes."""
        return self.files.save(image, "shown.jpg", quality=92, subsampling=0)

    def _show(self, background: Image.Image, layer: Image.Image, **canvas_size: Any) -> Update:
        """What makes an editor show both.

        It needs the picture's `canvas_size` when it is first shown, or it misplaces the layer at the first stroke; not
        again, because before every change but one of its value the page sends all its pictures to the server.
        """
        value = {"background": self._save_shown(background), "layers": [self._save(layer, "layer")], "composite": None}
        return gr.update(value=value, **canvas_size)

    # API

    def api_generate_edges(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> str:
        """Known lines around the holes and imagined ones in them, for a program or a person to edit."""
        with self._api_turn(mask_image, strategy) as mask:
            photo = self.files.read(image, "image")
            edges = self._api_edges(photo, mask, sigma, strategy, edge_hints)
        return self._save(Image.fromarray(edges), "lines")

    def api_complete(self, image: str, mask_image: str, edges: str, strategy: str = "auto") -> str:
        """Paint the holes from the lines in `edges` and the colours around."""
        with self._api_turn(mask_image, strategy) as mask:
            photo, lines = self.files.read(image, "image"), self.files.read(edges, "edges")
            repaired = self._complete(self.models[0], photo, mask, lines, strategy=strategy)
        return self._save(repaired, "repaired")

    def api_inpaint(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> tuple[str, str]:
        """Draw the missing lines, then paint between them: the repaired photo and the lines it was painted from."""
        with self._api_turn(mask_image, strategy, halves=2) as mask:
            photo = self.files.read(image, "image")
            edges = self._api_edges(photo, mask, sigma, strategy, edge_hints)
            repaired = self._complete(self.models[0], photo, mask, edges, strategy=strategy)
        return self._save(repaired, "repaired"), self._save(Image.fromarray(edges), "lines")

    def _api_edges(
        self, photo: Image.Image, mask: Image.Image, sigma: float, strategy: str, edge_hints: str | None
    ) -> canvas.Bytes:
        maps = {} if edge_hints is None else {"edge_hints": self.files.read(edge_hints, "edge_hints")}
        return self._generate_edges(self.models[0], photo, mask, sigma=sigma, strategy=strategy, **maps)

    # The pipeline

    @contextmanager
    def _api_turn(self, mask_image: str, strategy: str, halves: int = 1) -> Iterator[Image.Image]:
        """Its turn at the model with the mask that `mask_image` is."""
        mask = self.files.read(mask_image, "mask_image")
        try:
            hole = np.asarray(load_map(mask, "mask_image")) >= 128
        except ValueError as error:
            raise refusal(str(error)) from error
        with self._turn(self.models[0], hole, strategy, halves):
            yield mask

    @contextmanager
    def _turn(self, model: str, mask: canvas.Bools, strategy: str, halves: int = 1) -> Iterator[None]:
        """Hold the model for one half of the pipeline, or both, unless that would take too long."""
        seconds = halves * self._estimate(model, mask, strategy)
        if seconds > self.limits.max_job_seconds:
            raise refusal(
                f"This would take about {seconds:.0f} seconds here; up to {self.limits.max_job_seconds:g} are allowed. "
                "Try a smaller hole, or the strategy 'auto'."
            )
        with self.gate.turn(seconds):
            yield

    def _estimate(self, model: str, mask: canvas.Bools, strategy: str) -> float:
        """Seconds of one half of the pipeline, which grow with the pixels it works on."""
        network = self.pipelines[model].completion_generator or self.pipelines[model].edge_generator
        windows = find_windows(mask, strategy, network.config.sample_size)
        pixels = sum(height * width for height, width in (window.work_size for window in windows))
        return pixels * self._measure(model) if pixels else 0

    def _measure(self, model: str) -> float:
        """Seconds a pixel of one half, measured at the first job."""
        with self._measuring:
            if model not in self._seconds_per_pixel:
                mask = np.zeros((_TRIAL_SIDE, _TRIAL_SIDE), np.uint8)
                mask[::2] = 255
                picture, times = Image.fromarray(mask), []
                with self.gate.turn(1):
                    for _ in range(2):  # the first warms up
                        start = time.monotonic()
                        self._complete(model, picture, picture, picture, strategy="original")
                        times.append(time.monotonic() - start)
                self._seconds_per_pixel[model] = min(times) / mask.size
        return self._seconds_per_pixel[model]

    def _generate_edges(self, model: str, photo: Image.Image, mask: Any, **options: Any) -> canvas.Bytes:
        return np.asarray(self._run(model, "generate_edges", photo, mask, **options))

    def _complete(self, model: str, photo: Image.Image, mask: Any, edges: Any, **options: Any) -> Image.Image:
        return self._run(model, "complete", photo, mask, edges, **options)

    def _run(self, model: str, method: str, *pictures: Any, **options: Any) -> Image.Image:
        """One of the pipeline's two halves, its errors as toasts."""
        try:
            return self._call(model, method, pictures, options)
        except (ValueError, TypeError) as error:
            raise refusal(str(error)) from error

    def _call_pipeline(self, model: str, method: str, pictures: tuple[Any, ...], options: dict[str, Any]) -> Any:
        pipeline = self.pipelines[model]
        with _stoppable(pipeline):
            return getattr(pipeline, method)(*pictures, **options)[0]


@contextmanager
def _stoppable(pipeline: EdgeConnectPipeline) -> Iterator[None]:
    """Let a job end at the next layer of the networks."""
    networks = [network for network in pipeline.components.values() if isinstance(network, torch.nn.Module)]
    hooks = [layer.register_forward_pre_hook(check_current_job) for network in networks for layer in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _on_gpu(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """On ZeroGPU hardware, where `spaces` is installed, calls hold a GPU; elsewhere nothing changes."""
    if importlib.util.find_spec("spaces") is None:
        return function
    import spaces

    return spaces.GPU(duration=int(seconds))(function)


def _unpack_lines(work: Work) -> canvas.Lines:
    edges, drawn, mask = work.lines or ()
    return canvas.Lines(_decode(edges), _unpack(drawn), _unpack(mask))


def _pack(plane: Any) -> bytes:
    """`[H,W]` uint8, or bool as 0 and 255, to a PNG file."""
    plane = plane.astype(np.uint8) * np.uint8(255) if plane.dtype == bool else plane
    return cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _unpack(png: bytes) -> canvas.Bools:
    return _decode(png) > 0


def _decode(png: bytes) -> canvas.Bytes:
    return cast("canvas.Bytes", cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE))


def _visible(visible: bool) -> Update:
    return gr.update(visible=visible)

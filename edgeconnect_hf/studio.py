"""What the page's buttons and the API's endpoints do: files and editors in, files and editors out."""

import functools
import importlib.util
import inspect
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import cv2
import gradio as gr
import numpy as np
import torch
from gradio.utils import get_upload_folder
from PIL import Image, ImageOps, UnidentifiedImageError

from . import editor
from .image_processor import load_map
from .pipeline import EdgeConnectPipeline

MAX_MEGABYTES = 30
MAX_MEGAPIXELS = 25
TIME_LIMIT = 60  # seconds of one step
FILE_AGE = 7200  # seconds that uploads and results are kept

EditorValue: TypeAlias = dict[str, Any]
Update: TypeAlias = Any  # of a component
Inputs = ParamSpec("Inputs")
Outputs = TypeVar("Outputs")


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
            raise _gone("photo")
        return handler(*inputs, **options)

    return checked


class Studio:
    """Handlers of the page and of the API, around one pipeline or several.

    Args:
        pipelines: by the names under which the page offers them; the first is the API's.
    """

    def __init__(self, pipelines: dict[str, EdgeConnectPipeline]):
        self.pipelines = pipelines
        self.models = list(pipelines)
        self._call = _on_gpu(self._call_pipeline)

    # Photo

    def open_photo(self, path: str | None, mask_path: str | None = None) -> tuple[Update, ...]:
        if path is None:
            raise _refusal("No photo came.")
        photo = _open(path, "photo")
        mask = np.zeros((photo.height, photo.width), bool) if mask_path is None else _open_mask(mask_path, photo)
        background = editor.show_photo(photo)
        shown = _show(background, editor.mask_layer(mask), canvas_size=background.size)
        return Work(path, _pack(mask)), _visible(False), _visible(True), None, shown, _visible(False), _visible(False)

    @_needs_work
    def reuse(self, work: Work) -> tuple[Update, ...]:
        return self.open_photo(work.result)

    def restart(self) -> tuple[Update, ...]:
        return None, _visible(True), _visible(False), None, None, _visible(False), _visible(False)

    # Mask

    @_needs_work
    def grow(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(editor.resize_mask(_mask(mask_value, work), by), work)

    @_needs_work
    def shrink(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(editor.resize_mask(_mask(mask_value, work), -by), work)

    @_needs_work
    def invert(self, mask_value: EditorValue, work: Work, by: int) -> tuple[Work, Update]:
        return self._show_mask(~_mask(mask_value, work), work)

    @_needs_work
    def upload_mask(self, path: str, work: Work) -> tuple[Work, Update]:
        return self._show_mask(_open_mask(path, _open(work.photo, "photo")), work)

    @_needs_work
    def clear_mask(self, work: Work) -> tuple[Work, Update]:
        return self._show_mask(np.zeros_like(_unpack(work.mask)), work)

    def _show_mask(self, mask: editor.Bools, work: Work) -> tuple[Work, Update]:
        photo = editor.show_photo(_open(work.photo, "photo"))
        return replace(work, mask=_pack(mask)), _show(photo, editor.mask_layer(mask))

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
        photo, mask = _open(work.photo, "photo"), _painted_mask(mask_value, work)
        edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy)
        return self._show_lines(photo, editor.Lines(edges, np.zeros_like(mask), mask), work)

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
        photo, mask = _open(work.photo, "photo"), _painted_mask(mask_value, work)
        edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy) * ~mask
        return self._show_lines(photo, editor.Lines(edges, np.zeros_like(mask), mask), work)

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
        photo, lines = _open(work.photo, "photo"), _edited_lines(mask_value, lines_value, work)
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
        background = editor.lines_background(editor.show_photo(_open(work.photo, "photo")), lines.mask)
        return _show(background, editor.lines_layer(lines))

    def _show_lines(self, photo: Image.Image, lines: editor.Lines, work: Work) -> tuple[Update, ...]:
        background = editor.lines_background(editor.show_photo(photo), lines.mask)
        planes = tuple(map(_pack, (lines.edges, lines.drawn, lines.mask)))
        canvas = {} if work.lines else {"canvas_size": background.size}
        shown = _show(background, editor.lines_layer(lines), **canvas)
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
        photo, lines = _open(work.photo, "photo"), _edited_lines(mask_value, lines_value, work)
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
        photo, mask = _open(work.photo, "photo"), _painted_mask(mask_value, work)
        edges = self._generate_edges(model, photo, mask, sigma=sigma, strategy=strategy)
        work, *shown, _ = self._show_lines(photo, editor.Lines(edges, np.zeros_like(mask), mask), work)
        progress(0.5, desc="Painting between the lines")
        repaired = self._complete(model, photo, mask, edges, strategy=strategy)
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
        path = _save(repaired, f"{Path(work.photo).stem.removesuffix('_repaired')}_repaired")
        slider = tuple(_save_shown(editor.show_photo(image)) for image in (photo, repaired))
        return replace(work, result=path), _visible(True), slider, path

    # API

    def api_generate_edges(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> str:
        """Known lines around the holes and imagined ones in them, for a program or a person to edit."""
        photo, mask = _open(image, "image"), _open(mask_image, "mask_image")
        maps = {} if edge_hints is None else {"edge_hints": _open(edge_hints, "edge_hints")}
        edges = self._generate_edges(self.models[0], photo, mask, sigma=sigma, strategy=strategy, **maps)
        return _save(Image.fromarray(edges), "lines")

    def api_complete(self, image: str, mask_image: str, edges: str, strategy: str = "auto") -> str:
        """Paint the holes from the lines in `edges` and the colours around."""
        photo, mask, lines = _open(image, "image"), _open(mask_image, "mask_image"), _open(edges, "edges")
        return _save(self._complete(self.models[0], photo, mask, lines, strategy=strategy), "repaired")

    def api_inpaint(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> tuple[str, str]:
        """Draw the missing lines, then paint between them: the repaired photo and the lines it was painted from."""
        lines = self.api_generate_edges(image, mask_image, sigma, strategy, edge_hints)
        return self.api_complete(image, mask_image, lines, strategy), lines

    # The pipeline

    def _generate_edges(self, model: str, photo: Image.Image, mask: Any, **options: Any) -> editor.Bytes:
        return np.asarray(self._run(model, "generate_edges", photo, mask, **options))

    def _complete(self, model: str, photo: Image.Image, mask: Any, edges: Any, **options: Any) -> Image.Image:
        return self._run(model, "complete", photo, mask, edges, **options)

    def _run(self, model: str, method: str, *pictures: Any, **options: Any) -> Image.Image:
        """One of the pipeline's two halves, its errors as toasts."""
        try:
            return self._call(model, method, pictures, options)
        except (ValueError, TypeError, TimeoutError) as error:
            raise _refusal(str(error)) from error

    def _call_pipeline(self, model: str, method: str, pictures: tuple[Any, ...], options: dict[str, Any]) -> Any:
        pipeline = self.pipelines[model]
        with _time_limit(pipeline):
            return getattr(pipeline, method)(*pictures, **options)[0]


def _on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """On ZeroGPU hardware, where `spaces` is installed, calls hold a GPU; elsewhere nothing changes."""
    if importlib.util.find_spec("spaces") is None:
        return function
    import spaces

    return spaces.GPU(duration=TIME_LIMIT)(function)


@contextmanager
def _time_limit(pipeline: EdgeConnectPipeline) -> Iterator[None]:
    """End the networks' work at the next layer once the time is over. One request runs at a time."""
    deadline = time.monotonic() + TIME_LIMIT

    def check(module: torch.nn.Module, inputs: Any) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"This took over {TIME_LIMIT} seconds. A smaller hole or strategy 'auto' is faster.")

    networks = [network for network in pipeline.components.values() if isinstance(network, torch.nn.Module)]
    hooks = [layer.register_forward_pre_hook(check) for network in networks for layer in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _open(path: str, name: str) -> Image.Image:
    """Read a picture wholly and turn it upright, unless it is too large."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_MEGAPIXELS * 1e6:
                raise _refusal(f"The {name} is {image.width}x{image.height}; up to {MAX_MEGAPIXELS} megapixels fit.")
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise _gone(name) from None
    except Image.DecompressionBombError:  # raised before its size can be asked
        raise _refusal(f"The {name} is far too large; up to {MAX_MEGAPIXELS} megapixels fit.") from None
    except UnidentifiedImageError:
        raise _refusal(f"The {name} is not a picture of a known format.") from None
    except gr.Error:
        raise
    except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
        raise _refusal(f"The {name} cannot be decoded: {error}.") from error


def _open_mask(path: str, photo: Image.Image) -> editor.Bools:
    """A mask's file, brought to the photo's size without blur."""
    try:
        mask = load_map(_open(path, "mask"), "mask")
    except ValueError as error:
        raise _refusal(str(error)) from error
    return np.asarray(mask.resize(photo.size, Image.Resampling.NEAREST)) >= 128


def _save(image: Image.Image, name: str) -> str:
    """Write a PNG where Gradio serves it from and clears it away."""
    path = _new_path(f"{name}.png")
    image.save(path, compress_level=1)  # a fifth of the time for a tenth more bytes
    return path


def _save_shown(image: Image.Image) -> str:
    """Write a picture that is only looked at: an eighth of the bytes, which an editor sends back with every click."""
    path = _new_path("shown.jpg")
    image.save(path, quality=92, subsampling=0)
    return path


def _new_path(name: str) -> str:
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return str(Path(tempfile.mkdtemp(dir=folder)) / name)


def _mask(mask_value: EditorValue | None, work: Work) -> editor.Bools:
    """What is painted on the editor; without its value, what was last sent there."""
    if mask_value is None:
        return _unpack(work.mask)
    return editor.read_mask(mask_value["layers"], _unpack(work.mask))


def _painted_mask(mask_value: EditorValue | None, work: Work) -> editor.Bools:
    mask = _mask(mask_value, work)
    if not mask.any():
        raise _refusal("Paint over what should go first.")
    return mask


def _edited_lines(mask_value: EditorValue, lines_value: EditorValue, work: Work) -> editor.Lines:
    lines = _unpack_lines(work)
    if not np.array_equal(_mask(mask_value, work), lines.mask):
        raise _refusal("You painted on since these lines were found. Find the edges again.")
    return editor.read_lines(lines_value["layers"], lines)


def _unpack_lines(work: Work) -> editor.Lines:
    edges, drawn, mask = work.lines or ()
    return editor.Lines(_decode(edges), _unpack(drawn), _unpack(mask))


def _pack(plane: Any) -> bytes:
    """`[H,W]` uint8, or bool as 0 and 255, to a PNG file."""
    plane = plane.astype(np.uint8) * np.uint8(255) if plane.dtype == bool else plane
    return cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _unpack(png: bytes) -> editor.Bools:
    return _decode(png) > 0


def _decode(png: bytes) -> editor.Bytes:
    return cast("editor.Bytes", cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE))


def _show(background: Image.Image, layer: Image.Image, **canvas_size: Any) -> Update:
    """What makes an editor show both.

    It needs the picture's `canvas_size` when it is first shown, or it misplaces the layer at the first stroke; not
    again, because before every change but one of its value the page sends all its pictures to the server.
    """
    value = {"background": _save_shown(background), "layers": [_save(layer, "layer")], "composite": None}
    return gr.update(value=value, **canvas_size)


def _refusal(message: str) -> gr.Error:
    """A toast; the visitor's doing, so no traceback in the log."""
    return gr.Error(message, print_exception=False)


def _gone(name: str) -> gr.Error:
    return _refusal(f"The {name} is gone: files are deleted after {FILE_AGE // 3600} hours.")


def _visible(visible: bool) -> Update:
    return gr.update(visible=visible)

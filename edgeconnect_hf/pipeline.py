"""EdgeConnect from picture to picture: the paper, top to bottom."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.import_utils import is_accelerate_available
from diffusers.utils.outputs import BaseOutput
from huggingface_hub.errors import HfHubHTTPError

from .colours import match_colours
from .edges import canny, to_gray
from .models import MIN_SIZE, SIZE_MULTIPLE, CompletionGenerator, EdgeGenerator, blend
from .pictures import (
    OUTPUT_TYPES,
    Array,
    ImageInput,
    Picture,
    check_one_size,
    from_float,
    read_edges,
    read_images,
    read_masks,
    to_float,
    with_colour,
    write_edges,
    write_images,
)
from .windows import STRATEGIES, Window, find_windows

BUNDLED_MODEL = Path(__file__).parent / "checkpoints" / "facades"

MAX_SIGMA = 100  # pixels; Canny's time grows with it, and no photo's lines survive so much smoothing

_MAX_BATCH_PIXELS = 2**20  # windows of one size run together up to this many pixels; a larger one runs alone


@dataclass
class EdgeConnectPipelineOutput(BaseOutput):
    """What the pipeline returns.

    Args:
        images: the repaired pictures: a list of PIL pictures, `[N,H,W,C]` float32 array, or `[N,C,H,W]` float32 tensor.
        edges: the lines they were painted from, white on black, of the same size: a list of PIL pictures of mode L,
            `[N,H,W,1]` array, or `[N,1,H,W]` tensor. Black where no line was needed, far from the holes.
    """

    images: Any
    edges: Any


class EdgeConnectPipeline(DiffusionPipeline):
    """Repairs photos: draws the missing lines, then paints between them (Nazeri et al., 2019, arXiv 1901.00212).

    `pipe(image, mask_image)` does both. A person may step in between: `edges = pipe.generate_edges(image, mask_image)`,
    edit them, `pipe.complete(image, mask_image, edges)`.

    Args:
        edge_generator (`EdgeGenerator`, *optional*): G1; without it, `edges` must be given to the pipeline.
        completion_generator (`CompletionGenerator`, *optional*): G2; without it, the pipeline draws lines only.
        match_colours (`bool`): shift the hole's colours by what those of G2 lack at the known pixels around it, so that
            they meet at its border. Not in the paper; helps models that were trained briefly, as the bundled one. Saved
            with the pipeline.
    """

    model_cpu_offload_seq = "edge_generator->completion_generator"  # type: ignore[assignment]  # declared as None
    _optional_components: ClassVar[list[str]] = ["edge_generator", "completion_generator"]  # type: ignore[misc]

    def __init__(
        self,
        edge_generator: EdgeGenerator | None = None,
        completion_generator: CompletionGenerator | None = None,
        match_colours: bool = False,
    ):
        super().__init__()
        self.register_modules(edge_generator=edge_generator, completion_generator=completion_generator)
        self.register_to_config(match_colours=match_colours)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> Any:
        """Load a pipeline.

        Args:
            pretrained_model_name_or_path (`str` or `Path`, *optional*): a pipeline folder, or a model on the Hub
                (`"user/model"`). By default the bundled model, which needs no network.
            kwargs: as `DiffusionPipeline.from_pretrained`: `dtype`, `variant`, `revision`, `cache_dir`, `token`,
                `local_files_only`, … and `match_colours`, to have it otherwise than saved. Only safetensors are loaded.

        Raises:
            ValueError: the folder is no pipeline folder, or the name is neither a folder nor a Hub id.
            OSError: the Hub does not have it, or cannot be reached.
        """
        name = BUNDLED_MODEL if pretrained_model_name_or_path is None else pretrained_model_name_or_path
        _check_model_name(name)
        for argument in ("dtype", "torch_dtype"):
            if isinstance(kwargs.get(argument), str):  # diffusers would quietly load fp32
                raise TypeError(f"`{argument}` is the string {kwargs[argument]!r}; a torch.dtype fits: torch.bfloat16.")
        try:
            # Left to itself, diffusers asks for accelerate where it is not installed.
            kwargs = {"low_cpu_mem_usage": is_accelerate_available(), **kwargs, "use_safetensors": True}
            return super().from_pretrained(name, **kwargs)
        except OSError as error:
            if isinstance(error.__cause__, HfHubHTTPError):  # diffusers hides that the Hub answered, and what
                raise error.__cause__ from None
            if Path(name).is_dir():
                raise
            raise OSError(
                f"`pretrained_model_name_or_path` is {str(name)!r}, which is no folder here and no model that the Hub "
                f"gives: {error}"
            ) from error

    @torch.no_grad()
    def __call__(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        edges: ImageInput | None = None,
        known_edges: ImageInput | None = None,
        edge_hints: ImageInput | None = None,
        sigma: float = 2.0,
        blend_edges: bool = True,
        strategy: str = "auto",
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> EdgeConnectPipelineOutput | tuple[Any, Any]:
        """Repair `image` where `mask_image` is white.

        The same as `complete(image, mask_image, generate_edges(image, mask_image, ...))`, for every strategy.

        Args:
            image: one picture or a list: PIL, NumPy `[H,W]`, `[H,W,C]`, `[N,H,W,C]` or torch `[H,W]`, `[C,H,W]`,
                `[N,C,H,W]`; uint8, or float in [0,1]. RGB, RGBA, gray, gray with alpha come back as they came, other
                PIL modes as RGB. Pictures of one size run as a batch.
            mask_image: one for each picture, or one for all, of the same size; an array with one channel. Values of 0.5
                (128) and above are the hole; of a PIL picture's luminance, but where it is transparent.
            edges: the whole line map, white on black, used as given inside and outside the hole, without Canny
                and without the edge generator.
            known_edges: lines of the known part from another detector, in place of Canny's.
            edge_hints: a few lines drawn in the hole. The edge generator takes them as known and continues them; they
                stay in the result's lines.
            sigma (`float`): Canny's sigma in pixels, above 0, at most 100. Larger: fewer lines.
            blend_edges (`bool`): known lines outside the hole and the generator's inside (the paper). False: the
                generator's lines everywhere (the published code's test mode).
            strategy (`str`): where to work. `"original"`: on the whole picture. `"crop"`: in a window around each group
                of holes. `"resize"`: in such windows, those larger than the training scale made smaller.
                `"auto"`: in such windows, made smaller only around holes larger than the training scale. Windows of up
                to 2048 pixels a side are not made so small that over half of what is known would be lost, as between
                the bars of a fence.
            output_type (`str`): `"pil"`, `"np"` (float32 in [0,1]) or `"pt"` (float32 in [0,1]).
            return_dict (`bool`): an `EdgeConnectPipelineOutput`, or the tuple `(images, edges)`.

        Returns:
            Pictures of the input's size, every pixel outside the hole bit-identical to it, and the lines used.

        Raises:
            TypeError, ValueError: an argument does not fit; the message names it.
        """
        # 1. Check what came.
        pictures, masks = self._read(image, mask_image, strategy, output_type)
        if edges is not None and not (known_edges is None and edge_hints is None):
            raise ValueError("`edges` is the whole line map: `known_edges` and `edge_hints` cannot be added to it.")

        # 2. Draw the missing lines, unless somebody drew them.
        if edges is None:
            line_maps = self._draw(pictures, masks, known_edges, edge_hints, sigma, blend_edges, strategy)
        else:
            line_maps = read_edges(edges, "edges", pictures)

        # 3. Paint between the lines.
        repaired = self._paint(pictures, masks, line_maps, strategy)

        # 4. Hand both back.
        images, drawn = write_images(repaired, output_type), write_edges(line_maps, output_type)
        return EdgeConnectPipelineOutput(images=images, edges=drawn) if return_dict else (images, drawn)

    @torch.no_grad()
    def generate_edges(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        known_edges: ImageInput | None = None,
        edge_hints: ImageInput | None = None,
        sigma: float = 2.0,
        blend_edges: bool = True,
        strategy: str = "auto",
        output_type: str = "pil",
    ) -> Any:
        """The first half: known lines around the holes and the edge generator's in them, for a person to edit.

        Arguments as in `__call__`.

        Returns:
            The line maps, at full size, white on black: a list of PIL pictures of mode L, `[N,H,W,1]` float32 or
            `[N,1,H,W]` float32.
        """
        pictures, masks = self._read(image, mask_image, strategy, output_type)
        line_maps = self._draw(pictures, masks, known_edges, edge_hints, sigma, blend_edges, strategy)
        return write_edges(line_maps, output_type)

    @torch.no_grad()
    def complete(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        edges: ImageInput,
        strategy: str = "auto",
        output_type: str = "pil",
    ) -> Any:
        """The second half: paint the holes from the lines in `edges` and the colours around.

        Arguments as in `__call__`.

        Returns:
            The repaired pictures: a list of PIL pictures, `[N,H,W,C]` float32 or `[N,C,H,W]` float32.
        """
        pictures, masks = self._read(image, mask_image, strategy, output_type)
        repaired = self._paint(pictures, masks, read_edges(edges, "edges", pictures), strategy)
        return write_images(repaired, output_type)

    def compile(self, **kwargs: Any) -> None:
        """Compile both generators with `torch.compile`, in place. For many pictures of one size.

        The first picture of a size takes some ten seconds to a minute more. Values may differ by rounding. Needs a C++
        compiler (CPU) or Triton (GPU).

        Args:
            kwargs: as for `torch.compile`: `dynamic`, `mode`, `options`, …
        """
        for generator in (self.edge_generator, self.completion_generator):
            if generator is not None:
                generator.compile(**kwargs)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:  # type: ignore[override]  # other options
        """Save and push in one commit, with a card of our own: `edgeconnect_hf.hub.push_model` has the options."""
        from .hub import push_model  # the Hub is above

        return push_model(self, repo_id, **options)

    def _read(
        self, image: ImageInput, mask_image: ImageInput, strategy: str, output_type: str
    ) -> tuple[list[Picture], list[npt.NDArray[np.bool_]]]:
        for name, value, fits in (("strategy", strategy, STRATEGIES), ("output_type", output_type, OUTPUT_TYPES)):
            if value not in fits:
                raise ValueError(f"`{name}` is {value!r}; one of {', '.join(map(repr, fits))} fits.")
        pictures = read_images(image, output_type)
        check_one_size(pictures, output_type)
        return pictures, read_masks(mask_image, pictures)

    def _draw(
        self,
        pictures: list[Picture],
        masks: list[npt.NDArray[np.bool_]],
        known_edges: ImageInput | None,
        edge_hints: ImageInput | None,
        sigma: float,
        blend_edges: bool,
        strategy: str,
    ) -> list[Array]:
        """G1 in every window: `[H,W]` line maps at full size, of the pictures' dtype."""
        if self.edge_generator is None:
            raise ValueError("this pipeline has no edge generator; pass the whole line map as `edges`.")
        if not (isinstance(sigma, Real) and 0 < sigma <= MAX_SIGMA):
            raise ValueError(f"`sigma` is {sigma!r}; a number above 0 fits, at most {MAX_SIGMA}.")
        sigma = float(sigma)
        known_maps = None if known_edges is None else read_edges(known_edges, "known_edges", pictures)
        if edge_hints is not None:
            hints = read_edges(edge_hints, "edge_hints", pictures)
            hint_maps = [lines * mask for lines, mask in zip(hints, masks, strict=True)]

        views = _look(pictures, masks, strategy, self.edge_generator.config.sample_size)
        shown = []
        for view in views:
            gray = to_gray(view.colour)
            known = canny(gray, view.hole, sigma) if known_maps is None else view.lines_of(known_maps) * ~view.hole
            if edge_hints is not None:
                known = np.maximum(known, view.lines_of(hint_maps))
            shown.append((gray, known, view.hole))

        def predict(gray: torch.Tensor, known: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            pred_edges = self.edge_generator(blend(gray, 1, mask), known, mask, return_dict=False)[0]  # [N,1,h,w]
            pred_edges = torch.maximum(pred_edges, known * mask)  # hints stay
            return blend(known, pred_edges, mask) if blend_edges else pred_edges

        line_maps = [np.zeros(picture.size, picture.colour.dtype) for picture in pictures]
        drawn = _in_batches(predict, shown, self._execution_device, self.edge_generator.dtype)
        for view, comp_edges in zip(views, drawn, strict=True):
            window, line_map = view.window, line_maps[view.picture]
            writable = ~masks[view.picture][window.view_slices]
            writable[window.hole_in_view] = True  # the view's other holes are other windows'
            lines = from_float(window.enlarge_lines(comp_edges[..., 0])[writable], line_map.dtype)
            target = line_map[window.view_slices]
            target[writable] = np.maximum(target[writable], lines)  # of another view's, which may see farther
        return line_maps

    def _paint(
        self, pictures: list[Picture], masks: list[npt.NDArray[np.bool_]], line_maps: list[Array], strategy: str
    ) -> list[Picture]:
        """G2 in every window; only pixels of the holes are written."""
        if self.completion_generator is None:
            raise ValueError("this pipeline has no completion generator; `generate_edges` draws lines without one.")

        views = _look(pictures, masks, strategy, self.completion_generator.config.sample_size)
        shown = [(view.colour, view.lines_of(line_maps), view.hole) for view in views]

        def predict(image: torch.Tensor, comp_edges: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            pred_image = self.completion_generator(blend(image, 1, mask), comp_edges, return_dict=False)[0]  # [N,3,h,w]
            return match_colours(pred_image, image, mask) if self.config["match_colours"] else pred_image

        repaired = [picture.colour.copy() for picture in pictures]
        painted = _in_batches(predict, shown, self._execution_device, self.completion_generator.dtype)
        for view, pred_image in zip(views, painted, strict=True):
            comp_image = np.where(view.hole[..., None], pred_image, view.colour)  # [h,w,3]
            window = view.window
            hole = masks[view.picture][window.hole_slices]
            target = repaired[view.picture][window.hole_slices]  # shares the picture's memory
            colour = window.enlarge_image(comp_image)[window.hole_in_view][hole]  # [pixels,3]
            if target.shape[2] == 1:
                colour = to_gray(colour[None])[0][:, None]
            target[hole] = from_float(colour, target.dtype)
        return [with_colour(picture, colour) for picture, colour in zip(pictures, repaired, strict=True)]


def _check_model_name(name: str | os.PathLike[str]) -> None:
    if Path(name).is_dir():
        if not (Path(name) / "model_index.json").is_file():
            raise ValueError(
                f"`pretrained_model_name_or_path` is the folder {str(name)!r}, which holds no model_index.json; "
                "a folder written by `save_pretrained` or `edgeconnect convert` fits."
            )
    elif not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(name)):
        raise ValueError(
            f"`pretrained_model_name_or_path` is {str(name)!r}, which is neither a folder here nor a model on the Hub "
            "('user/model')."
        )


@dataclass(frozen=True)
class _View:
    """What a window shows of its picture, at the size it is worked on.

    Args:
        picture (`int`): the picture's place in the list.
        window (`Window`): where it looks.
        colour (`np.ndarray`): `[h,w,3]` RGB float32 in [0,1].
        hole (`np.ndarray`): `[h,w]` bool.
    """

    picture: int
    window: Window
    colour: npt.NDArray[np.float32]
    hole: npt.NDArray[np.bool_]

    def lines_of(self, line_maps: Sequence[Array]) -> npt.NDArray[np.float32]:
        """Its part `[h,w]` float32 of the pictures' line maps."""
        return self.window.reduce_lines(to_float(line_maps[self.picture][self.window.view_slices]))


def _look(pictures: list[Picture], masks: list[npt.NDArray[np.bool_]], strategy: str, sample_size: int) -> list[_View]:
    views = []
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        for window in find_windows(mask, strategy, sample_size):
            colour = window.reduce_image(to_float(picture.colour[window.view_slices]))
            if colour.shape[2] == 1:
                colour = np.repeat(colour, 3, axis=2)
            views.append(_View(number, window, colour, window.reduce_mask(mask[window.view_slices])))
    return views


def _in_batches(
    predict: Callable[..., torch.Tensor],
    shown: Sequence[tuple[Array, ...]],
    device: torch.device,
    dtype: torch.dtype,
) -> list[npt.NDArray[np.float32]]:
    """Run `predict` over windows, those of one size together.

    Args:
        predict: takes as many tensors `[N,C,h,w]` as a window has arrays, returns one.
        shown: for each window its arrays, `[h,w]` or `[h,w,C]`.

    Returns:
        For each window `[h,w,C]` float32, in order.
    """
    positions_by_size = defaultdict(list)
    for position, arrays in enumerate(shown):
        positions_by_size[arrays[0].shape[:2]].append(position)

    results: dict[int, npt.NDArray[np.float32]] = {}
    for (height, width), positions in positions_by_size.items():
        batch_size = max(1, _MAX_BATCH_PIXELS // (height * width))
        for start in range(0, len(positions), batch_size):
            batch = positions[start : start + batch_size]
            planes = zip(*(shown[position] for position in batch), strict=True)
            predicted = predict(*(_pad(_to_tensor(arrays).to(device, dtype)) for arrays in planes))
            predicted = predicted[..., :height, :width].float().cpu()  # [N,C,h,w]
            results.update(zip(batch, predicted.permute(0, 2, 3, 1).numpy(), strict=True))
    return [results[position] for position in range(len(shown))]


def _to_tensor(arrays: Sequence[Array]) -> torch.Tensor:
    """Arrays `[h,w]` or `[h,w,C]` of one shape to `[N,C,h,w]`."""
    stacked = torch.from_numpy(np.stack(arrays))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)


def _pad(planes: torch.Tensor) -> torch.Tensor:
    """`[N,C,h,w]` to the next multiple of 4, at least 16, on the right and below."""
    height, width = planes.shape[-2:]
    bottom, right = (max(MIN_SIZE, -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE) - side for side in (height, width))
    mode = "reflect" if min(height, width) >= MIN_SIZE else "replicate"
    return F.pad(planes, (0, right, 0, bottom), mode=mode) if bottom or right else planes


# diffusers writes "edgeconnect_hf" beside each generator in model_index.json; these two lines let its loader, the
# generic `DiffusionPipeline.from_pretrained` too, find them and this pipeline there.
LOADABLE_CLASSES.setdefault("edgeconnect_hf", {"ModelMixin": ["save_pretrained", "from_pretrained"]})
setattr(diffusers, "EdgeConnectPipeline", EdgeConnectPipeline)  # noqa: B010

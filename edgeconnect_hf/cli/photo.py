"""One photo of any size: only the part around its holes is worked on, and pasted back into it."""

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..extension import find_margins
from ..holes import Box, grow
from ..pictures import Array, DeepImage, Picture, from_float, read_edges, read_file, read_images, read_map, read_masks
from ..pictures.decoding import to_plain_mode
from ..windows import find_windows, region
from .jobs import STREAM
from .sizes import check_size

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline

_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


@dataclass(frozen=True)
class Photo:
    """The checked inputs of one photo.

    Args:
        image: PIL image of mode RGB, RGBA, L, LA or I;16, or `DeepImage`; upright.
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        line_maps (`dict`): `[H,W]` uint8 by the pipeline's argument.
    """

    image: Image.Image | DeepImage
    mask: npt.NDArray[np.bool_]
    line_maps: dict[str, Array]

    @property
    def has_alpha(self) -> bool:
        """Whether it may be transparent somewhere."""
        return self.image.mode in ("RGBA", "LA") if isinstance(self.image, Image.Image) else self.image.shape[2] != 3

    def part(self, box: Box) -> "Photo":
        """A part of it."""
        top, left, bottom, right = box
        here = slice(top, bottom), slice(left, right)
        image = self.image
        image = image.crop((left, top, right, bottom)) if isinstance(image, Image.Image) else DeepImage(image[here])
        return Photo(image, self.mask[here], {name: lines[here] for name, lines in self.line_maps.items()})

    def paste(self, image: Any, box: Box) -> None:
        """Replace a part of its image."""
        top, left, bottom, right = box
        if isinstance(self.image, Image.Image):
            self.image.paste(image, (left, top))
        else:
            self.image[top:bottom, left:right] = image

    def full_lines(self, drawn: Image.Image, box: Box) -> Image.Image:
        """The lines of a part, at the photo's size; black where none is needed."""
        lines = Image.new("L", self.mask.shape[::-1])
        lines.paste(drawn, (box[1], box[0]))
        return lines

    def shows_nothing(self) -> bool:
        """Whether no known pixel is visible."""
        if not self.has_alpha:
            return bool(self.mask.all())
        alpha = self.image.getchannel("A") if isinstance(self.image, Image.Image) else self.image[..., -1]
        return bool((self.mask | (np.asarray(alpha) == 0)).all())


def read_photo(inputs: dict[str, Path], *, resize_mask: bool, frame: int | None, max_pixels: float) -> Photo:
    """Read and check the files of one photo.

    Args:
        inputs (`dict[str, Path]`): by argument as the user typed it.
        resize_mask (`bool`): scale a mask of the photo's proportions.
        frame (`int`, *optional*): which one of a photo of several.
        max_pixels (`float`): the most that a file may have.
    """
    # Masks and lines come first, at one byte a pixel: a large photo takes four, and twice that while it is turned.
    mask, *_ = read_masks(*_read_map("mask_image", inputs["mask_image"], max_pixels))
    line_maps = {}
    for argument, path in inputs.items():
        if argument not in ("image", "mask_image"):
            lines, like_photo = _read_map(argument, path, max_pixels)
            in_hole = [mask] if mask.shape == like_photo[0].size else None
            line_maps[argument] = read_edges(lines, argument, like_photo, in_hole)[0]
    image = _read_image(inputs["image"], frame, max_pixels)
    size = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    for argument, values in {"mask_image": mask, **line_maps}.items():
        check_size(argument, values.shape[::-1], size, resize_mask)
    if mask.shape[::-1] != size:
        mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return Photo(
        image, mask, {argument.lstrip("-").replace("-", "_"): values for argument, values in line_maps.items()}
    )


def read_extended(
    path: Path, sides: Mapping[str, int], aspect_ratio: str | None, *, frame: int | None, max_pixels: float
) -> Photo:
    """Read a photo and extend its canvas, the new part being its hole.

    Args:
        path (`Path`): the photo.
        sides, aspect_ratio: as for `find_margins`.
        frame (`int`, *optional*): which one of a photo of several.
        max_pixels (`float`): the most that it may have.
    """
    image = _read_image(path, frame, max_pixels)
    width, height = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    left, right, top, bottom = find_margins((height, width), sides, aspect_ratio)
    mask = np.ones((height + top + bottom, width + left + right), bool)
    mask[top : top + height, left : left + width] = False
    if isinstance(image, Image.Image):
        opaque = {"RGBA": (0, 0, 0, 255), "LA": (0, 255)}.get(image.mode)
        extended: Image.Image | DeepImage = Image.new(image.mode, mask.shape[::-1], opaque or 0)
    else:
        extended = DeepImage(np.zeros((*mask.shape, image.shape[2]), np.uint16))
        if image.shape[2] in (2, 4):
            extended[..., -1] = np.iinfo(np.uint16).max
    extended.info = image.info
    photo = Photo(extended, mask, {})
    photo.paste(image, (top, left, top + height, left + width))
    return photo


def repair(
    photo: Photo,
    pipeline: "EdgeConnectPipeline",
    work: Callable[..., tuple[Any, Any]],
    *,
    sigma: float,
    strategy: str,
    padding: int,
) -> tuple[Image.Image, Box, int]:
    """Work on the part of a photo around its holes.

    Args:
        photo (`Photo`): the photo; its image is repaired in place.
        pipeline (`EdgeConnectPipeline`): does the work.
        work: takes the pipeline and its arguments; returns the repaired image, or None, and the lines.
        sigma (`float`): Canny's.
        strategy (`str`): where to work.
        padding (`int`): by how many pixels the hole grows first.

    Returns:
        The lines of the part; the part; the number of windows.
    """
    found = find_part(photo.mask, pipeline, strategy, padding)
    if found is None:
        return Image.new("L", (1, 1)), (0, 0, 1, 1), 0
    box, windows = found
    part = photo.part(box)
    if part.shows_nothing():  # the pipeline refuses a photo that does
        box = (0, 0, *photo.mask.shape)
        part = photo.part(box)
    is_deep = isinstance(part.image, DeepImage)
    options = {"sigma": sigma, "strategy": strategy, "mask_padding": padding, "output_type": "np" if is_deep else "pil"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* looks like a photo")  # said of the whole map
        image, drawn = work(pipeline, image=part.image, mask_image=part.mask, **part.line_maps, **options)
    if is_deep:  # PIL has no mode for it
        image = None if image is None else from_float(image, _UINT16)
        drawn = Image.fromarray(from_float(drawn[..., 0], _UINT8))
    if image is not None:
        photo.paste(image, box)
    return drawn, box, windows


def find_part(
    mask: npt.NDArray[np.bool_], pipeline: "EdgeConnectPipeline", strategy: str, padding: int
) -> tuple[Box, int] | None:
    """The part of a photo to give to the pipeline, for the same result as with all of it; None without a hole.

    Args:
        mask (`np.ndarray`): `[H,W]`, True in the hole.
        pipeline (`EdgeConnectPipeline`): whose networks work there.
        strategy (`str`): where to work.
        padding (`int`): by how many pixels the hole grows first.

    Returns:
        The part, and the number of windows in it.
    """
    if not mask.any():
        return None
    mask = _grow(mask, padding) if padding else mask
    networks = [net for net in (pipeline.completion_generator, pipeline.edge_generator) if net is not None]
    sample_sizes = [network.config.sample_size for network in networks]
    boxes = np.array([region(mask, strategy, sample_size) for sample_size in sample_sizes])  # [networks,4]
    top, left, bottom, right = (int(side) for side in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
    return (top, left, bottom, right), len(find_windows(mask, strategy, sample_sizes[0]))


def _grow(mask: npt.NDArray[np.bool_], padding: int) -> npt.NDArray[np.bool_]:
    """`grow`, at the cost of the part that has holes."""
    lines = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))  # rows, columns
    here = tuple(slice(max(0, line[0] - padding), line[-1] + 1 + padding) for line in lines)
    grown = np.zeros_like(mask)
    grown[here] = grow(mask[here], padding)
    return grown


def _read_image(path: Path, frame: int | None, max_pixels: float) -> Image.Image | DeepImage:
    """A photo of one of the modes of `Photo`, with what goes with it."""
    image = _read("image", path, max_pixels=max_pixels, frame=frame)
    corner = image.crop((0, 0, 1, 1)) if isinstance(image, Image.Image) else image[:1, :1]
    info = read_images(corner, "pil")[0].info  # as for any photo, however large
    if isinstance(image, Image.Image):
        image = to_plain_mode(image)
    image.info = info
    return image


def _read(argument: str, path: Path, **options: Any) -> Image.Image | DeepImage:
    if path == STREAM:
        return read_file(sys.stdin.buffer.read(), f"`{argument}` from standard input", **options)
    return read_file(path, f"`{argument}` {str(path)!r}", **options)


def _read_map(argument: str, path: Path, max_pixels: float) -> tuple[Image.Image, list[Picture]]:
    """A mask or line map, and a photo of its size that takes no memory, to check it against."""
    image = read_map(_read(argument, path, max_pixels=max_pixels), argument)
    return image, [Picture(np.broadcast_to(np.uint8(0), (image.height, image.width, 1)))]

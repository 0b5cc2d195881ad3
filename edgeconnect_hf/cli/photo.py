"""One photo of any size: only the part around its holes is worked on, and pasted back into it."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..holes import grow
from ..pictures import Array, DeepImage, Picture, from_float, read_edges, read_file, read_images, read_map, read_masks
from ..pictures.decoding import to_plain_mode
from ..windows import Box, find_windows, region
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
    maps = {}  # before the photo, at one byte a pixel, as both may be large
    for argument, path in inputs.items():
        if argument != "image":
            maps[argument] = read_map(_read(argument, path, max_pixels=max_pixels), argument)
    image = _read("image", inputs["image"], max_pixels=max_pixels, frame=frame)
    width, height = size = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    for argument, lines in maps.items():
        check_size(argument, lines.size, size, resize_mask)
    corner = image.crop((0, 0, 1, 1)) if isinstance(image, Image.Image) else image[:1, :1]
    info = read_images(corner, "pil")[0].info  # as for any photo, however large
    if isinstance(image, Image.Image):
        image = to_plain_mode(image)
    image.info = info

    mask_image = maps.pop("mask_image")
    if mask_image.size != size:
        mask_image = mask_image.resize(size, Image.Resampling.NEAREST)  # no gray rim
    like_photo = [Picture(np.broadcast_to(np.uint8(0), (height, width, 1)))]  # takes no memory
    masks = read_masks(mask_image, like_photo)
    line_maps = {
        argument.lstrip("-").replace("-", "_"): read_edges(lines, argument, like_photo, masks)[0]
        for argument, lines in maps.items()
    }
    return Photo(image, masks[0], line_maps)


def repair(
    photo: Photo,
    pipeline: "EdgeConnectPipeline",
    work: Callable[..., tuple[Any, Any]],
    *,
    sigma: float,
    strategy: str,
    padding: int,
) -> tuple[Image.Image, int]:
    """Work on the part of a photo around its holes.

    Args:
        photo (`Photo`): the photo; its image is repaired in place.
        pipeline (`EdgeConnectPipeline`): does the work.
        work: takes the pipeline and its arguments; returns the repaired image, or None, and the lines.
        sigma (`float`): Canny's.
        strategy (`str`): where to work.
        padding (`int`): by how many pixels the hole grows first.

    Returns:
        The lines, of the photo's size; the number of windows.
    """
    lines = Image.new("L", photo.mask.shape[::-1])  # black where none is needed
    found = find_part(photo.mask, pipeline, strategy, padding)
    if found is None:
        return lines, 0
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
    lines.paste(drawn, (box[1], box[0]))
    return lines, windows


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
    mask = _grow(mask, padding)
    if not mask.any():
        return None
    networks = [net for net in (pipeline.completion_generator, pipeline.edge_generator) if net is not None]
    sample_sizes = [network.config.sample_size for network in networks]
    boxes = np.array([region(mask, strategy, sample_size) for sample_size in sample_sizes])  # [networks,4]
    top, left, bottom, right = (int(side) for side in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
    return (top, left, bottom, right), len(find_windows(mask, strategy, sample_sizes[0]))


def _grow(mask: npt.NDArray[np.bool_], padding: int) -> npt.NDArray[np.bool_]:
    """`grow`, at the cost of the part that has holes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    reach = max(0, padding)
    here = tuple(slice(max(0, line[0] - reach), line[-1] + 1 + reach) for line in (rows, columns))
    grown = np.zeros_like(mask)
    grown[here] = grow(mask[here], padding)
    return grown


def _read(argument: str, path: Path, **options: Any) -> Image.Image | DeepImage:
    if path == STREAM:
        return read_file(sys.stdin.buffer.read(), f"`{argument}` from standard input", **options)
    return read_file(path, f"`{argument}` {str(path)!r}", **options)

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
from ..pictures import Array, Picture, read_edges, read_file, read_map, read_masks
from ..windows import Box, Window, find_windows
from .jobs import STREAM
from .sizes import Size, check_size

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline

_Image = Image.Image | Array  # 16-bit colours are `[H,W,C]` uint16


@dataclass(frozen=True)
class Photo:
    """The checked inputs of one photo, at full size.

    Args:
        image: PIL image or `[H,W,C]` uint16, upright.
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        line_maps (`dict`): `[H,W]` uint8 by the pipeline's argument.
    """

    image: _Image
    mask: npt.NDArray[np.bool_]
    line_maps: dict[str, Array]

    @property
    def has_alpha(self) -> bool:
        """Whether it may be transparent somewhere."""
        image = self.image
        return image.has_transparency_data if isinstance(image, Image.Image) else image.shape[2] == 4

    def part(self, box: Box) -> dict[str, Any]:
        """The pipeline's arguments for a part of the photo."""
        top, left, bottom, right = box
        here = slice(top, bottom), slice(left, right)
        image = self.image.crop((left, top, right, bottom)) if isinstance(self.image, Image.Image) else self.image[here]
        maps = {name: lines[here] for name, lines in self.line_maps.items()}
        return {"image": image, "mask_image": self.mask[here], **maps}

    def with_part(self, repaired: _Image, box: Box) -> _Image:
        """The photo with a repaired part, in the part's mode."""
        top, left, bottom, right = box
        whole = self.image
        if isinstance(whole, np.ndarray):
            whole[top:bottom, left:right] = repaired
            return whole
        if isinstance(repaired, np.ndarray):
            raise TypeError
        if whole.mode != repaired.mode:
            whole = whole.convert(repaired.mode)
        whole.paste(repaired, (left, top))
        whole.info = repaired.info  # what is true of the part's colours
        return whole

    def lines(self, drawn: Image.Image, box: Box) -> Image.Image:
        """The lines of a part at full size, black around it."""
        lines = Image.new("L", self.mask.shape[::-1])
        lines.paste(drawn, (box[1], box[0]))
        return lines


def read_photo(inputs: dict[str, Path], *, resize_mask: bool, frame: int | None, max_pixels: float) -> Photo:
    """Read and check the files of one photo.

    Args:
        inputs (`dict[str, Path]`): by argument as the user typed it.
        resize_mask (`bool`): scale a mask of the photo's proportions.
        frame (`int`, *optional*): which one of a photo of several.
        max_pixels (`float`): the most that a file may have.
    """
    maps = {}  # before the photo, and one byte a pixel: both are large
    for argument, path in inputs.items():
        if argument != "image":
            maps[argument] = read_map(_read(argument, path, max_pixels=max_pixels), argument)
    image = _read("image", inputs["image"], max_pixels=max_pixels, **({} if frame is None else {"frame": frame}))
    size: Size = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    for argument, lines in maps.items():
        check_size(argument, lines.size, size, resize_mask)
    mask_image = maps.pop("mask_image")
    if mask_image.size != size:
        mask_image = mask_image.resize(size, Image.Resampling.NEAREST)  # no gray rim
    like_photo = [Picture(np.broadcast_to(np.uint8(0), (size[1], size[0], 1)))]  # takes no memory
    mask = read_masks(mask_image, like_photo)[0]
    names = {argument: argument.lstrip("-").replace("-", "_") for argument in maps}
    return Photo(image, mask, {names[key]: read_edges(lines, key, like_photo)[0] for key, lines in maps.items()})


def repair(
    photo: Photo,
    pipeline: "EdgeConnectPipeline",
    work: Callable[..., tuple[_Image | None, Image.Image]],
    *,
    sigma: float,
    strategy: str,
    padding: int,
) -> tuple[_Image | None, Image.Image, int]:
    """Work on the part of a photo around its holes.

    Args:
        photo (`Photo`): the photo; its image may be changed.
        pipeline (`EdgeConnectPipeline`): does the work.
        work: takes the pipeline and its arguments; returns the repaired image, or None, and the lines.
        sigma (`float`): Canny's.
        strategy (`str`): where to work.
        padding (`int`): by how many pixels the hole grows first.

    Returns:
        The repaired photo, or None; the lines, of its size; the number of windows.
    """
    found = find_part(photo.mask, pipeline, strategy, padding)
    box, windows = found or ((0, 0, 1, 1), 0)  # without a hole, one pixel shows what a photo comes back as
    with warnings.catch_warnings():
        if found is None:
            warnings.simplefilter("ignore")  # said of the whole mask
        image, lines = work(pipeline, **photo.part(box), sigma=sigma, strategy=strategy)
    return None if image is None else photo.with_part(image, box), photo.lines(lines, box), windows


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
    windows = [find_windows(mask, strategy, sample_size) for sample_size in sample_sizes]
    views = np.array([window.view for found in windows for window in found])  # [windows,4]
    top, left, bottom, right = (int(side) for side in (*views[:, :2].min(axis=0), *views[:, 2:].max(axis=0)))
    height, width = mask.shape
    # Windows are joined by what they would see together, which may reach beyond what they do see.
    while [_windows_in(mask, (top, left, bottom, right), strategy, each) for each in sample_sizes] != windows:
        top, left, bottom, right = (
            max(0, top - 128),
            max(0, left - 128),
            min(height, bottom + 128),
            min(width, right + 128),
        )
    return (top, left, bottom, right), len(windows[0])


def _windows_in(mask: npt.NDArray[np.bool_], box: Box, strategy: str, sample_size: int) -> list[Window]:
    """The windows of a part, counted from the corner of the whole."""
    top, left, bottom, right = box

    def moved(inner: Box) -> Box:
        return inner[0] + top, inner[1] + left, inner[2] + top, inner[3] + left

    found = find_windows(mask[top:bottom, left:right], strategy, sample_size)
    return [Window(moved(window.view), moved(window.hole), window.work_size) for window in found]


def _grow(mask: npt.NDArray[np.bool_], padding: int) -> npt.NDArray[np.bool_]:
    """`grow`, at the cost of the part that has holes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    reach = max(0, padding)
    here = tuple(slice(max(0, line[0] - reach), line[-1] + 1 + reach) for line in (rows, columns))
    grown = np.zeros_like(mask)
    grown[here] = grow(mask[here], padding)
    return grown


def _read(argument: str, path: Path, **options: Any) -> _Image:
    if path == STREAM:
        return read_file(sys.stdin.buffer.read(), f"`{argument}` from standard input", **options)
    return read_file(path, f"`{argument}` {str(path)!r}", **options)

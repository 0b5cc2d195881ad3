"""Where to work in a photo of any size: holes -> windows with context around them.

The networks see about a hundred pixels around a point, so a window around each group of holes serves as well as the
whole photo, at a fraction of the cost. They were trained on small squares: a much larger hole is filled better when
its window is reduced first and only the hole's content is enlarged again. This does not hold for a hole as fine as a
fence, because no known pixel between its bars would be left; nor for one as long and thin as a scratch, which is
repaired in tiles along it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from .holes import Box, tight
from .models import MIN_SIZE
from .tiles import divide

STRATEGIES = ("auto", "original", "crop", "resize")

_CONTEXT = 128  # pixels around a hole; eight residual blocks see 110
_THIN_CONTEXT = 64  # pixels around a tile, whose hole has known ones all along
_THIN = 4  # times as long as a hole is thick where it may be cut are the training pictures' sides
_LARGEST = 2048  # pixels a side; larger windows are made smaller whatever is lost, as they would take gigabytes
_CELL = 32  # holes nearer to each other than this many pixels are one group from the start


@dataclass(frozen=True)
class Window:
    """A part of a picture that the networks see.

    Args:
        view (`Box`): what they see.
        hole (`Box`): the part of it whose holes this window repaints; holes elsewhere in the view are another's.
        work_size (`tuple[int, int]`): height and width it is worked on at; the view's own, or smaller.
    """

    view: Box
    hole: Box
    work_size: tuple[int, int]

    @property
    def view_size(self) -> tuple[int, int]:
        """Height and width of the view."""
        return _size(self.view)

    @property
    def view_slices(self) -> tuple[slice, slice]:
        """Rows and columns of the view."""
        return _slices(self.view)

    @property
    def hole_slices(self) -> tuple[slice, slice]:
        """Rows and columns of the hole's box."""
        return _slices(self.hole)

    @property
    def hole_in_view(self) -> tuple[slice, slice]:
        """Rows and columns of the hole's box, counted from the view's corner."""
        (top, left, _, _), (hole_top, hole_left, hole_bottom, hole_right) = self.view, self.hole
        return slice(hole_top - top, hole_bottom - top), slice(hole_left - left, hole_right - left)

    @property
    def is_reduced(self) -> bool:
        """Whether the view is worked on smaller than it is."""
        return self.work_size != self.view_size

    @property
    def reduction(self) -> float:
        """Pixels of the view to one of the work size, along the longer side."""
        return max(self.view_size) / max(self.work_size)

    def reduce_image(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`[H,W,C]` of the view to the work size, averaged."""
        if not self.is_reduced:
            return image
        reduced = cv2.resize(image, self.work_size[::-1], interpolation=cv2.INTER_AREA)
        return cast("npt.NDArray[np.float32]", reduced.reshape(*self.work_size, image.shape[2]))

    def reduce_mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """`[H,W]` of the view to the work size; what touches the hole is hole, so that none of it is averaged in."""
        return self.reduce_image(mask[..., None].astype(np.float32))[..., 0] > 0

    def reduce_lines(self, lines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`[H,W]` of the view to the work size by the strongest, so that a line stays one. Undoes `enlarge_lines`."""
        if not self.is_reduced:
            return lines
        for axis, (size, work_size) in enumerate(zip(self.view_size, self.work_size, strict=True)):
            starts = np.searchsorted(_nearest(size, work_size), np.arange(work_size))
            lines = np.maximum.reduceat(lines, starts, axis=axis)
        return lines

    def enlarge_lines(self, lines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`[H,W]` of the work size to the view, by the nearest."""
        if not self.is_reduced:
            return lines
        rows, columns = (_nearest(*sizes) for sizes in zip(self.view_size, self.work_size, strict=True))
        return lines[rows][:, columns]

    def enlarge_image(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`[H,W,C]` of the work size to the view, bicubic."""
        if not self.is_reduced:
            return image
        enlarged = cv2.resize(image, self.view_size[::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(enlarged, 0, 1)


def find_windows(
    mask: npt.NDArray[np.bool_], strategy: str, sample_size: int, unknown: npt.NDArray[np.bool_] | None = None
) -> list[Window]:
    """The windows in which to repair a picture.

    Args:
        mask (`np.ndarray`): `[H,W]`, True in the hole.
        strategy (`str`): `"original"`: the whole picture. `"crop"`: a window for each group of holes, at its own size.
            `"resize"`: the same, but worked on at no more than `sample_size` a side. `"auto"`: at no more than a hole
            of the training scale and its context take, so that such holes stay at their own size. Either limit is
            doubled, up to 2048, as long as over half of a window's known pixels would be lost. They bound time and
            memory. `"auto"` and `"crop"` divide a larger window into tiles where its hole is thin, at most a quarter of
            `sample_size`, unless all tiles together would take more pixels than the window has.
        sample_size (`int`): side of the pictures the networks were trained on.
        unknown (`np.ndarray`, *optional*): `[H,W]`, True where nothing is known: by default in the hole only.

    Returns:
        Windows whose hole boxes do not meet and hold every hole; none for a mask without holes.
    """
    if not mask.any():
        return []
    size = mask.shape[0], mask.shape[1]
    if strategy == "original":
        whole = (0, 0, *size)
        return [Window(whole, whole, size)]
    auto_limit = _auto_limit(sample_size)
    limit = {"auto": auto_limit, "crop": math.inf, "resize": sample_size}[strategy]

    def view(box: Box) -> Box:
        return _with_context(box, size)

    unknown = mask if unknown is None else unknown

    def windows(box: Box, seen: Box) -> list[Window]:
        if strategy != "resize" and max(_size(seen)) > auto_limit:
            parts = divide(mask, box, auto_limit - 2 * _THIN_CONTEXT, sample_size // _THIN)
            tiles = [_window(_with_context(part, size, is_thin), part, unknown, limit) for part, is_thin in parts]
            cost = sum(math.prod(tile.work_size) for tile in tiles)
            if any(is_thin for _, is_thin in parts) and cost <= math.prod(_size(seen)):
                return tiles
        return [_window(seen, box, unknown, limit)]

    return [window for pair in _merge(_hole_boxes(mask), view, auto_limit) for window in windows(*pair)]


def region(mask: npt.NDArray[np.bool_], strategy: str, sample_size: int) -> Box:
    """The part of a photo that decides its result. Photo and mask cut to it, or to more, give the same windows again.

    Args:
        mask (`np.ndarray`): `[H,W]`, True in the hole; there must be one.
        strategy, sample_size: as for `find_windows`.
    """
    size = mask.shape[0], mask.shape[1]
    if strategy == "original":
        return (0, 0, *size)
    looked_at: list[Box] = []  # what two holes would see together also decides whether they do

    def view(box: Box) -> Box:
        looked_at.append(_with_context(box, size))
        return looked_at[-1]

    _merge(_hole_boxes(mask), view, _auto_limit(sample_size))
    return functools.reduce(_union, looked_at)


def _slices(box: Box) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return slice(top, bottom), slice(left, right)


def _nearest(size: int, work_size: int) -> npt.NDArray[np.intp]:
    """For each of `size` pixels, the one of `work_size` that its centre falls in."""
    return ((np.arange(size) + 0.5) * work_size / size).astype(np.intp)


def _hole_boxes(mask: npt.NDArray[np.bool_]) -> list[Box]:
    """Boxes around connected holes, found on a grid of cells, so that a million specks cost no more than one hole."""
    top, left, bottom, right = tight(mask)
    holes = mask[top:bottom, left:right]
    height, width = holes.shape
    rows, columns = np.arange(0, height, _CELL), np.arange(0, width, _CELL)
    cells = np.logical_or.reduceat(np.logical_or.reduceat(holes, rows, axis=0), columns, axis=1)
    count, _, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    boxes = []
    for x, y, w, h, _ in (stats[:count][1:] * _CELL).tolist():  # the first component is the background
        part_top, part_left, part_bottom, part_right = tight(holes[y : y + h, x : x + w])
        boxes.append((top + y + part_top, left + x + part_left, top + y + part_bottom, left + x + part_right))
    return boxes


def _auto_limit(sample_size: int) -> int:
    """The longest side of a view around a hole of the training scale."""
    return max(2 * sample_size, sample_size + 2 * _CONTEXT)  # as `_with_context`


def _with_context(box: Box, size: tuple[int, int], is_thin: bool = False) -> Box:
    """`box` with context around it: what the networks see around a point, or half the hole's length if that is more, as
    with the paper's masks of a quarter of the area; less around a tile of a thin hole. Moved into the photo where it
    would stick out."""
    context = _THIN_CONTEXT if is_thin else max(_CONTEXT, max(_size(box)) // 2)
    (top, bottom), (left, right) = (
        _extent(start - context, stop + context, length)
        for start, stop, length in ((box[0], box[2], size[0]), (box[1], box[3], size[1]))
    )
    return top, left, bottom, right


def _extent(start: int, stop: int, length: int) -> tuple[int, int]:
    """`start` to `stop`, moved into 0 to `length`, and cut where it is longer than that."""
    low = max(0, min(start, length - (stop - start)))
    return low, min(length, low + stop - start)


def _window(view: Box, hole: Box, unknown: npt.NDArray[np.bool_], limit: float) -> Window:
    """A window reduced to at most `limit` a side, which is doubled, up to `_LARGEST`, until at least half of the share
    of known pixels survives the reduction."""
    known = ~unknown[_slices(view)]
    while True:
        window = Window(view, hole, _work_size(view, limit))
        if not window.is_reduced or limit >= _LARGEST or (~window.reduce_mask(~known)).mean() >= known.mean() / 2:
            return window
        limit = min(2 * limit, _LARGEST)


def _work_size(view: Box, limit: float) -> tuple[int, int]:
    scale = min(1.0, limit / max(_size(view)))
    height, width = (max(min(side, MIN_SIZE), round(side * scale)) for side in _size(view))
    return height, width


def _merge(boxes: list[Box], view: Callable[[Box], Box], largest: int) -> list[tuple[Box, Box]]:
    """Join boxes that overlap, and those whose common view is no larger than their two views and at most `largest` a
    side.

    Returns:
        Boxes that no longer meet, each with its view.
    """
    merged: list[tuple[Box, Box]] = []
    for box in boxes:
        pair = box, view(box)
        while partner := next((other for other in merged if _should_join(pair, other, view, largest)), None):
            merged.remove(partner)
            both = _union(pair[0], partner[0])
            pair = both, view(both)
        merged.append(pair)
    return merged


def _should_join(one: tuple[Box, Box], other: tuple[Box, Box], view: Callable[[Box], Box], largest: int) -> bool:
    if _meet(one[0], other[0]):
        return True
    if not _meet(one[1], other[1]):
        return False  # a view over both would be larger than the two
    both = view(_union(one[0], other[0]))
    return max(_size(both)) <= largest and math.prod(_size(both)) <= math.prod(_size(one[1])) + math.prod(
        _size(other[1])
    )


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]

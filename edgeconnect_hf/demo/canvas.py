"""Masks and lines at the photo's full size <-> layers of the page's editors, which show a smaller copy.

An editor gets a transparent layer and returns it with a person's strokes. Only pixels that changed are carried over to
the full size; all others keep their exact values there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..pictures import flatten

MASK_COLOUR = (225, 29, 72)
MASK_OPACITY = 0.6
KNOWN_COLOUR = (17, 24, 39)
IMAGINED_COLOUR = (234, 88, 12)
DRAWN_COLOUR = (37, 99, 235)

_SHOWN_SIDE = 1024  # pixels of the longer side in the editors

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Lines:
    """A line map being edited.

    Args:
        edges (`np.ndarray`): `[H,W]` uint8, 255 on a line.
        drawn (`np.ndarray`): `[H,W]` bool, True where a person drew it.
        mask (`np.ndarray`): `[H,W]` bool, True in the hole they were made for.
    """

    edges: Bytes
    drawn: Bools
    mask: Bools


def hex_colour(colour: tuple[int, int, int]) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def show_photo(image: Image.Image) -> Image.Image:
    """An upright photo as the editors show it: RGB on white, at most 1024 pixels a side.

    Raises:
        ValueError: its mode is I or F.
    """
    height, width = _shown_size((image.height, image.width))
    return flatten(image, "RGB").resize((width, height), Image.Resampling.BOX)


def mask_layer(mask: Bools) -> Image.Image:
    """The layer that shows `mask`, `[H,W]`."""
    shown = _reduce(mask)
    return Image.fromarray(np.dstack([_plane(shown, MASK_COLOUR), np.uint8(255 * MASK_OPACITY) * shown]))


def read_mask(layers: Sequence[Image.Image], mask: Bools) -> Bools:
    """`mask` with what a person has painted and erased on `layers`, which showed it."""
    shown = _reduce(mask)
    returned = _flatten(layers, shown.shape)[..., 3] >= 255 * MASK_OPACITY / 2
    return np.where(_enlarge(returned != shown, mask.shape), _enlarge(returned, mask.shape), mask)


def lines_background(photo: Image.Image, mask: Bools) -> Image.Image:
    """The shown photo, faded so that lines stand out, and more in the hole."""
    share = np.where(_reduce(mask), 0.12, 0.45)[..., None]
    return Image.fromarray(np.rint(np.asarray(photo) * share + 255 * (1 - share)).astype(np.uint8))


def lines_layer(lines: Lines) -> Image.Image:
    """The layer that shows `lines`: coloured by origin, as opaque as they are strong."""
    colour = _plane(_reduce(lines.mask), IMAGINED_COLOUR, KNOWN_COLOUR)
    colour[_reduce(lines.drawn)] = DRAWN_COLOUR
    return Image.fromarray(np.dstack([colour, _reduce(lines.edges)]))


def read_lines(layers: Sequence[Image.Image], lines: Lines) -> Lines:
    """`lines` with what a person has drawn and erased on `layers`, which showed them."""
    before = np.asarray(lines_layer(lines)).astype(np.int16)
    after = _flatten(layers, before.shape[:2]).astype(np.int16)
    opacity_before, opacity = before[..., 3], after[..., 3]
    distances = [
        np.abs(after[..., :3] - colour).sum(axis=2) for colour in (DRAWN_COLOUR, KNOWN_COLOUR, IMAGINED_COLOUR)
    ]
    is_drawn = (opacity >= 128) & (distances[0] < np.minimum(*distances[1:])) & ~_reduce(lines.drawn)
    is_erased = ~is_drawn & (opacity * 2 < opacity_before)

    size = lines.edges.shape
    drawn, erased = _enlarge(is_drawn, size), _enlarge(is_erased, size)
    edges = np.where(drawn, np.uint8(255), np.where(erased, np.uint8(0), lines.edges))
    return Lines(edges, (lines.drawn | drawn) & ~erased, lines.mask)


def _shown_size(size: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, _SHOWN_SIDE / max(size))
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def _nearest(size: int, shown: int) -> npt.NDArray[np.intp]:
    """For each of `size` pixels, the shown one that its centre falls in."""
    return ((np.arange(size) + 0.5) * shown / size).astype(np.intp)


def _reduce(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`[H,W]` to the shown size by the maximum, so that thin lines stay visible."""
    for axis, (size, shown) in enumerate(zip(plane.shape, _shown_size(plane.shape), strict=True)):
        plane = np.maximum.reduceat(plane, np.searchsorted(_nearest(size, shown), np.arange(shown)), axis=axis)
    return plane


def _enlarge(plane: Bools, size: tuple[int, ...]) -> Bools:
    """`[h,w]` of the shown size to `size` by the nearest: each pixel becomes those that `_reduce` made it from."""
    rows, columns = (_nearest(*sides) for sides in zip(size, plane.shape, strict=True))
    return plane[rows][:, columns]


def _plane(where: npt.NDArray[Any], colour: tuple[int, int, int], elsewhere: tuple[int, int, int] = (0, 0, 0)) -> Bytes:
    """`[h,w,3]`: `colour` where `where` is above 0, `elsewhere` in all other places."""
    planes = np.where(where[..., None] > 0, np.array(colour, np.uint8), np.array(elsewhere, np.uint8))
    return cast("Bytes", planes)


def _flatten(layers: Sequence[Image.Image], size: tuple[int, ...]) -> Bytes:
    """All layers composited: `[h,w,4]`."""
    flat = Image.new("RGBA", (size[1], size[0]))
    for layer in layers:
        flat.alpha_composite(layer.convert("RGBA").resize(flat.size, Image.Resampling.NEAREST))
    return np.asarray(flat)

"""Extend photos outward: larger canvases, whose new parts are holes."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
import numpy.typing as npt

from .pictures import Array, Picture

MAX_EXTENSION = 4096  # pixels a side
SIDES = ("left", "right", "top", "bottom")

Margins = tuple[int, int, int, int]  # left, right, top, bottom


def find_margins(size: tuple[int, int], sides: Mapping[str, int], aspect_ratio: float | str | None) -> Margins:
    """By how many pixels a photo grows.

    Args:
        size (`tuple[int, int]`): its height and width.
        sides (`dict[str, int]`): pixels by the names of `SIDES`.
        aspect_ratio (`float` or `str`, *optional*): width by height, as 1.5 or "3:2", in place of `sides`. The photo
            becomes wider or higher, by the same on both sides.

    Raises:
        ValueError: an argument is not as expected; the message names it.
    """
    for side, pixels in sides.items():
        _check_pixels(side, pixels)
    left, right, top, bottom = (int(sides.get(side, 0)) for side in SIDES)
    if aspect_ratio is None:
        if not (left or right or top or bottom):
            raise ValueError("`left`, `right`, `top`, `bottom` or `aspect_ratio` must say how far: got none of them.")
        return left, right, top, bottom
    if left or right or top or bottom:
        raise ValueError("`aspect_ratio` must come without `left`, `right`, `top` and `bottom`: got both.")
    height, width = size
    ratio = _read_ratio(aspect_ratio)
    across, down = max(0, round(height * ratio) - width), max(0, round(width / ratio) - height)
    if max(across, down) > 2 * MAX_EXTENSION:
        raise ValueError(
            f"`aspect_ratio` must extend a photo by at most {2 * MAX_EXTENSION} pixels: {width}x{height} would grow by "
            f"{max(across, down)} for {aspect_ratio!r}."
        )
    return across // 2, across - across // 2, down // 2, down - down // 2


def extend_pictures(
    pictures: list[Picture], margins: list[Margins]
) -> tuple[list[Picture], list[npt.NDArray[np.bool_]]]:
    """The pictures with their margins, and masks `[H,W]`, True in these. Margins are opaque."""
    extended, masks = [], []
    for picture, (left, right, top, bottom) in zip(pictures, margins, strict=True):
        around = (top, bottom), (left, right)
        colour = np.pad(picture.colour, (*around, (0, 0)))
        alpha = picture.alpha
        if alpha is not None:
            alpha = np.pad(alpha, (*around, (0, 0)), constant_values=_opaque(alpha))
        extended.append(replace(picture, colour=colour, alpha=alpha))
        masks.append(np.pad(np.zeros(picture.size, bool), around, constant_values=True))
    return extended, masks


def _opaque(alpha: Array) -> float:
    return 1 if alpha.dtype == np.float32 else int(np.iinfo(alpha.dtype).max)


def _check_pixels(side: str, pixels: int) -> None:
    if not (isinstance(pixels, Integral) and 0 <= pixels <= MAX_EXTENSION):
        raise ValueError(f"`{side}` must be a whole number of pixels from 0 to {MAX_EXTENSION}: got {pixels!r}.")


def _read_ratio(aspect_ratio: float | str) -> float:
    try:
        if isinstance(aspect_ratio, str):
            wide, _, high = aspect_ratio.partition(":")
            ratio = float(Fraction(wide.strip()) / Fraction(high.strip() or 1))
        else:
            ratio = float(aspect_ratio) if isinstance(aspect_ratio, Real) else 0.0
    except (ValueError, ZeroDivisionError, OverflowError):
        ratio = 0.0
    if not 0.01 <= ratio <= 100:  # nor NaN
        raise ValueError(
            f"`aspect_ratio` must be width by height, as 1.5 or '3:2', from 0.01 to 100: got {aspect_ratio!r}."
        )
    return ratio

"""Holes: how they grow, and the plain ground that some of them lie on."""

from numbers import Integral
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

MAX_PADDING = 256  # pixels
_REACH = 32  # pixels around a hole that decide whether its ground is plain
_TOLERANCE = 2 / 255  # from the plane; less is the noise of rounding twice
_FEWEST = 16  # pixels that tell a slope; any three lie on a plane

Bools = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are one past the end


def check_padding(mask_padding: int) -> None:
    """Refuse what is no number of pixels to grow a hole by."""
    if not (isinstance(mask_padding, Integral) and 0 <= mask_padding <= MAX_PADDING):
        raise ValueError(f"`mask_padding` must be a whole number from 0 to {MAX_PADDING}: got {mask_padding!r}.")


def tight(mask: Bools) -> Box:
    """The smallest box around all True of `[H,W]`; there must be one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def grow(mask: Bools, pixels: int) -> Bools:
    """Grow the hole by `pixels` in every direction, with round corners; a negative number shrinks it.

    Args:
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        pixels (`int`): how far.
    """
    if not pixels or not mask.any():
        return mask
    top, left, bottom, right = tight(mask)
    reach = max(0, pixels) + 1  # of what is no hole, the next pixel is enough
    here = slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach)
    changed = np.zeros_like(mask)
    # Distances cost the same for any number of pixels; a dilation by a disc, up to 200 times as much.
    changed[here] = _distance(~mask[here]) <= pixels if pixels > 0 else _distance(mask[here]) > -pixels
    return changed


def _distance(inside: Bools) -> npt.NDArray[Any]:
    """`[H,W]` float32: from each pixel of `inside` to the nearest that is not; zero outside."""
    return cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def check_known(mask: Bools, alpha: npt.NDArray[Any] | None) -> None:
    """Refuse a hole outside which nothing is visible.

    Args:
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        alpha (`np.ndarray`, *optional*): `[H,W,1]`, 0 where the photo is fully transparent.

    Raises:
        ValueError: there is a hole, and nothing else to be seen.
    """
    if mask.any() and (mask if alpha is None else mask | (alpha[..., 0] == 0)).all():
        raise ValueError(
            "`mask_image`, grown by `mask_padding`, must leave a visible part of `image` to complete it from: got "
            f"{'a hole everywhere' if mask.all() else 'full transparency everywhere outside the hole'}."
        )


def plain_ground(image: npt.NDArray[np.float32], hole: Bools, unknown: Bools) -> npt.NDArray[np.float32] | None:
    """The plain ground that a hole lies on: paper, a wall, a clear sky.

    Instance norm divides by the variance around a hole; where there is none, the networks paint noise. A plane through
    the colours near the hole, by least squares, paints such ground exactly.

    Args:
        image (`np.ndarray`): `[H,W,3]` float32 in [0,1].
        hole (`np.ndarray`): `[H,W]` bool, True in the hole.
        unknown (`np.ndarray`): `[H,W]` bool, True in the hole and where else the image is to be ignored.

    Returns:
        `[H,W,3]` float32 in [0,1], one flat colour or a linear gradient; white if nothing is known. None if a known
        pixel within 32 pixels of the hole differs from it by 2 of 255 levels or more, or if none is known there.
    """
    if unknown.all():
        return np.ones_like(image)  # as the networks see a hole
    square = np.ones((2 * _REACH + 1,) * 2, np.uint8)  # ten times as fast as a disc
    rows, columns = np.nonzero((cv2.dilate(hole.astype(np.uint8), square) > 0) & ~unknown)
    if not rows.size:
        return None
    height, width = hole.shape
    colours = image[rows, columns].astype(np.float64)  # [P,3]
    terms = 3 if rows.size >= _FEWEST else 1  # a colour, and its slopes across and down
    position = np.stack([np.ones(rows.size), columns / width - 0.5, rows / height - 0.5], axis=1)[:, :terms]
    plane, *_ = np.linalg.lstsq(position, colours, rcond=None)  # [terms,3]
    fitted = position @ plane  # [P,3]
    if np.abs(fitted - colours).max() >= _TOLERANCE:
        return None
    everywhere = np.broadcast_to(plane[0], image.shape)
    if terms == 3:
        across, down = np.arange(width)[:, None] / width - 0.5, np.arange(height)[:, None, None] / height - 0.5
        everywhere = everywhere + across * plane[1] + down * plane[2]  # [H,W,3]
    low, high = fitted.min(axis=0), fitted.max(axis=0)
    # Beyond what is known, as far again as the known colours differ: a slope may end there.
    everywhere = np.clip(everywhere, 2 * low - high, 2 * high - low)
    return np.clip(everywhere, 0, 1).astype(np.float32)

"""Holes: how they grow, and the plain ground that some of them lie on."""

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

MAX_PADDING = 256  # pixels
_REACH = 32  # pixels around a hole that decide whether its ground is plain
_TOLERANCE = 2 / 255  # from the plane; less is the noise of rounding twice


def grow(mask: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """Grow the hole by `pixels` in every direction; a negative number shrinks it.

    Args:
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        pixels (`int`): how far.
    """
    if not pixels:
        return mask
    change = cv2.dilate if pixels > 0 else cv2.erode
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    return cast("npt.NDArray[np.bool_]", change(mask.astype(np.uint8), disc) > 0)


def check_known(mask: npt.NDArray[np.bool_], alpha: npt.NDArray[Any] | None) -> None:
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


def plain_ground(image: npt.NDArray[np.float32], hole: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32] | None:
    """The plain ground that a hole lies on: paper, a wall, a clear sky.

    Instance norm divides by the variance around a hole; where there is none, the networks paint noise. A plane through
    the colours near the hole, by least squares, paints such ground exactly.

    Args:
        image (`np.ndarray`): `[H,W,3]` float32 in [0,1]; its hole is ignored.
        hole (`np.ndarray`): `[H,W]` bool, True where nothing is known.

    Returns:
        `[H,W,3]` float32 in [0,1], one flat colour or a linear gradient; None if a known pixel within 32 pixels of the
        hole differs from it by 2 of 255 levels or more, or if none is known there.
    """
    square = np.ones((2 * _REACH + 1,) * 2, np.uint8)  # ten times as fast as a disc
    rows, columns = np.nonzero((cv2.dilate(hole.astype(np.uint8), square) > 0) & ~hole)
    if not rows.size:
        return None
    height, width = hole.shape
    colours = image[rows, columns].astype(np.float64)  # [P,3]
    middle = colours.mean(axis=0)
    y, x = (rows / height - 0.5), (columns / width - 0.5)
    here = np.stack([np.ones_like(x), x, y], axis=1)  # [P,3]
    plane, *_ = np.linalg.lstsq(here, colours - middle, rcond=None)  # [3,3]
    if np.abs(here @ plane + middle - colours).max() >= _TOLERANCE:
        return None
    everywhere = (
        middle
        + plane[0]
        + (np.arange(width) / width - 0.5)[None, :, None] * plane[1]
        + (np.arange(height) / height - 0.5)[:, None, None] * plane[2]
    )
    return np.clip(everywhere, 0, 1).astype(np.float32)

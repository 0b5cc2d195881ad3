"""Colours that meet at the border of a hole.

A briefly trained completion network paints shapes better than colours: on a red wall its hole comes out brownish. But
it paints the known pixels too, and how far off it is there can be seen. That difference, carried smoothly into the
hole, is what its colours lack. (Not in the paper; akin to Poisson blending, Pérez et al., 2003.)
"""

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_TRUST = 4  # a pixel of the next, half as large picture is sure where a quarter of it is known


def match_colours(painted: Floats, known: Floats, hole: npt.NDArray[np.bool_]) -> Floats:
    """`painted`, its colours shifted by what they lack at the known pixels around.

    Args:
        painted (`np.ndarray`): `[H,W,C]` float32 in [0,1], what the network painted, in and outside the hole.
        known (`np.ndarray`): `[H,W,C]` float32 in [0,1], the picture; its hole is not looked at.
        hole (`np.ndarray`): `[H,W]` bool, True in the hole.

    Returns:
        `[H,W,C]` float32 in [0,1]; outside the hole `known`.
    """
    is_known = (~hole).astype(np.float32)
    lacking = spread(known - painted, is_known)
    return cast("Floats", np.where(hole[..., None], np.clip(painted + lacking, 0, 1), known))


def spread(values: Floats, weights: Floats) -> Floats:
    """Fills in what is not known from what is, the farther from it the smoother: an image pyramid, down and up again.

    Args:
        values (`np.ndarray`): `[H,W,C]` float32.
        weights (`np.ndarray`): `[H,W]` float32 in [0,1]: 1 where `values` is known, 0 where it is to be filled in.

    Returns:
        `[H,W,C]` float32: `values` where the weight is 1. Zero if it is known nowhere.
    """
    height, width = weights.shape
    weighted = values * weights[..., None]
    if min(height, width) <= 2:
        filled: Any = weighted.sum((0, 1)) / max(float(weights.sum()), np.finfo(np.float32).eps)
    else:
        small_weights = cv2.pyrDown(weights)
        small = _channels(cv2.pyrDown(weighted)) / np.maximum(small_weights, np.finfo(np.float32).eps)[..., None]
        small = spread(small, np.minimum(_TRUST * small_weights, 1))
        filled = _channels(cv2.pyrUp(small, dstsize=(width, height)))
    return cast("Floats", weighted + filled * (1 - weights[..., None]))


def _channels(planes: Any) -> Any:
    """`[H,W,C]`, also where OpenCV has dropped a single channel."""
    return planes.reshape(*planes.shape[:2], -1)

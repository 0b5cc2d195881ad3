"""Long thin holes, such as a scratch across a photo, divided into tiles along them.

Wherever a thin hole is cut, there are known pixels beside it, so each part can be repaired on its own, at full size.
"""

import cv2
import numpy as np

from .holes import Bools, Box, grow, tight

_REACH = 8  # a cut is off the middle by at most one part in so many of the length


def divide(mask: Bools, box: Box, most: int, thickest: int) -> list[tuple[Box, bool]]:
    """Divide a hole along its length.

    It is cut in two across its longer side, and so are its parts, as long as they are longer than `most`. A cut lies
    near the middle, where it meets the fewest pixels of the hole, so that it crosses a bar and does not split it. Where
    every such cut meets a thick part of the hole, there is none.

    Args:
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        box (`Box`): the hole to divide; there must be one.
        most (`int`): pixels a side that a part may have.
        thickest (`int`): pixels of thickness that may be cut.

    Returns:
        Boxes that do not meet and hold all of the hole, each with whether its part of the hole is at most that thick.
    """
    top, left, bottom, right = box
    hole = mask[top:bottom, left:right]
    framed = np.pad(hole.astype(np.uint8), 1)  # beyond the box there is no hole
    distances = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]  # half the thickness
    thick = grow(distances > thickest // 2, thickest // 2)  # the core of what is thick, and what is around it
    return [(_moved(part, top, left), is_thin) for part, is_thin in _divide(hole, thick, most)]


def _divide(hole: Bools, thick: Bools, most: int) -> list[tuple[Box, bool]]:
    """`divide` for all of `hole` `[h,w]`, which may not be cut where `thick` `[h,w]` is True."""
    top, left, bottom, right = tight(hole)
    height, middle = bottom - top, (top + bottom) // 2
    if right - left > height:
        return [((y, x, y_end, x_end), is_thin) for (x, y, x_end, y_end), is_thin in _divide(hole.T, thick.T, most)]
    rows = np.arange(middle - height // _REACH, middle + height // _REACH + 1)  # the first ones below a cut
    rows = rows[~thick[rows].any(axis=1)] if height > most else rows[:0]
    if not rows.size:
        return [((top, left, bottom, right), not thick.any())]
    cut = int(rows[np.lexsort((abs(rows - middle), hole[rows].sum(axis=1)))[0]])
    below = [(_moved(part, cut, 0), is_thin) for part, is_thin in _divide(hole[cut:], thick[cut:], most)]
    return _divide(hole[:cut], thick[:cut], most) + below


def _moved(box: Box, down: int, right: int) -> Box:
    return box[0] + down, box[1] + right, box[2] + down, box[3] + right

"""Holes to train with: rectangles, halves, brush strokes, a folder of masks, and a mixture of them (section 4).

A mask is a `[size,size]` bool array, True in the hole. Every draw takes its chance from the `np.random.Generator`
given, so that the same generator state gives the same mask.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from training.picture_modes import to_mode

Mask: TypeAlias = npt.NDArray[np.bool_]

HOLE_SHARE = (0.1, 0.6)  # of the picture: the paper's range for irregular masks
_LINGERING = 0.7 ** np.arange(8)  # how a turn of the hand goes on for some strides
MASK_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")


def rectangle_mask(size: int, rng: np.random.Generator) -> Mask:
    """A square of half the side anywhere in the picture: a quarter of its area, the paper's regular mask."""
    side = size // 2
    top, left = rng.integers(0, size - side, size=2, endpoint=True)
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def half_mask(size: int, rng: np.random.Generator) -> Mask:
    """The left, right, upper or lower half of the picture."""
    mask = np.zeros((size, size), np.bool_)
    mask[: size // 2] = True
    return _turn(mask, rng)


def irregular_mask(size: int, rng: np.random.Generator, hole_share: tuple[float, float] = HOLE_SHARE) -> Mask:
    """Brush strokes and blobs, drawn until they cover the wanted part of the picture.

    Args:
        size (`int`): side of the picture in pixels.
        rng (`np.random.Generator`): where the chance comes from.
        hole_share (`tuple[float, float]`): the least and the largest part of the picture that is hole, within (0, 1).
            The part is drawn evenly between them and reached to the pixel: the last stroke is cut short there.

    Raises:
        ValueError: `hole_share` is no such range.
    """
    low, high = hole_share
    if not 0 < low <= high < 1:
        raise ValueError(f"`hole_share` is {hole_share}; two numbers, 0 < low <= high < 1, fit.")
    wanted = max(1, round(rng.uniform(low, high) * size * size))  # pixels
    mask = np.zeros((size, size), np.uint8)
    while True:
        points, thickness = _draw_stroke(size, wanted, rng)
        drawn = _with_line(mask, points, thickness)
        if cv2.countNonZero(drawn) >= wanted:
            return _ended_at(mask, points, thickness, wanted) > 0
        mask = drawn


def _draw_stroke(size: int, wanted: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int32], int]:
    """The way of a round brush that wanders as a hand does, `[points,2]` x, y in pixels, and the brush's breadth."""
    # Of a large hole the brush is broad (it would otherwise be a scribble), and some strokes are mere blobs.
    breadth = size * rng.uniform(0.02, 0.1) * (0.6 + 1.4 * np.sqrt(wanted) / size)
    length = size * (rng.uniform(0.05, 0.15) if rng.random() < 0.3 else rng.uniform(0.3, 1.2))
    stride = max(2.0, breadth / 2)
    turns = rng.normal(0, 0.3, size=2 + round(length / stride))
    bends = np.convolve(turns, _LINGERING)[: len(turns)]  # turns gradually, now left, now right
    path = stride * np.exp(1j * (rng.uniform(0, 2 * np.pi) + bends.cumsum()))  # steps, x + iy
    path[0] = complex(*rng.uniform(0, size, 2))  # and where it starts
    points = path.cumsum().view(np.float64).reshape(-1, 2)
    points = size - np.abs(points % (2 * size) - size)  # turned back at the frame
    return points.astype(np.int32), max(1, round(breadth))


def _with_line(mask: npt.NDArray[np.uint8], points: npt.NDArray[np.int32], thickness: int) -> npt.NDArray[np.uint8]:
    drawn = mask.copy()
    cv2.polylines(drawn, [points], isClosed=False, color=255, thickness=thickness)
    return drawn


def _ended_at(
    mask: npt.NDArray[np.uint8], points: npt.NDArray[np.int32], thickness: int, wanted: int
) -> npt.NDArray[np.uint8]:
    """`mask` with the stroke, which covers too much, ended where `wanted` pixels are covered."""
    fits = 0  # how many of the stroke's segments, from its start, can be drawn whole
    too_many = len(points) - 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        covered = cv2.countNonZero(_with_line(mask, points[: middle + 1], thickness))
        fits, too_many = (fits, middle) if covered > wanted else (middle, too_many)
    before = _with_line(mask, points[: fits + 1], thickness) if fits else mask.copy()
    after = _with_line(mask, points[: too_many + 1], thickness)
    # Of the segment that is too much, the pixels nearest to its start: the stroke ends round, as a brush does.
    y, x = np.nonzero(after > before)
    distance = (x - points[fits, 0]) ** 2 + (y - points[fits, 1]) ** 2
    kept = np.argsort(distance, kind="stable")[: wanted - cv2.countNonZero(before)]
    before[y[kept], x[kept]] = 255
    return before


class MaskFolder:
    """Masks drawn from a folder of pictures: white (128 and above) is the hole, the side is resized NEAREST.

    Each is mirrored and turned by a multiple of 90 degrees at random, as the paper does with the masks of Liu et al.

    Args:
        folder (`str` or `Path`): its pictures are taken, those of subfolders too.

    Raises:
        ValueError: there is no such folder, or no picture in it; when drawing: a file cannot be read.
    """

    def __init__(self, folder: str | Path):
        self.files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in MASK_SUFFIXES)
        if not self.files:
            what = "holds no pictures" if Path(folder).is_dir() else "is not a folder"
            raise ValueError(f"`mask_dataset` {str(folder)!r} {what}; a folder of {', '.join(MASK_SUFFIXES)} fits.")

    def __call__(self, size: int, rng: np.random.Generator) -> Mask:
        file = self.files[rng.integers(len(self.files))]
        try:
            with Image.open(file) as picture:
                mask = mask_from_picture(picture, size)
        except Exception as error:  # Pillow's decoders may raise anything
            raise ValueError(f"`mask_dataset` holds {str(file)!r}, which cannot be read: {error}") from error
        return _turn(mask, rng)


def mask_from_picture(picture: Image.Image, size: int) -> Mask:
    """A picture as a mask: resized NEAREST to `size` a side, True where its luminance is 128 and above.

    What is transparent is no hole.
    """
    return np.asarray(to_mode(picture, "L").resize((size, size), Image.Resampling.NEAREST)) >= 128


def _turn(mask: Mask, rng: np.random.Generator) -> Mask:
    """One of the eight ways to mirror and turn a square."""
    turned = np.rot90(mask, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


class MaskMixture:
    """Masks of several kinds, each as often as its weight says.

    Args:
        rectangle, half, irregular, external (`float`): weights, at least 0 and not all 0; only their proportions count.
        folder (`MaskFolder`, *optional*): where the external masks come from.

    Raises:
        ValueError: the weights are no weights, or `external` has one and there is no `folder`.
    """

    def __init__(
        self,
        rectangle: float = 0.0,
        half: float = 0.0,
        irregular: float = 0.0,
        external: float = 0.0,
        folder: MaskFolder | None = None,
    ):
        weights = {"rectangle": rectangle, "half": half, "irregular": irregular, "external": external}
        if min(weights.values()) < 0 or not 0 < sum(weights.values()) < np.inf:
            raise ValueError(f"the mask weights are {weights}; none below 0 and at least one above it fit.")
        if external > 0 and folder is None:
            raise ValueError(f"`external` is {external}, but there is no `folder` to draw these masks from.")
        sources: dict[str, Any] = {
            "rectangle": rectangle_mask,
            "half": half_mask,
            "irregular": irregular_mask,
            "external": folder,
        }
        self.sources: list[Callable[[int, np.random.Generator], Mask]] = [
            sources[name] for name, weight in weights.items() if weight > 0
        ]
        shares = np.array([weight for weight in weights.values() if weight > 0])
        self.shares = shares / shares.sum()

    def __call__(self, size: int, rng: np.random.Generator) -> Mask:
        """One mask, `[size,size]` bool, True in the hole; one of an external folder may have none."""
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        return source(size, rng)

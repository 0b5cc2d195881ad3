"""Holes to train with: rectangles, halves, brush strokes, a folder of masks, and a mixture of them.

A mask is a `[size,size]` bool array, True in the hole. It depends on the given `np.random.Generator` alone: the same
state gives the same mask.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeconnect_hf.pictures import flatten, read_file
from training.data.folders import find_images, list_files
from training.loss_weights import check_weights

Mask: TypeAlias = npt.NDArray[np.bool_]

HOLE_SHARE = (0.1, 0.6)  # of the image: the paper's range for irregular masks
_LINGERING = 0.7 ** np.arange(8)  # a turn of the hand fades over some strides


def rectangle_mask(size: int, rng: np.random.Generator) -> Mask:
    """A square of half the side anywhere in the image: a quarter of its area, the paper's regular mask."""
    side = size // 2
    top, left = rng.integers(0, size - side, size=2, endpoint=True)
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def half_mask(size: int, rng: np.random.Generator) -> Mask:
    """The left, right, upper or lower half of the image."""
    mask = np.zeros((size, size), np.bool_)
    mask[: size // 2] = True
    return _turn(mask, rng)


def irregular_mask(size: int, rng: np.random.Generator, hole_share: tuple[float, float] = HOLE_SHARE) -> Mask:
    """Brush strokes and blobs that cover a random share of the image.

    Args:
        size (`int`): side of the image in pixels.
        rng (`np.random.Generator`): source of randomness.
        hole_share (`tuple[float, float]`): smallest and largest share of the hole, within (0, 1). The share is drawn
            uniformly between them and met to the pixel: the last stroke is cut there.

    Raises:
        ValueError: `hole_share` is not a range within (0, 1).
    """
    low, high = hole_share
    if not 0 < low <= high < 1:
        raise ValueError(f"`hole_share` is {hole_share}, expected two numbers, 0 < low <= high < 1.")
    wanted = max(1, round(rng.uniform(low, high) * size * size))  # pixels
    mask = np.zeros((size, size), np.uint8)
    while True:
        points, thickness = _draw_stroke(size, wanted, rng)
        drawn = _with_line(mask, points, thickness)
        if cv2.countNonZero(drawn) >= wanted:
            return _ended_at(mask, points, thickness, wanted) > 0
        mask = drawn


def _draw_stroke(size: int, wanted: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int32], int]:
    """The path of a round brush moved as by hand, `[points,2]` x, y in pixels, and the brush's breadth."""
    # Large holes get a broad brush, or they would be scribbles; some strokes are mere blobs.
    breadth = size * rng.uniform(0.02, 0.1) * (0.6 + 1.4 * np.sqrt(wanted) / size)
    length = size * (rng.uniform(0.05, 0.15) if rng.random() < 0.3 else rng.uniform(0.3, 1.2))
    stride = max(2.0, breadth / 2)
    turns = rng.normal(0, 0.3, size=2 + round(length / stride))
    bends = np.convolve(turns, _LINGERING)[: len(turns)]  # turns gradually, now left, now right
    path = stride * np.exp(1j * (rng.uniform(0, 2 * np.pi) + bends.cumsum()))  # steps, x + iy
    path[0] = complex(*rng.uniform(0, size, 2))  # the start
    points = path.cumsum().view(np.float64).reshape(-1, 2)
    points = size - np.abs(points % (2 * size) - size)  # reflected at the frame
    return points.astype(np.int32), max(1, round(breadth))


def _with_line(mask: npt.NDArray[np.uint8], points: npt.NDArray[np.int32], thickness: int) -> npt.NDArray[np.uint8]:
    drawn = mask.copy()
    cv2.polylines(drawn, [points], isClosed=False, color=255, thickness=thickness)
    return drawn


def _ended_at(
    mask: npt.NDArray[np.uint8], points: npt.NDArray[np.int32], thickness: int, wanted: int
) -> npt.NDArray[np.uint8]:
    """`mask` with the stroke, which would cover too much, cut where `wanted` pixels are covered."""
    whole = 0  # segments from the start of the stroke that can be drawn whole
    too_many = len(points) - 1
    while too_many - whole > 1:
        middle = (whole + too_many) // 2
        covered = cv2.countNonZero(_with_line(mask, points[: middle + 1], thickness))
        whole, too_many = (whole, middle) if covered > wanted else (middle, too_many)
    before = _with_line(mask, points[: whole + 1], thickness) if whole else mask.copy()
    after = _with_line(mask, points[: too_many + 1], thickness)
    # Of the next segment, the pixels nearest to its start: the stroke ends round, like a brush.
    y, x = np.nonzero(after > before)
    distance = (x - points[whole, 0]) ** 2 + (y - points[whole, 1]) ** 2
    kept = np.argsort(distance, kind="stable")[: wanted - cv2.countNonZero(before)]
    before[y[kept], x[kept]] = 255
    return before


class MaskFolder:
    """Masks drawn from a folder of images: white is the hole; resized NEAREST.

    Each is mirrored and turned by a multiple of 90 degrees at random, as the paper does with the masks of Liu et al.

    Args:
        folder (`str` or `Path`): folder of the images, including its subfolders.
        threshold (`int`): luminance, of 255, from which a pixel is hole.

    Raises:
        ValueError: the folder does not exist or holds no images; when drawing: a file cannot be read.
    """

    def __init__(self, folder: str | Path, threshold: int = 128):
        self.threshold = threshold
        if not Path(folder).is_dir():
            raise ValueError(f"`mask_dataset` {str(folder)!r} is not a folder.")
        self.source = f"`mask_dataset` {str(folder)!r}"
        self.files = [Path(folder, file) for file in find_images(self.source, list_files(folder))]

    def __call__(self, size: int, rng: np.random.Generator) -> Mask:
        file = self.files[rng.integers(len(self.files))]
        try:
            image = flatten(read_file(file, "it"), "L")  # black, no hole, where it is transparent
        except ValueError as error:
            raise ValueError(f"`mask_dataset` holds {str(file)!r}, which cannot be read: {error}") from error
        return _turn(np.asarray(image.resize((size, size), Image.Resampling.NEAREST)) >= self.threshold, rng)


def _turn(mask: Mask, rng: np.random.Generator) -> Mask:
    """One of the eight ways to mirror and turn a square."""
    turned = np.rot90(mask, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


class MaskMixture:
    """A random choice among several kinds of masks.

    Args:
        rectangle, half, irregular, external (`float`): weights, at least 0 and not all 0; only their proportions count.
        folder (`MaskFolder`, *optional*): source of the external masks.

    Raises:
        ValueError: a weight is negative, all are 0, or `external` is above 0 without a `folder`.
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
        check_weights("the mask weights", weights)
        if external > 0 and folder is None:
            raise ValueError(f"`external` is {external}, which needs a `folder`.")
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
        """One mask, `[size,size]` bool, True in the hole; an external mask may be all False."""
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        return source(size, rng)

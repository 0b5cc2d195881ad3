"""Select an object: a click, a box or a scribble -> the mask that repaints it."""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .pictures import ImageInput, Picture, read_edges, read_images
from .pictures.picture import convert
from .segmenting import Box, Point, segment

MODES = ("replace", "add", "subtract")

Bools = npt.NDArray[np.bool_]


def select_object(
    image: ImageInput,
    *,
    points: Sequence[Point] | None = None,
    background_points: Sequence[Point] | None = None,
    box: Box | None = None,
    scribble: ImageInput | None = None,
    mask: ImageInput | None = None,
    mode: str = "replace",
    segmenter: Callable[..., Bools] = segment,
) -> Image.Image:
    """The mask of an object. `points`, `box` or `scribble`, or several of them, say which.

    The same arguments give the same mask.

    Args:
        image: one photo, as the pipeline takes it.
        points: pixels (x, y) on the object, from the photo's top left.
        background_points: pixels (x, y) that are not on it.
        box: around it, roughly: left, top, right, bottom in pixels.
        scribble: white strokes on it, on black; of the photo's size.
        mask: what was selected before, white; of the photo's size. By default nothing.
        mode (`str`): `"replace"`: the object instead of `mask`. `"add"`: both. `"subtract"`: `mask` without the
            object.
        segmenter: what finds the object; by default GrabCut on a reduced copy. It is called with the photo, `[H,W,3]`
            uint8 RGB, and by keyword `points` and `background_points` (lists of (x, y)), `box` (left, top, right,
            bottom, or None) and `scribble` (`[H,W]` bool, or None), and returns `[H,W]` bool, True on the object.

    Returns:
        A PIL picture of mode L and of the photo's size: 255 on the object, and on its rim, else 0.

    Raises:
        FileNotFoundError, TypeError, ValueError: an argument is not as expected; the message names it.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(map(repr, MODES))}: got {mode!r}.")
    pictures = read_images(image, "pil")
    if len(pictures) != 1:
        raise ValueError(f"`image` must be one photo: got {len(pictures)}.")
    (picture,) = pictures
    on, off = _check_points("points", points, picture), _check_points("background_points", background_points, picture)
    around = None if box is None else _check_box(box, picture)
    strokes = None if scribble is None else _read_map("scribble", scribble, picture)
    if not on and around is None and (strokes is None or not strokes.any()):
        raise ValueError("`points`, `box` or a white stroke in `scribble` must say where the object is: got none.")
    before = np.zeros(picture.size, bool) if mask is None else _read_map("mask", mask, picture)

    colour = convert(picture.colour, np.dtype(np.uint8))
    photo = np.ascontiguousarray(np.broadcast_to(colour, (*picture.size, 3)))
    found = segmenter(photo, points=on, background_points=off, box=around, scribble=strokes)
    if not isinstance(found, np.ndarray) or found.dtype != np.bool_ or found.shape != picture.size:
        is_array = isinstance(found, np.ndarray)
        got = f"{found.dtype} of the shape {list(found.shape)}" if is_array else type(found).__name__
        raise ValueError(f"`segmenter` must return a bool array of the photo's size, {list(picture.size)}: got {got}.")
    selected = {"replace": found, "add": before | found, "subtract": before & ~found}[mode]
    return Image.fromarray(selected.astype(np.uint8) * np.uint8(255))


def _check_points(name: str, points: Sequence[Point] | None, picture: Picture) -> list[Point]:
    height, width = picture.size
    checked = []
    for point in () if points is None else points:
        pair = _numbers(point, 2)
        if pair is None or not (0 <= pair[0] < width and 0 <= pair[1] < height):
            raise ValueError(f"`{name}` must be a list of (x, y) in the photo, {width}x{height} pixels: got {point!r}.")
        checked.append((pair[0], pair[1]))
    return checked


def _check_box(box: Box, picture: Picture) -> Box:
    """The part of a box that lies in the photo."""
    height, width = picture.size
    sides = _numbers(box, 4)
    if sides is not None:
        left, top, right, bottom = max(0, sides[0]), max(0, sides[1]), min(width, sides[2]), min(height, sides[3])
        if left < right and top < bottom:
            return left, top, right, bottom
    raise ValueError(
        f"`box` must be (left, top, right, bottom) around a part of the {width}x{height} photo: got {box!r}."
    )


def _numbers(values: Any, count: int) -> list[float] | None:
    """`count` finite numbers, or None."""
    try:
        numbers = list(values)
    except TypeError:
        return None
    if len(numbers) != count or not all(isinstance(number, Real) and math.isfinite(number) for number in numbers):
        return None
    return [float(number) for number in numbers]


def _read_map(name: str, value: ImageInput, picture: Picture) -> Bools:
    """`[H,W]` bool, True where a mask or scribble is white."""
    return read_edges(value, name, [Picture(convert(picture.colour, np.dtype(np.uint8)))])[0] >= 128

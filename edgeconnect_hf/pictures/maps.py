"""A caller's masks and line maps -> one checked `[H,W]` array for each picture."""

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .arguments import ImageInput, as_list_of, check_size, decode_argument, not_plain
from .decoding import eight_bits, flatten, to_array
from .deep import DeepImage
from .notices import warn
from .picture import Array, Picture, convert

_LAYOUTS = "[H,W], [H,W,1], [N,H,W] or [N,H,W,1]"
_TENSOR_LAYOUTS = "[H,W], [1,H,W], [N,H,W] or [N,1,H,W]"
_MID_GRAYS = (32 / 255, 223 / 255)
_MOST_MID_GRAYS = 0.02  # of a mask or line map; a photo has many more
_SAMPLE = 2**22  # pixels that are looked at


def read_masks(mask_image: ImageInput, pictures: list[Picture]) -> list[npt.NDArray[np.bool_]]:
    """Check `mask_image`: one `[H,W]` bool array a picture, True in the hole.

    White is hole: 0.5 or 128 and above, or 1 where all values are 0 and 1.

    Raises:
        TypeError, ValueError: not a mask, of another size than its picture, or with nothing known left.
    """
    masks = []
    for (height, width), mask_map in zip(
        (picture.size for picture in pictures), _read_maps(mask_image, "mask_image", pictures), strict=True
    ):
        mask = mask_map >= _middle(mask_map.dtype)
        if mask.all():
            raise ValueError(
                f"`mask_image` is white everywhere ({width}x{height}): nothing known is left to complete the picture "
                "from. White is repainted, black is kept."
            )
        if not mask.any():
            warn("`mask_image` has no white pixel: the picture comes back as it was.")
        _warn_of_photo(mask_map, "mask_image", "White is repainted, black is kept.")
        masks.append(mask)
    return masks


def read_edges(
    edges: ImageInput, name: str, pictures: list[Picture], masks: list[npt.NDArray[np.bool_]] | None = None
) -> list[Array]:
    """Check a line map, `name` being its argument: one `[H,W]` array a picture, uint8 or float32 as the picture is.

    Args:
        edges: the line maps.
        name (`str`): their argument.
        pictures (`list[Picture]`): what they are lines of.
        masks (`list[np.ndarray]`, *optional*): `[H,W]` bool, True in the hole, where lines may be gray.

    Raises:
        TypeError, ValueError: not a line map, or of another size than its picture.
    """
    maps = _read_maps(edges, name, pictures)
    for place, line_map in enumerate(maps):
        hole = np.zeros(line_map.shape, np.bool_) if masks is None else masks[place]
        _warn_of_photo(line_map, name, "Lines are white on black.", hole)
    return [convert(line_map, picture.lines_dtype).copy() for line_map, picture in zip(maps, pictures, strict=True)]


def read_map(image: Image.Image | DeepImage, name: str) -> Image.Image:
    """A mask or line map, `name` being its argument: decoded, upright, mode L; black where it is transparent.

    Raises:
        ValueError: it cannot be decoded, has no pixels, or is of mode I or F with other values than 0 and 1 or 255.
    """
    if isinstance(image, DeepImage):
        return flatten(image, "L")
    upright = decode_argument(image, name)
    if upright.mode in ("I", "F") or (upright.mode == "I;16" and "transparency" not in upright.info):
        values = to_array(upright)
        marked = _two_values(values)
        if marked is None and upright.mode == "I;16":
            marked = eight_bits(values)
        if marked is not None:
            return Image.fromarray(marked)
    try:
        return flatten(upright, "L")
    except ValueError as error:
        raise not_plain(name, error) from None


def _read_maps(value: ImageInput, name: str, pictures: list[Picture]) -> list[Array]:
    """One single-channel `[H,W]` array a picture, of its size; one map given serves all pictures."""
    singles = as_list_of(len(pictures), value, name, partial(_split_maps, pictures=pictures))
    maps = []
    for single, picture in zip(singles, pictures, strict=True):
        if isinstance(single, Image.Image | DeepImage):
            single = to_array(read_map(single, name))
            single = single if (marked := _two_values(single)) is None else marked
        check_size(single.shape, picture.size, name)
        maps.append(single)
    return maps


def _split_maps(array: Array, is_tensor: bool, name: str, pictures: list[Picture]) -> list[Array]:
    """Checked maps, `[H,W]`."""
    shape = array.shape
    layouts = _TENSOR_LAYOUTS if is_tensor else _LAYOUTS
    if array.ndim not in (2, 3, 4) or 0 in shape:
        raise ValueError(f"`{name}` must be {layouts}: got the shape {list(shape)}.")
    if array.ndim == 3:
        alike = shape[1:] == pictures[0].size and shape != (*pictures[0].size, 1)
        if alike and (not is_tensor or shape[0] == len(pictures)):  # [N,H,W]
            return [_to_map(single, name) for single in array]
        array = array[None]
    if array.ndim == 4:
        array = np.moveaxis(array, 1, -1) if is_tensor else array  # [N,H,W,C]
        channels = array.shape[-1]
        if channels > 4:
            raise ValueError(f"`{name}` must be {layouts}: got the shape {list(shape)}.")
        if channels != 1:
            raise ValueError(f"`{name}` must have one channel: got {channels}.")
        return [_to_map(single[..., 0], name) for single in array]
    return [_to_map(array, name)]


def _to_map(values: Array, name: str) -> Array:
    """`[H,W]` of any dtype as uint8, uint16 or float32, white being the largest value of that type, or 1."""
    if (marked := _two_values(values)) is not None:
        return marked
    if values.dtype in (np.uint8, np.uint16):
        return values
    what = f"is of dtype {values.dtype}"
    if values.dtype.kind in "uif":
        low, high = values.min(), values.max()  # a NaN makes both NaN
        if values.dtype.kind == "f" and low >= 0 and high <= 1:
            return values.astype(np.float32, copy=False)
        what = "holds NaN" if np.isnan(low) else f"{what} with values from {low:.6g} to {high:.6g}"
    error = ValueError if values.dtype.kind == "f" else TypeError
    raise error(f"`{name}` {what}; expected floats in [0, 1], uint8, uint16, bool, or 0 and 1, or 0 and 255.")


def _two_values(values: Array) -> npt.NDArray[np.uint8] | None:
    """`[H,W]` of 0 and 1, or 0 and 255, as uint8 of 0 and 255; None if it has other values."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "uif" or (values.dtype == np.uint8 and values.max() > 1):
        return None
    high = values.max()
    if high not in (0, 1, 255) or np.count_nonzero(values == 0) + np.count_nonzero(values == high) != values.size:
        return None if high != 0 or values.min() != 0 else values.astype(np.uint8)
    return (values != 0).astype(np.uint8) * np.uint8(255)


def _middle(dtype: np.dtype[Any]) -> float:
    """The least value of white."""
    return 0.5 if dtype.kind == "f" else (np.iinfo(dtype).max + 1) / 2


def _warn_of_photo(values: Array, name: str, expected: str, hole: npt.NDArray[np.bool_] | None = None) -> None:
    """Warn if more than 2 % of a map are mid grays; of a line map, only outside `hole`, and unless half of it is black:
    the generator's own lines are gray at the hole, too, and in all of a window where they are not blended."""
    step = math.ceil(math.sqrt(values.size / _SAMPLE))
    sample = values[::step, ::step]
    if hole is not None:
        sample = sample[~hole[::step, ::step]]
    low, high = (share if values.dtype.kind == "f" else share * np.iinfo(values.dtype).max for share in _MID_GRAYS)
    mid_grays = np.count_nonzero((sample >= low) & (sample <= high))
    is_mostly_black = hole is not None and 2 * np.count_nonzero(sample < low) > sample.size
    if mid_grays > _MOST_MID_GRAYS * sample.size and not is_mostly_black:
        share = mid_grays / sample.size
        warn(f"`{name}` looks like a photo: {share:.0%} of its pixels are mid grays. {expected}")

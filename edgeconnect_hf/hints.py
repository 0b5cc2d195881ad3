"""Colours that a person lays into the hole -> a checked RGBA array for each photo."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .pictures import Array, DeepImage, ImageInput, Picture, to_float
from .pictures.arguments import as_list_of, check_size, decode_argument

_NAME = "colour_hints"


def read_colour_hints(colour_hints: ImageInput, pictures: list[Picture]) -> list[npt.NDArray[np.float32]]:
    """Check `colour_hints`: one `[H,W,4]` float32 array in [0,1] a picture, RGB and strength.

    Raises:
        FileNotFoundError, TypeError, ValueError: not pictures with alpha, or of another size or number.
    """
    singles = as_list_of(len(pictures), colour_hints, _NAME, _split)
    hints = []
    for single, picture in zip(singles, pictures, strict=True):
        colours = _to_array(single)
        check_size((colours.shape[0], colours.shape[1]), picture.size, _NAME)
        if colours.shape[2] != 4:
            raise ValueError(f"`{_NAME}` must be RGBA, alpha being the strength: got {colours.shape[2]} channels.")
        hints.append(to_float(colours))
    return hints


def _to_array(single: Any) -> Array:
    if isinstance(single, DeepImage):
        return np.asarray(single)
    if isinstance(single, Image.Image):
        upright = decode_argument(single, _NAME)
        has_alpha = upright.has_transparency_data
        return np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
    return single


def _split(array: Array, is_tensor: bool, name: str) -> list[Array]:
    """Checked arrays `[H,W,4]`."""
    layouts = "[4,H,W] or [N,4,H,W]" if is_tensor else "[H,W,4] or [N,H,W,4]"
    if array.ndim not in (3, 4) or 0 in array.shape or array.shape[-3 if is_tensor else -1] != 4:
        raise ValueError(f"`{name}` must be {layouts}: got the shape {list(array.shape)}.")
    array = np.moveaxis(array, -3, -1) if is_tensor else array
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # nor NaN
            raise ValueError(f"`{name}` must hold floats in [0, 1]: got {array.min():.6g} to {array.max():.6g}.")
        array = array.astype(np.float32)
    elif array.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"`{name}` must be floats in [0, 1], uint8 or uint16: got dtype {array.dtype}.")
    return list(array) if array.ndim == 4 else [array]

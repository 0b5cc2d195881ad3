"""`Picture`, what the pipeline works on, and the way back to what a caller asked for."""

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .decoding import eight_bits
from .notices import warn

Array: TypeAlias = npt.NDArray[Any]

OUTPUT_TYPES = ("pil", "np", "pt")


@dataclass(frozen=True)
class Picture:
    """One checked picture.

    Args:
        colour (`np.ndarray`): `[H,W,3]` RGB or `[H,W,1]` gray; uint8, uint16, or float32 in [0,1].
        alpha (`np.ndarray`, *optional*): `[H,W,1]` of the same dtype; returned unchanged.
        info (`dict`): what goes with it, as `metadata.read_info` returns it.
    """

    colour: Array
    alpha: Array | None = None
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.colour.shape[0], self.colour.shape[1]

    @property
    def lines_dtype(self) -> np.dtype[Any]:
        """Of its line maps: uint8, or float32 where the picture is."""
        return np.dtype(np.float32 if self.colour.dtype == np.float32 else np.uint8)


def with_colour(picture: Picture, colour: Array) -> Picture:
    """The same picture with other colours."""
    return replace(picture, colour=colour)


def write_images(pictures: list[Picture], output_type: str) -> Any:
    """Back to what the user asked for: a list of PIL pictures, `[N,H,W,C]` float32, or `[N,C,H,W]` float32 tensor.

    16 bits a channel stay so as floats and as gray PIL pictures; colours become 8 bits, as PIL has no mode for them.
    """
    arrays = [
        picture.colour if picture.alpha is None else np.concatenate([picture.colour, picture.alpha], axis=2)
        for picture in pictures
    ]
    if output_type == "pil":
        return [_to_pil(array, picture.info) for array, picture in zip(arrays, pictures, strict=True)]
    stacked = np.stack(arrays)  # [N,H,W,C]
    return stacked if output_type == "np" else torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()


def _to_pil(array: Array, info: dict[str, Any]) -> Image.Image:
    if array.dtype == np.uint16 and array.shape[2] > 1:
        warn(
            "PIL has no 16-bit colours: this result has 8 bits a channel. `output_type='np'` keeps 16, and so does "
            "the command line."
        )
        array = eight_bits(array)
    image = Image.fromarray(array if array.shape[2] > 1 else array[..., 0])
    image.info.update(info)
    return image


def write_edges(edges: list[Array], output_type: str) -> Any:
    """As `write_images`, for `[H,W]` line maps: PIL mode L, `[N,H,W,1]` or `[N,1,H,W]`."""
    return write_images([Picture(array[..., None]) for array in edges], output_type)


def to_float(array: Array) -> npt.NDArray[np.float32]:
    """uint8, uint16 or float32 in, float32 in [0,1] out."""
    return convert(array, np.dtype(np.float32))


def from_float(array: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> Array:
    """float32 in [0,1] in, uint8 or uint16 (rounded) or float32 out."""
    return convert(array, dtype)


def convert(array: Array, dtype: np.dtype[Any]) -> Array:
    """From one to another of uint8, uint16 and float32, each over its full range, rounded. To float32 and back, and to
    more bits and back, is exact."""
    if array.dtype == dtype:
        return array
    if dtype == np.float32:
        return array / np.float32(np.iinfo(array.dtype).max)
    if array.dtype == np.float32:
        return np.rint(array * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return eight_bits(array) if dtype == np.uint8 else array.astype(np.uint16) * np.uint16(257)

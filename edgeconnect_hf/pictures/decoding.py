"""An opened image -> upright, in one of few modes, 8 bits where they are asked for."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .deep import DeepImage, with_transparent
from .metadata import read_orientation

MODES = ("RGB", "RGBA", "L", "LA")

_WITH_ALPHA = {"1": "LA", "L": "LA", "LA": "LA", "La": "LA"}  # of all other modes: RGBA
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP = 2**22  # pixels


def turn_upright(image: Image.Image, name: str = "A photo") -> Image.Image:
    """Decode a picture and turn it as its EXIF says. The same picture if there is nothing to turn.

    Broken EXIF counts as none, with a warning in which `name` is the subject.
    """
    image.load()
    turn = _TURNS.get(read_orientation(image, name))
    if image.mode == "I" and image.format == "PPM":  # Pillow's mode for 16 bits of this format
        image = image.convert("I;16")
    return image if turn is None else image.transpose(turn)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height that an undecoded image has once it is upright."""
    if image.format == "TIFF":
        image.load()  # applies and removes the orientation
    on_its_side = read_orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if on_its_side else image.size


def decode(image: Image.Image, mode: str, scale: float = 1.0) -> Image.Image:
    """Decode an image that `open_file` opened, upright, as RGB or L (see `flatten`).

    Args:
        image (`PIL.Image.Image`): the opened image; a second call needs it opened anew.
        mode (`str`): RGB or L.
        scale (`float`): up to 1. A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if no less than this share is left.
    """
    image.draft(None, (math.ceil(scale * image.width), math.ceil(scale * image.height)))
    return flatten(turn_upright(image), mode)


def to_plain_mode(image: Image.Image) -> Image.Image | DeepImage:
    """A decoded picture as RGB, RGBA, L, LA, or with 16 bits a channel; a colour that is transparent becomes alpha.

    Raises:
        ValueError: it is of mode I or F, whose range of values is not known, or Pillow cannot convert it.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"a PIL picture of mode {image.mode}, whose range of values is not known")
    if image.mode.startswith("I;16"):
        transparent = image.info.get("transparency")
        return image if transparent is None else with_transparent(to_array(image)[..., None], transparent)
    if image.mode not in ("RGBA", "LA") and image.has_transparency_data:
        return image.convert(_WITH_ALPHA.get(image.mode, "RGBA"))
    return image if image.mode in MODES else image.convert("RGB")


def to_eight_bits(image: Image.Image | DeepImage) -> Image.Image:
    """A picture of 16 bits a channel as one of 8, its range scaled and rounded; any other as it is."""
    if isinstance(image, Image.Image) and not image.mode.startswith("I;16"):
        return image
    samples = image if isinstance(image, DeepImage) else to_array(image)
    reduced = Image.fromarray(eight_bits(np.asarray(samples)))
    reduced.info.update({key: value for key, value in image.info.items() if key != "transparency"})  # of 16 bits
    return reduced


def eight_bits(samples: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """`[H,W]` or `[H,W,C]` uint16 to uint8: `samples * 255 / 65535`, rounded."""
    reduced = np.empty(samples.shape, np.uint8)
    for rows in _strips(*samples.shape[:2]):
        reduced[rows] = (samples[rows].astype(np.uint32) * 255 + 32767) // 65535
    return reduced


def to_array(image: Image.Image) -> npt.NDArray[Any]:
    """A picture's pixels, `[H,W]` or `[H,W,C]`. In strips, as Pillow would hold them three times meanwhile."""
    first = np.asarray(image.crop((0, 0, image.width, 1)))  # [1,W] or [1,W,C]
    array = np.empty((image.height, *first.shape[1:]), first.dtype.newbyteorder("="))
    for rows in _strips(image.height, image.width):
        array[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return array


def _strips(height: int, width: int) -> Iterator[slice]:
    """Rows of a picture, a few million pixels at once."""
    rows = max(1, _STRIP // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def flatten(image: Image.Image | DeepImage, mode: str) -> Image.Image:
    """A picture as RGB, white where it is transparent, or as L, black where it is transparent: no line, no hole.

    Args:
        image (`PIL.Image.Image` or `DeepImage`): of any mode; 16 bits are scaled to 8.
        mode (`str`): RGB or L.

    Raises:
        ValueError: its mode is I or F, whose range of values is not known, or Pillow cannot convert it.
    """
    image = to_eight_bits(to_plain_mode(image) if isinstance(image, Image.Image) else image)
    if image.mode in ("RGBA", "LA"):
        ground = Image.new("RGBA", image.size, "white" if mode == "RGB" else "black")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    if image.mode == mode:
        return image
    return image.convert("RGB").convert(mode)  # as for every picture, whatever its palette

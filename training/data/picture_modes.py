"""Conversion of images of any mode to RGB or L."""

import numpy as np
from PIL import Image


def to_mode(picture: Image.Image, mode: str) -> Image.Image:
    """An image as RGB (transparent pixels become white) or L (they become black: no line, no hole).

    Args:
        picture (`PIL.Image.Image`): of any mode but I and F; 16 bits are scaled to 8.
        mode (`str`): RGB or L.

    Raises:
        ValueError: the image's mode has no known range of values (I, F).
    """
    if picture.mode == mode:
        return picture
    if picture.mode.startswith("I;16"):  # `convert` would clip at 255
        samples = np.asarray(picture).astype(np.uint32)
        picture = Image.fromarray(((samples * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its mode is {picture.mode}, whose range of values is unknown")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white" if mode == "RGB" else "black")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert(mode)

"""Pictures of any mode as the two that training reads."""

import numpy as np
from PIL import Image


def to_mode(picture: Image.Image, mode: str) -> Image.Image:
    """A picture as RGB (what is transparent becomes white) or L (it becomes black: no line, no hole).

    Args:
        picture (`PIL.Image.Image`): of any mode; 16 bits are scaled to 8.
        mode (`str`): RGB or L.

    Raises:
        ValueError: the picture's mode has no known range of values (I, F).
    """
    if picture.mode == mode:
        return picture
    if picture.mode.startswith("I;16"):  # which `convert` would clip at 255
        samples = np.asarray(picture).astype(np.uint32)
        picture = Image.fromarray(((samples * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its mode is {picture.mode}, whose range of values is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white" if mode == "RGB" else "black")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert(mode)

"""Photos and drawings of visitors: how they are read, checked and written."""

import base64
import logging
import os
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..extension import extend_pictures, find_margins
from ..pictures import flatten, read_file, read_images, read_map, to_eight_bits, write_file, write_images
from ..pictures.metadata import read_orientation
from ..serving.files import Files
from ..serving.refusals import GoneError, as_refusals, refusal
from .planes import Bools

# Pillow's formats for photos and drawings. Others are a risk: an EPS file runs Ghostscript.
Image.init()
_FORMATS = tuple(
    name
    for name in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
    if name in Image.OPEN
)

logger = logging.getLogger(__name__)


class Extended(NamedTuple):
    """A larger photo with the old one at `left`, `top`. `mask` (`np.ndarray`): `[H,W]` bool, True where it is new."""

    photo: Image.Image
    mask: Bools
    left: int
    top: int


class Photos(Files):
    """The demo's files; `max_megapixels` and `max_megabytes` of its limits are used, too."""

    @property
    def max_pixels(self) -> float:
        """Of a photo, a mask or a line map."""
        return self.limits.max_megapixels * 1e6

    def read(self, source: Any, name: str) -> Image.Image:
        """Read a picture, upright.

        Args:
            source (`str` or `bytes`): a file that `check_inputs` accepted, or a file's content.
            name (`str`): what the messages call it.

        Raises:
            gr.Error: it is gone, too large, or not an image.
        """
        if not isinstance(source, str | bytes):
            raise GoneError(name)
        sizes: dict[str, Any] = {"max_pixels": self.max_pixels, "max_bytes": self.limits.max_megabytes * 2**20}
        try:
            return to_eight_bits(read_file(source, f"The {name}", **sizes, formats=_FORMATS))
        except FileNotFoundError:
            raise GoneError(name) from None
        except ValueError as error:
            logger.info("%s", error)
            message = str(error)  # a decoder's words may name a file of this server
            raise refusal(f"The {name} cannot be decoded." if os.sep in message else message) from error

    def read_mask(self, path: Any, name: str) -> Bools:
        """Read a mask as the pipeline does: `[H,W]`, True in the hole. Arguments and errors as in `read`."""
        image = self.read(path, name)
        with as_refusals():
            return np.asarray(read_map(image, name)) >= 128

    def extend(self, photo: Image.Image, sides: dict[str, Any], aspect_ratio: Any = None) -> Extended:
        """Add an empty margin to a photo. Arguments as in `EdgeConnectPipeline.extend`.

        Raises:
            gr.Error: the photo would be too large, or an argument is not as expected.
        """
        with as_refusals():
            (picture,) = read_images(photo, "pil")
            left, right, top, bottom = margins = find_margins(picture.size, sides, aspect_ratio)
            height, width = picture.size
            if (width + left + right) * (height + top + bottom) > self.max_pixels:
                most = f"{self.limits.max_megapixels:g} megapixels"
                raise refusal(f"The extended photo would be too large: up to {most} are accepted.")
            larger, (mask,) = extend_pictures([picture], [margins])
            return Extended(write_images(larger, "pil")[0], mask, left, top)

    def is_shown_alike(self, path: str) -> bool:
        """Whether browsers show a photo as `read` gives it: upright, and 8 bits a channel as they are."""
        with Image.open(path, formats=_FORMATS) as image:
            upright = image.format == "JPEG" or read_orientation(image) == 1
            return upright and image.format in ("BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP")

    def encode(self, image: Image.Image) -> str:
        """A picture as a PNG file in base64, lightly compressed."""
        file = BytesIO()
        image.save(file, "PNG", compress_level=1)
        return base64.b64encode(file.getvalue()).decode("ascii")

    def write(self, image: Image.Image, name: str, **options: Any) -> str:
        """Write a picture, with what goes with it, where Gradio serves it.

        Args:
            image (`PIL.Image.Image`): the picture.
            name (`str`): its file name, whose ending chooses the format.
            options: Pillow's, for that format.
        """
        return self.save(name, lambda path: write_file(image, path, **options))

    def write_png(self, image: Image.Image, name: str) -> str:
        """`write` as NAME.png: compressed lightly, for a fifth of the time and a tenth more bytes."""
        return self.write(image, f"{name}.png", compress_level=1)


def opaque(image: Image.Image) -> Image.Image:
    """The picture as RGB on white, with what goes with it."""
    flat = flatten(image, "RGB")
    flat.info = dict(image.info)
    return flat

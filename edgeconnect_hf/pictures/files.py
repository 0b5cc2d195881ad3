"""Picture files in and out: read within limits, upright, in one of four modes; written whole or not at all."""

import math
import os
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

FileInput: TypeAlias = str | Path | bytes | BinaryIO

MODES = ("RGB", "RGBA", "L", "LA")


def read_file(
    source: FileInput,
    name: str,
    *,
    max_pixels: float | None = None,
    max_bytes: float | None = None,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """Read a picture whole and upright, in the mode it is stored in. Limits are checked before it is decoded.

    Args:
        source (`str`, `Path`, `bytes` or a binary file object): the file.
        name (`str`): what the messages call it, the subject of a sentence.
        max_pixels, max_bytes (`float`, *optional*): the largest accepted.
        formats (`tuple[str, ...]`, *optional*): Pillow's names of the accepted formats.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, a folder, not an image, or cannot be decoded.
    """
    if max_bytes is not None and (size := _byte_count(source, name)) > max_bytes:
        raise ValueError(f"{name} has {size / 2**20:.0f} MB; up to {max_bytes / 2**20:g} MB are accepted.")
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats) as image:
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise _TooManyPixelsError(f"is {image.width}x{image.height}; {_accepted(max_pixels)}")
            return turn_upright(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"{name} does not exist.") from None
    except IsADirectoryError:
        raise ValueError(f"{name} is a folder; expected a file.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not an image in a known format.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # before its size can be asked
        limit = str(error).rstrip(".") if max_pixels is None else _accepted(max_pixels)
        raise ValueError(f"{name} is far too large: {limit}.") from None
    except _TooManyPixelsError as error:
        raise ValueError(f"{name} {error}.") from None
    except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} cannot be decoded: {reason}.") from error


class _TooManyPixelsError(Exception):
    """A picture has more pixels than accepted."""


def _accepted(max_pixels: float) -> str:
    return f"up to {max_pixels / 1e6:g} megapixels are accepted"


def _byte_count(source: FileInput, name: str) -> int:
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, str | Path):
        try:
            return os.stat(source).st_size
        except FileNotFoundError:
            raise FileNotFoundError(f"{name} does not exist.") from None
    position = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(position)
    return size


def turn_upright(image: Image.Image) -> Image.Image:
    """Decode a picture and turn it as its EXIF says."""
    upright: Image.Image = ImageOps.exif_transpose(image)
    upright.load()
    return upright


def open_file(source: bytes | Path) -> Image.Image:
    """Open a file to decode later: reads its header only. For `upright_size` and `decode`; errors are Pillow's."""
    return Image.open(BytesIO(source if isinstance(source, bytes) else source.read_bytes()))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height that an undecoded image has once it is upright."""
    if image.format == "TIFF":
        image.load()  # applies and removes the orientation
    on_its_side = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
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


def to_eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits as mode L, its range scaled and rounded; any other as it is.

    Raises:
        ValueError: it is of mode I or F, whose range of values is not known.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"a PIL picture of mode {image.mode}, whose range of values is not known")
    if not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((samples * 255 + 32767) // 65535).astype(np.uint8))


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """A picture as RGB, white where it is transparent, or as L, black where it is transparent: no line, no hole.

    Args:
        image (`PIL.Image.Image`): of any mode; 16 bits are scaled to 8.
        mode (`str`): RGB or L.

    Raises:
        ValueError: its mode is I or F, whose range of values is not known.
    """
    image = to_eight_bits(image)
    if image.mode == mode:
        return image
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white" if mode == "RGB" else "black")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return image.convert("RGB").convert(mode)  # as for every picture, whatever its palette


def write_file(image: Image.Image, path: Path, **options: Any) -> None:
    """Write a picture to a temporary file, then rename it: `path` never holds half an image.

    Args:
        image (`PIL.Image.Image`): its colour profile is written, too.
        path (`Path`): the ending chooses the format.
        options: Pillow's, for that format.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        image.save(part, icc_profile=image.info.get("icc_profile"), **options)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

"""Picture files in: read within limits, upright, in the mode and depth they are stored in."""

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, UnidentifiedImageError

from .decoding import turn_upright
from .deep import DeepImage, decode_deep, has_deep_colour, turn
from .metadata import read_info, read_orientation
from .notices import warn

FileInput: TypeAlias = str | Path | bytes | BinaryIO

_PILLOWS_LIMIT = Image.MAX_IMAGE_PIXELS or 0
_limit_lock = threading.Lock()

_NO_SEQUENCES = ("MPO", "PSD")  # a phone's photo with a second one inside; layers
_NOT_DECODED = ("BUFR", "GRIB", "HDF5", "MPEG")  # Pillow names these, but cannot decode them
HEIC_ENDINGS = (".heic", ".heif", ".hif")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def readable_endings() -> set[str]:
    """The file name endings, as `.jpg`, of what can be read: Pillow's list has formats that it only writes, as PDF.

    Those of HEIC count where its plugin is installed, which is registered with the first such file.
    """
    formats = Image.registered_extensions()
    left_out = (*_NOT_DECODED, "HEIF")
    endings = {ending for ending, name in formats.items() if name in Image.OPEN and name not in left_out}
    return endings.union(HEIC_ENDINGS) if find_spec("pillow_heif") else endings


class _NotAcceptedError(Exception):
    """Why a file is not accepted, as the rest of a sentence about it."""


def read_file(
    source: FileInput,
    name: str,
    *,
    frame: int | None = None,
    max_pixels: float | None = None,
    max_bytes: float | None = None,
    formats: tuple[str, ...] | None = None,
) -> Image.Image | DeepImage:
    """Read a picture whole and upright, in the mode it is stored in. Limits are checked before it is decoded.

    Args:
        source (`str`, `Path`, `bytes` or a binary file object): the file.
        name (`str`): what the messages call it, the subject of a sentence.
        frame (`int`, *optional*): which picture of an animation, or page, from 0. By default the first, with a warning
            if there are more.
        max_pixels, max_bytes (`float`, *optional*): the largest accepted. Without `max_pixels`, Pillow's own limit
            holds; a larger one replaces it, in all threads, while the file is read.
        formats (`tuple[str, ...]`, *optional*): Pillow's names of the accepted formats.

    Returns:
        A PIL image; a `DeepImage` where colours, or gray with alpha, have 16 bits a channel (PNG, TIFF, PPM). Its
        `info` is what `metadata.read_info` keeps.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, a folder, not an image, has no such frame, or cannot be decoded.
    """
    if max_bytes is not None and (size := _byte_count(source, name)) > max_bytes:
        raise ValueError(f"{name} has {size / 2**20:.0f} MB; up to {max_bytes / 2**20:g} MB are accepted.")
    try:
        with _binary(source) as file, _pillow_accepts(max_pixels), _open(file, formats) as image:
            _choose_frame(image, frame, name)
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise _NotAcceptedError(f"is {image.width}x{image.height}; {_accepted(max_pixels)}")
            return _decode_deep(image, file, name) if has_deep_colour(image) else _decode(image, name)
    except UserWarning:
        raise  # of ours, where a filter makes errors of warnings
    except FileNotFoundError:
        raise FileNotFoundError(f"{name} does not exist.") from None
    except IsADirectoryError:
        raise ValueError(f"{name} is a folder; expected a file.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not an image in a known format.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # before its size can be asked
        reason = str(error).rstrip(".") if max_pixels is None else _accepted(max_pixels)
        cure = "; for a file that you trust, raise `PIL.Image.MAX_IMAGE_PIXELS`" if max_pixels is None else ""
        raise ValueError(f"{name} is far too large: {reason}{cure}.") from None
    except _NotAcceptedError as error:
        raise ValueError(f"{name} {error}.") from None
    except Exception as error:  # Pillow's decoders may raise anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} cannot be decoded: {reason}.") from error


def open_file(source: bytes | Path) -> Image.Image:
    """Open a file to decode later: reads its header only. For `upright_size` and `decode`.

    Raises:
        ValueError: the plugin for its format is not installed. Other errors are Pillow's.
    """
    try:
        return _open(BytesIO(source if isinstance(source, bytes) else source.read_bytes()), None)
    except _NotAcceptedError as error:
        raise ValueError(f"it {error}") from None


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


def _binary(source: FileInput) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return BytesIO(source)
    return Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source)


@contextmanager
def _pillow_accepts(max_pixels: float | None) -> Iterator[None]:
    """Raise Pillow's limit, a global, to `max_pixels` if that is more. Only then is there a moment, for other threads
    too, with another limit than Pillow's; they wait for each other here, and check their own `max_pixels` anyway."""
    if max_pixels is None or max_pixels <= _PILLOWS_LIMIT:
        yield
        return
    with _limit_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None if before is None else max(before, int(max_pixels))
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _open(file: BinaryIO, formats: tuple[str, ...] | None) -> Image.Image:
    """`Image.open`, with the plugin for HEIC registered once there is such a file."""
    start = file.tell()
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        file.seek(start)
        header = file.read(12)
        if formats is not None or header[4:8] != b"ftyp" or header[8:] not in (*_HEIF_BRANDS, b"avif", b"avis"):
            raise
    if header[8:] in (b"avif", b"avis"):
        raise _NotAcceptedError("is an AVIF picture, which this Pillow cannot read: pip install 'edgeconnect-hf[heif]'")
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        raise _NotAcceptedError("is a HEIC picture; to read it: pip install 'edgeconnect-hf[heif]'") from None
    file.seek(start)
    return Image.open(file)


def _choose_frame(image: Image.Image, frame: int | None, name: str) -> None:
    try:
        count = getattr(image, "n_frames", 1)
    except Exception:  # a later frame is broken
        image.seek(0)
        count = 1
    if frame is not None:
        if not 0 <= frame < count:
            raise _NotAcceptedError(f"has {count} frame{'s' * (count > 1)}, numbered from 0: there is no frame {frame}")
        image.seek(frame)
    elif count > 1 and image.format not in _NO_SEQUENCES:
        warn(f"{name} has {count} frames; the first (0) is read.")


def _decode(image: Image.Image, name: str) -> Image.Image:
    upright = turn_upright(image, name)
    kept = read_info(image, name)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int | bytes | tuple):  # a text of this name is none
        kept["transparency"] = transparent
    upright.info.clear()
    upright.info.update(kept)
    return upright


def _decode_deep(image: Image.Image, file: BinaryIO, name: str) -> DeepImage:
    deep = decode_deep(image, file)
    orientation = 1 if image.format == "TIFF" else read_orientation(image, name)  # OpenCV turns a TIFF
    return DeepImage(turn(deep, orientation), read_info(image, name))

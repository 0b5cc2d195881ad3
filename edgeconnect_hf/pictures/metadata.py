"""What goes with a picture: colour profile, EXIF, resolution, XMP, text, how its JPEG was compressed."""

import math
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin

from .notices import warn

XMP_TAG = 700  # in a TIFF
_XMP_TEXT = "XML:com.adobe.xmp"  # its key in a PNG
_ORIENTATION_IN_XMP = re.compile(rb'(tiff:Orientation(?:="|>))[0-9]')  # as Pillow finds it

# EXIF shares its first directory with TIFF. These tags tell how one file stores its pixels, or hold other copies of
# them, which would still show what was removed. Those that are kept tell about the photo.
_STORAGE_TAGS = frozenset(
    [*range(254, 270), *range(273, 282), 284, *range(288, 294), 301, *range(317, 348), *range(512, 533)]
) | {XMP_TAG, 33723, 34377, 34675}  # stored beside EXIF in other formats: XMP, IPTC, Photoshop's, colour profile
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)

_NOT_TEXT = ("icc_profile", "exif", "dpi", "xmp", "transparency", "compression", _XMP_TEXT)  # Pillow's, in `info`


def read_orientation(image: Image.Image, name: str = "A photo") -> int:
    """EXIF's orientation of a picture, 1 to 8; 1, upright, where there is none or it cannot be read, with a warning."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception as error:  # Pillow's reader of EXIF may raise anything
        warn(f"{name} has broken EXIF data, which is dropped: {error}.")
        return 1
    return orientation if isinstance(orientation, int) else 1


def read_info(image: Image.Image, name: str) -> dict[str, Any]:
    """What goes with the results of a decoded picture, as `PIL.Image.Image.info` and Pillow's writers name it.

    Args:
        image (`PIL.Image.Image`): the picture.
        name (`str`): what a warning calls it, the subject of a sentence.

    Returns:
        Where the picture has them: `icc_profile`, `exif` (without orientation, thumbnail and what tells how the pixels
        are stored) and `xmp` (with orientation 1), bytes; `dpi`, two floats; `qtables` and `subsampling` of a JPEG;
        each text of a PNG under its own keyword.
    """
    info: dict[str, Any] = {
        key: value
        for key, value in image.info.items()
        if isinstance(key, str)
        and isinstance(value, str)
        and key not in _NOT_TEXT
        and not key.startswith("Raw profile type")
    }
    if isinstance(image.info.get("icc_profile"), bytes):
        info["icc_profile"] = image.info["icc_profile"]
    if exif := _read_exif(image, name):
        info["exif"] = exif
    if isinstance(image.info.get("xmp"), bytes):
        info["xmp"] = _ORIENTATION_IN_XMP.sub(rb"\g<1>1", image.info["xmp"])
    if dpi := _read_dpi(image.info.get("dpi")):
        info["dpi"] = dpi
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        info["qtables"] = image.quantization  # type: ignore[attr-defined]
        info["subsampling"] = JpegImagePlugin.get_sampling(image)
    elif isinstance(image.info.get("qtables"), dict):
        info |= {key: image.info[key] for key in ("qtables", "subsampling")}
    return info


def _read_exif(image: Image.Image, name: str) -> bytes | None:
    """EXIF to keep, in its own format; None if there is none. Broken data is dropped with a warning."""
    try:
        exif, kept = image.getexif(), Image.Exif()
        for tag, value in exif.items():
            if tag in _DIRECTORIES:
                directory = dict(exif.get_ifd(tag))
                if ExifTags.IFD.Interop in directory:
                    directory[ExifTags.IFD.Interop] = exif.get_ifd(ExifTags.IFD.Interop)
                kept[tag] = directory
            elif tag not in _STORAGE_TAGS:
                kept[tag] = value
        return kept.tobytes() if len(kept) else None
    except Exception as error:  # Pillow's reader of EXIF may raise anything
        warn(f"{name} has broken EXIF data, which is dropped: {error}.")
        return None


def _read_dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = map(float, dpi)
    except Exception:  # whatever a file holds
        return None
    return (across, down) if all(math.isfinite(each) and each > 0 for each in (across, down)) else None


def save_options(info: Mapping[Any, Any], mode: str, image_format: str) -> dict[str, Any]:
    """Pillow's options that write `info` into a file. What the format cannot hold is left out, broken parts of it with
    a warning.

    Args:
        info (`dict`): as `read_info` returns it.
        mode (`str`): the picture's, 8 bits a channel.
        image_format (`str`): Pillow's name.

    Raises:
        OSError: the format has no such mode.
    """
    Image.new(mode, (1, 1)).save(BytesIO(), image_format)
    options: dict[str, Any] = {}

    def add(key: str, make: Callable[[], Any], what: str) -> None:
        """Add an option if a picture can be written with it."""
        try:
            value = make()
            Image.new(mode, (1, 1)).save(BytesIO(), image_format, **{key: value})
        except Exception as error:  # Pillow's writers may raise anything
            warn(f"{what} cannot be written as {image_format} and is dropped: {error}.")
        else:
            options[key] = value

    if "icc_profile" in info:
        add("icc_profile", lambda: info["icc_profile"], "A colour profile")
    if image_format in ("JPEG", "PNG", "TIFF") and "dpi" in info:
        add("dpi", lambda: info["dpi"], "A resolution")
    if image_format in ("JPEG", "PNG", "WEBP", "AVIF") and "exif" in info:
        add("exif", lambda: info["exif"], "EXIF data")
    if image_format in ("JPEG", "WEBP", "AVIF") and "xmp" in info:
        add("xmp", lambda: info["xmp"], "XMP data")
    if image_format == "TIFF" and ("exif" in info or "xmp" in info):
        add("exif", lambda: _tiff_tags(info), "EXIF or XMP data")
    if image_format == "PNG":
        texts = {key: value for key, value in info.items() if isinstance(value, str)}
        if "xmp" in info:
            texts[_XMP_TEXT] = info["xmp"].decode("utf-8", "replace")
        if texts:
            add("pnginfo", lambda: _png_texts(texts), "A text")
    if image_format == "JPEG":
        options["comment"] = b""  # Pillow would take a PNG's text of this name
    if image_format == "JPEG" and "qtables" in info:
        add("qtables", lambda: info["qtables"], "JPEG's tables of its source")
        add("subsampling", lambda: info["subsampling"], "JPEG's subsampling of its source")
    return options


def _tiff_tags(info: Mapping[Any, Any]) -> Image.Exif:
    tags = Image.Exif()
    if "exif" in info:
        tags.load(info["exif"])
    if "xmp" in info:
        tags[XMP_TAG] = info["xmp"]
    return tags


def _png_texts(texts: dict[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        try:
            if not 1 <= len(key.encode("latin-1")) <= 79:
                raise ValueError(f"its keyword has {len(key)} characters, not 1 to 79")
            if key == _XMP_TEXT or isinstance(value, PngImagePlugin.iTXt):
                chunks.add_itxt(key, value)
            else:
                chunks.add_text(key, value)
        except ValueError as error:  # one that cannot be encoded is a `ValueError`, too
            warn(f"A text cannot be written as PNG and is dropped: {error}.")
    return chunks

"""16 bits a channel in colour, for which PIL has no mode: kept as arrays, read and written beside it."""

import re
import zlib
from io import BytesIO
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, TiffImagePlugin

_SIXTEEN_BITS = re.compile(r"(LA|RGBA?);16")  # of Pillow's raw modes
_PNG_HEADER = 33  # bytes of the signature and the first chunk, which holds size and depth


class DeepImage(np.ndarray[Any, np.dtype[np.uint16]]):
    """A picture of 16 bits a channel: `[H,W,C]` uint16; 2 channels are gray and alpha, 3 RGB, 4 RGBA.

    Args:
        samples (`np.ndarray`): `[H,W,C]` uint16.
        info (`dict`, *optional*): what `PIL.Image.Image.info` would hold.
    """

    info: dict[str, Any]

    def __new__(cls, samples: npt.NDArray[np.uint16], info: dict[str, Any] | None = None) -> "DeepImage":
        deep = np.asarray(samples, np.uint16).view(cls)
        deep.info = dict(info or {})
        return deep

    def __array_finalize__(self, source: Any) -> None:
        self.info = getattr(source, "info", {})


def has_deep_colour(image: Image.Image) -> bool:
    """Whether an opened file, not yet decoded, has more than 8 bits a channel, which Pillow would cut."""
    tiles: Any = getattr(image, "tile", None)
    if not tiles or (image.format == "PNG" and getattr(image, "tell", int)() > 0):  # an animation's later frame
        return False
    codec, _, _, arguments = tiles[0]
    if image.format == "PPM":
        return bool(codec == "ppm" and image.mode == "RGB" and arguments[1] > 255)
    rawmode = arguments if isinstance(arguments, str) else arguments[0]
    return image.format in ("PNG", "TIFF") and bool(_SIXTEEN_BITS.match(str(rawmode)))


def decode_deep(image: Image.Image, file: BinaryIO) -> DeepImage:
    """Decode a picture for which `has_deep_colour` is true, as it is stored; only a TIFF is turned upright.

    Args:
        image (`PIL.Image.Image`): opened from `file`, at the frame that is wanted.
        file (`BinaryIO`): the whole file.

    Raises:
        Exception: whatever Pillow raises where the file is damaged.
    """
    _, _, offset, arguments = image.tile[0]  # type: ignore[attr-defined]
    width, height = image.size
    frame = image.tell()
    image.load()  # OpenCV decodes some damaged files without a word
    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    if image.format == "PPM":
        most = arguments[1]
        samples = content[offset : offset + 6 * width * height].view(">u2").astype(np.uint32)
        return DeepImage(((samples * 65535 + most // 2) // most).astype(np.uint16).reshape(height, width, 3))
    decoded: Any = (
        cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED)[1][frame]
        if frame
        else cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    )
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ValueError("its 16 bits a channel are stored in an unusual way")
    if arguments == "LA;16B":
        return DeepImage(decoded[..., [0, 3]])
    has_alpha = decoded.shape[2] == 4
    colours: Any = cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB)
    transparent = image.info.get("transparency")
    return with_transparent(colours[..., :3], transparent) if isinstance(transparent, tuple) else DeepImage(colours)


def with_transparent(samples: npt.NDArray[np.uint16], transparent: Any) -> DeepImage:
    """`[H,W,C]` uint16 with an alpha channel: nothing where a pixel has the colour `transparent`, all elsewhere."""
    opaque = (samples != np.array(transparent)).any(axis=2, keepdims=True)
    return DeepImage(np.concatenate([samples, opaque * np.uint16(65535)], axis=2))


def turn(samples: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """`[H,W,C]` as EXIF's orientation says."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples[::-1] if orientation in (3, 4, 7, 8) else samples


def write_png(samples: npt.NDArray[np.uint16], file: BinaryIO, options: dict[str, Any]) -> None:
    """Write `[H,W,C]` uint16 as a PNG; `options` are Pillow's, of which the chunks beside the pixels are used."""
    if samples.shape[2] == 2:
        samples = samples[..., [0, 0, 0, 1]]
    order = cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    encoded, content = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(samples), order))
    if not encoded:
        raise ValueError("OpenCV cannot encode it")
    beside = BytesIO()
    Image.new("RGB", (1, 1)).save(beside, "PNG", **options)
    chunks = beside.getvalue()[_PNG_HEADER:]
    file.write(content[:_PNG_HEADER].tobytes())
    file.write(chunks[: chunks.rindex(b"IDAT") - 4])
    file.write(content[_PNG_HEADER:].tobytes())


def write_tiff(samples: npt.NDArray[np.uint16], file: BinaryIO, options: dict[str, Any]) -> None:
    """Write `[H,W,C]` uint16 as a TIFF; of `options`, which are Pillow's, `exif`, `icc_profile` and `dpi` are used."""
    height, width, channels = samples.shape
    content = zlib.compress(samples.astype("<u2").tobytes(), 1)
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    exif: Any = options.get("exif", {})
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else exif[tag]
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (16,) * channels
    tags[TiffImagePlugin.COMPRESSION] = 8  # Deflate
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 1 if channels == 2 else 2  # black is zero, RGB
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    if channels in (2, 4):
        tags[TiffImagePlugin.EXTRASAMPLES] = 2  # alpha that the colours were not multiplied with
    tags[TiffImagePlugin.ROWSPERSTRIP] = height
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # moved behind the tags as they are written
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = len(content)
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
    if "icc_profile" in options:
        tags[TiffImagePlugin.ICCPROFILE] = options["icc_profile"]
    if "dpi" in options:
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2  # inch
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = options["dpi"]
    tags.save(file)
    file.write(content)

"""Picture files out: written whole or not at all, with what goes with them."""

import secrets
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import deep
from .decoding import to_eight_bits
from .metadata import save_options
from .notices import warn

_Image: TypeAlias = Image.Image | npt.NDArray[np.uint16]

_JPEG_QUALITY = 95  # of what was no JPEG before


def write_file(image: _Image, path: Path, **options: Any) -> None:
    """Write a picture to a temporary file in the same folder, then rename it: `path` never holds half an image.

    Args:
        image (`PIL.Image.Image` or `np.ndarray`): the picture, or one of 16 bits a channel, `[H,W,C]` uint16. What its
            `info` holds is written, too, where the format can hold it: see `metadata.read_info`. A JPEG that was read
            from one keeps its tables and subsampling.
        path (`Path`): the ending chooses the format.
        options: Pillow's, for that format. `quality` overrides a JPEG's own tables.

    Raises:
        OSError: the file cannot be written; `errno` tells why.
        ValueError: there is no such format, or it cannot hold the picture.
    """
    part = path.with_name(f".{secrets.token_hex(4)}.part")
    try:
        Image.init()
        image_format = Image.registered_extensions().get(path.suffix.lower())
        if image_format is None:
            raise ValueError(f"{path.suffix!r} is the ending of no known format")
        with part.open("x+b") as file:
            _write(image, file, image_format, options)
        part.replace(path)
    except OSError as error:
        named = OSError(f"`{path}` cannot be written: {error.strerror or error}.")
        named.errno = error.errno
        raise named from error
    except (MemoryError, UserWarning):
        raise
    except Exception as error:  # Pillow's encoders may raise anything
        raise ValueError(f"`{path}` cannot be written: {error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _write(image: _Image, file: BinaryIO, image_format: str, options: dict[str, Any]) -> None:
    if not isinstance(image, Image.Image | deep.DeepImage):
        image = deep.DeepImage(image)
    depth_is_kept = image_format in ("PNG", "TIFF") or (image_format == "PPM" and isinstance(image, Image.Image))
    if not depth_is_kept and (isinstance(image, deep.DeepImage) or image.mode.startswith("I;16")):
        warn(f"{image_format} holds 8 bits a channel; PNG and TIFF keep 16.")
        image = to_eight_bits(image)
    if isinstance(image, deep.DeepImage):
        options = save_options(image.info, {2: "LA", 3: "RGB", 4: "RGBA"}[image.shape[2]], image_format) | options
        (deep.write_png if image_format == "PNG" else deep.write_tiff)(np.asarray(image), file, options)
        return
    kept = save_options(image.info, image.mode, image_format)
    if image_format == "JPEG" and "quality" in options:
        kept = {key: value for key, value in kept.items() if key not in ("qtables", "subsampling")}
    elif image_format == "JPEG" and "qtables" not in kept:
        kept["quality"] = _JPEG_QUALITY
    image.save(file, image_format, **kept | options)

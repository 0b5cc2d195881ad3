"""The pictures that visitors upload and are handed: who may name them, how they are read, when they are deleted."""

import logging
import os
import stat
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image, ImageOps, UnidentifiedImageError

from ..pictures import read_map
from .canvas import Bools
from .jobs import current_job
from .limits import Limits
from .refusals import as_refusals, gone, refusal

# Those of Pillow's formats that people paint and photograph in. Others are doors: an EPS file runs Ghostscript.
Image.init()
_FORMATS: list[str] = [
    name
    for name in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
    if name in Image.OPEN
]

_CANVAS_MEGAPIXELS = 4  # the page's canvases have one
_BLOCK = 4096  # bytes that even an empty file takes

logger = logging.getLogger(__name__)


class Files:
    """Files of the running demo.

    Args:
        limits (`Limits`): sizes, and how much is kept.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.owners: defaultdict[str, set[str]] = defaultdict(set)  # path -> sessions that uploaded or were handed it
        self.lock = threading.Lock()
        self.demo: gr.Blocks | None = None  # set once it is built; it knows the files that it serves

    def check_inputs(self, inputs: Any, session: str | None) -> None:
        """Refuse every file in `inputs`, nested at any depth, that was neither uploaded here nor handed out by here.

        Gradio checks files only where they carry its `meta`, and a component may be handed one without (6.31). This may
        go once `gradio.processing_utils.async_move_files_to_cache` checks all that have a `path`.

        Raises:
            gr.Error: there is such a file; the answer is the same whatever it is.
        """
        for path in _paths(inputs):
            if not self._is_served(path):
                raise gone("picture")
            if session is not None:
                self.own(path, session)

    def own(self, path: str, session: str) -> None:
        """Let a file be deleted with `session`."""
        with self.lock:
            self.owners[path].add(session)

    def read(self, path: Any, name: str) -> Image.Image:
        """Read a picture whole and turn it upright.

        Args:
            path (`str`): the file, of those that `check_inputs` lets through.
            name (`str`): what the visitor calls it, for the messages.

        Raises:
            gr.Error: it is gone, too large, or no picture.
        """
        if not isinstance(path, str):
            raise gone(name)
        try:
            with self._open(path, name) as image:
                return ImageOps.exif_transpose(image)
        except FileNotFoundError:
            raise gone(name) from None
        except gr.Error:
            raise
        except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
            logger.info("%s cannot be decoded: %s", name, error)
            raise refusal(f"The {name} cannot be decoded: {_without_paths(error)}.") from error

    def read_mask(self, path: Any, name: str) -> Bools:
        """Read a mask as the pipeline does: `[H,W]`, True in the hole. Arguments and errors as in `read`."""
        image = self.read(path, name)
        with as_refusals():
            return np.asarray(read_map(image, name)) >= 128

    def read_layers(self, layers: Iterable[bytes | str]) -> list[Image.Image]:
        """Read what an editor handed over: layers of no more pixels than a canvas of the page has.

        Raises:
            gr.Error: one is larger, or no picture.
        """
        pictures = []
        for layer in layers:
            try:
                image = self._open(layer, "drawing", _CANVAS_MEGAPIXELS)
                image.load()
            except gr.Error:
                raise
            except Exception as error:
                raise refusal(f"The drawing cannot be decoded: {_without_paths(error)}.") from error
            pictures.append(image)
        return pictures

    def _open(self, source: bytes | str, name: str, megapixels: float | None = None) -> Image.Image:
        """Open without decoding: format, bytes and pixels are checked."""
        limits = self.limits
        megapixels = megapixels or limits.max_megapixels
        size = os.stat(source).st_size if isinstance(source, str) else len(source)
        if size > limits.max_megabytes * 2**20:
            raise refusal(f"The {name} has {size / 2**20:.0f} MB; up to {limits.max_megabytes:g} MB are accepted.")
        try:
            image = Image.open(source if isinstance(source, str) else BytesIO(source), formats=_FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # raised before its size can be asked
            raise refusal(f"The {name} is far too large; up to {megapixels:g} megapixels are accepted.") from None
        except UnidentifiedImageError:
            raise refusal(f"The {name} is not a picture of a known format.") from None
        if image.width * image.height > megapixels * 1e6:
            width, height = image.size
            image.close()
            raise refusal(f"The {name} is {width}x{height}; up to {megapixels:g} megapixels are accepted.")
        return image

    def save(self, image: Image.Image, name: str, **options: Any) -> str:
        """Write a picture where Gradio serves it from; it belongs to the session of the running job.

        Args:
            image (`PIL.Image.Image`): the picture.
            name (`str`): its file name, whose ending chooses the format.
            options: Pillow's, for that format.
        """
        folder = Path(get_upload_folder())
        folder.mkdir(parents=True, exist_ok=True)
        path = str(Path(tempfile.mkdtemp(dir=folder)) / name)
        image.save(path, **options)
        job = current_job()
        if job is not None and job.session is not None:
            self.own(path, job.session)
        if self.demo is not None:
            self.demo.upload_file_set.add(
                path
            )  # deleted with Gradio's files, if the job is given up before the handing out
        self.make_room()
        return path

    def save_png(self, image: Image.Image, name: str) -> str:
        """`save` as NAME.png: compressed lightly, for a fifth of the time and a tenth more bytes."""
        return self.save(image, f"{name}.png", compress_level=1)

    def save_preview(self, image: Image.Image) -> str:
        """`save` a picture that is only looked at, in an eighth of the bytes."""
        return self.save(image, "shown.jpg", quality=92, subsampling=0)

    def forget(self, session: str) -> None:
        """Delete what belongs to a session and to no other."""
        with self.lock:
            mine = [path for path, owners in self.owners.items() if session in owners]
            for path in mine:
                self.owners[path].discard(session)
            self._delete(path for path in mine if not self.owners[path])

    def make_room(self) -> None:
        """Delete the oldest files until all take no more than `max_disk`."""
        with self.lock:
            kept = []
            for path in {path for paths in self._sets() for path in paths}:
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                kept.append((status.st_mtime, path, max(status.st_size, _BLOCK)))
            for path in self.owners.keys() - {path for _, path, _ in kept}:
                del self.owners[path]
            excess = sum(size for *_, size in kept) - self.limits.max_disk * 2**20
            for _, path, size in sorted(kept):
                if excess <= 0:
                    break
                self._delete([path])
                excess -= size

    def _is_served(self, path: str) -> bool:
        """Whether this server wrote `path`, to the letter, and it is a regular file still."""
        if not any(path in paths for paths in self._sets()):
            return False
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except (OSError, ValueError):
            return False

    def _sets(self) -> list[set[str]]:
        return [] if self.demo is None else self.demo.temp_file_sets

    def _delete(self, paths: Iterable[str]) -> None:
        folder = Path(get_upload_folder())
        for path in paths:
            self.owners.pop(path, None)
            for served in self._sets():
                served.discard(path)
            if folder not in Path(path).parents:  # an example of the package
                continue
            try:
                os.remove(path)
                os.rmdir(Path(path).parent)  # one folder a file, or, of an upload, one for a content
            except OSError:
                continue


def _paths(inputs: Any) -> Iterator[str]:
    """Every `path` and `url` that may lead to a file, in dicts and lists at any depth."""
    waiting = [inputs]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("path") is not None:
                yield str(value["path"])
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)


def _without_paths(error: Exception) -> str:
    """What a decoder says, unless it names a file of this server."""
    text = str(error)
    return type(error).__name__ if os.sep in text else text

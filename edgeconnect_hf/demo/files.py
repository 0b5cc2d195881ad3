"""Uploads and results: who may name them, how they are read, when they are deleted."""

import base64
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
from PIL import Image

from ..pictures import read_file, read_map, to_eight_bits, write_file
from ..pictures.metadata import read_orientation
from .jobs import current_job
from .limits import Limits
from .planes import Bools
from .refusals import as_refusals, gone, refusal

# Pillow's formats for photos and drawings. Others are a risk: an EPS file runs Ghostscript.
Image.init()
_FORMATS = tuple(
    name
    for name in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
    if name in Image.OPEN
)

_BLOCK = 4096  # bytes that even an empty file takes

logger = logging.getLogger(__name__)


class Files:
    """Files of the running demo.

    Args:
        limits (`Limits`): sizes, and how much is kept.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.owners: defaultdict[str, set[str]] = defaultdict(set)  # path -> sessions that uploaded or received it
        self.lock = threading.Lock()
        self.demo: gr.Blocks | None = None  # set once it is built; it knows the files it serves

    def check_inputs(self, inputs: Any, session: str | None) -> None:
        """Refuse `inputs` that name, at any depth, a file which this server neither received nor wrote.

        Gradio checks only files that carry its `meta`, but its components accept others (6.31). This can go once
        `gradio.processing_utils.async_move_files_to_cache` checks everything with a `path`.

        Raises:
            gr.Error: there is such a file; the answer is the same whatever it is.
        """
        for path in _paths(inputs):
            if not self._is_served(path):
                raise gone("picture")
            if session is not None:
                self.own(path, session)

    def own(self, path: str, session: str) -> None:
        """Have a file deleted with `session`."""
        with self.lock:
            self.owners[path].add(session)

    def read(self, path: Any, name: str) -> Image.Image:
        """Read a picture, upright.

        Args:
            path (`str`): a file that `check_inputs` accepted.
            name (`str`): what the messages call it.

        Raises:
            gr.Error: it is gone, too large, or not an image.
        """
        if not isinstance(path, str):
            raise gone(name)
        return self.decode(path, name)

    def read_mask(self, path: Any, name: str) -> Bools:
        """Read a mask as the pipeline does: `[H,W]`, True in the hole. Arguments and errors as in `read`."""
        image = self.read(path, name)
        with as_refusals():
            return np.asarray(read_map(image, name)) >= 128

    @property
    def max_pixels(self) -> float:
        """Of a photo, a mask or a line map."""
        return self.limits.max_megapixels * 1e6

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

    def decode(self, source: bytes | str, name: str) -> Image.Image:
        """`read`, for the bytes of a file, too."""
        limits = self.limits
        sizes: dict[str, Any] = {"max_pixels": self.max_pixels, "max_bytes": limits.max_megabytes * 2**20}
        try:
            return to_eight_bits(read_file(source, f"The {name}", **sizes, formats=_FORMATS))
        except FileNotFoundError:
            raise gone(name) from None
        except ValueError as error:
            logger.info("%s", error)
            message = str(error)  # a decoder's words may name a file of this server
            raise refusal(f"The {name} cannot be decoded." if os.sep in message else message) from error

    def save(self, image: Image.Image, name: str, **options: Any) -> str:
        """Write a picture, with what goes with it, where Gradio serves it. It belongs to the running job's session.

        Args:
            image (`PIL.Image.Image`): the picture.
            name (`str`): its file name, whose ending chooses the format.
            options: Pillow's, for that format.
        """
        folder = Path(get_upload_folder())
        folder.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=folder)) / name
        write_file(image, path, **options)
        job = current_job()
        if job is not None and job.session is not None:
            self.own(str(path), job.session)
        if self.demo is not None:
            self.demo.upload_file_set.add(str(path))  # deleted with Gradio's files even if the job is given up
        self.make_room()
        return str(path)

    def save_png(self, image: Image.Image, name: str) -> str:
        """`save` as NAME.png: compressed lightly, for a fifth of the time and a tenth more bytes."""
        return self.save(image, f"{name}.png", compress_level=1)

    def forget(self, session: str) -> None:
        """Delete the files that belong to this session only."""
        with self.lock:
            mine = [path for path, owners in self.owners.items() if session in owners]
            for path in mine:
                self.owners[path].discard(session)
            self._delete(path for path in mine if not self.owners[path])

    def make_room(self) -> None:
        """Delete the oldest files until the rest take no more than `max_disk`."""
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
        """Whether this server received or wrote `path`, named exactly so, and it is still a regular file."""
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
                os.rmdir(Path(path).parent)  # its folder, if nothing else is in it
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

"""What one visitor works on between two clicks: the photo, its hole, the lines, the result."""

from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np

from .canvas import Bools, Bytes, Lines


@dataclass(frozen=True)
class Work:
    """One visitor's state. Planes are kept as PNG files in memory, about a thousandth of their size.

    Args:
        photo (`str`): path of the uploaded photo.
        mask_png (`bytes`): the hole the mask editor was last sent, at the photo's size.
        lines_png (`tuple[bytes, ...]`, *optional*): the planes of the `Lines` that the lines editor was last sent.
        result (`str`, *optional*): path of the latest result.
    """

    photo: str
    mask_png: bytes
    lines_png: tuple[bytes, ...] | None = None
    result: str | None = None

    @classmethod
    def open(cls, photo: str, mask: Bools) -> "Work":
        """Start with a photo and its hole, `[H,W]` bool."""
        return cls(photo, _pack(mask))

    @property
    def mask(self) -> Bools:
        """The hole, `[H,W]` bool."""
        return _unpack(self.mask_png) > 0

    @property
    def lines(self) -> Lines | None:
        """The lines, once there are any."""
        if self.lines_png is None:
            return None
        edges, drawn, mask = map(_unpack, self.lines_png)
        return Lines(edges, drawn > 0, mask > 0)

    def with_mask(self, mask: Bools) -> "Work":
        """The same work with another hole."""
        return replace(self, mask_png=_pack(mask))

    def with_lines(self, lines: Lines) -> "Work":
        """The same work with other lines."""
        return replace(self, lines_png=tuple(map(_pack, (lines.edges, lines.drawn, lines.mask))))


def _pack(plane: Any) -> bytes:
    """`[H,W]` uint8, or bool as 0 and 255, as a PNG file."""
    plane = plane.astype(np.uint8) * np.uint8(255) if plane.dtype == bool else plane
    return cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _unpack(png: bytes) -> Bytes:
    return cast("Bytes", cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE))

"""Masks and lines between the page and Python: planes of the photo's size, packed as runs of equal values."""

import base64
import binascii
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..serving.refusals import refusal

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


class Packed(TypedDict):
    """Runs of equal values, in rows from the top: base64 of little-endian arrays."""

    values: str
    lengths: str  # uint32


def pack(plane: npt.NDArray[Any]) -> Packed:
    """A plane `[H,W]` of uint8, or of bool as 0 and 255."""
    flat = (plane.astype(np.uint8) * np.uint8(255) if plane.dtype == bool else plane).ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(starts, append=flat.size).astype("<u4")
    return {"values": _to_text(flat[starts]), "lengths": _to_text(lengths)}


def unpack(packed: Any, size: tuple[int, int], dtype: str = "u1") -> npt.NDArray[Any]:
    """The plane `[H,W]`.

    Args:
        packed (`Packed`): what a page sent.
        size (`tuple[int, int]`): H and W of the photo, which limits what is unpacked.
        dtype (`str`): of the values.

    Raises:
        gr.Error: it is not a plane of this size.
    """
    try:
        values = np.frombuffer(base64.b64decode(packed["values"], validate=True), f"<{dtype}")
        lengths = np.frombuffer(base64.b64decode(packed["lengths"], validate=True), "<u4")
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise refusal("This drawing could not be read.") from None
    if values.size != lengths.size or lengths.sum(dtype=np.uint64) != size[0] * size[1]:
        raise refusal("This drawing is not of the size of the photo.")
    return np.repeat(values, lengths).reshape(size)


def _to_text(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")

"""Images and masks, looked at before a run begins: what would teach little, or could not be read later, is said."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from edgeconnect_hf.pictures import decode, open_file
from training.config import DataConfig
from training.data.folders import find_images, list_files, names_of, say_once

T = TypeVar("T")

MOST_LOOKED_AT = 1000  # images or masks of a set, spread evenly over it
SMALLEST_SIDE = 32  # pixels
_THREADS = 8  # Pillow decodes outside of Python's lock
_FAULTS = {
    "black": "have no hole (nothing is white); brush strokes take their place",
    "white": "are all hole (white), which leaves nothing to paint from",
}

logger = logging.getLogger(__name__)


def check_images(rows: datasets.Dataset, config: DataConfig) -> None:
    """Warns of small and of much enlarged images and, with `mask_column`, of masks that are all hole or have none."""
    source = f"`train_data_dir` {config.train_data_dir!r}"
    if config.dataset_name is not None:
        source = f"`dataset_name` {config.dataset_name!r}"
    indices = _spread(len(rows))

    def name(index: int, column: str) -> str:
        return repr((rows[index][column] or {}).get("path") or f"row {index}")

    sides = _look_at(indices, lambda index: _short_side(rows[index][config.image_column]), "images")
    for what, least in {
        f"have less than {SMALLEST_SIDE} pixels on their short side": SMALLEST_SIDE,
        f"are enlarged more than twice to reach `resolution` {config.resolution}": config.resolution / 2,
    }.items():
        if small := [index for index, side in zip(indices, sides, strict=True) if side is not None and side < least]:
            count = _count(len(small), len(indices), len(rows), "images")
            say_once(f"{source}: {count} {what}, such as {name(small[0], config.image_column)}: they teach blur.")
    if config.mask_column is not None:
        column = config.mask_column
        kinds = _look_at(indices, lambda index: _kind_of_mask(rows[index][column], config.mask_threshold), "masks")
        _say_faults(f"`mask_column` {column!r}", kinds, lambda number: name(indices[number], column), len(rows))


def check_mask_folder(folder: str, threshold: int = 128) -> None:
    """Warns of masks that are all hole or have none. Arguments as for `MaskFolder`.

    Raises:
        ValueError: a mask cannot be read, or no mask has a hole with something around it.
    """
    source = f"`mask_dataset` {folder!r}"
    files = find_images(source, list_files(folder))
    looked_at = [files[index] for index in _spread(len(files))]
    kinds = _look_at(looked_at, lambda file: _kind_of_mask({"path": os.path.join(folder, file)}, threshold), "masks")
    if unreadable := [file for file, kind in zip(looked_at, kinds, strict=True) if kind == "unreadable"]:
        count = _count(len(unreadable), len(looked_at), len(files), "masks")
        raise ValueError(f"{source}: {count} cannot be read: {names_of(unreadable)}.")
    _say_faults(source, kinds, lambda number: repr(looked_at[number]), len(files))
    if "usable" not in kinds:
        raise ValueError(f"{source} has no mask with a hole (white) and something around it (black).")


def _spread(count: int) -> list[int]:
    looked_at = min(count, MOST_LOOKED_AT)
    return [number * count // looked_at for number in range(looked_at)]


def _look_at(things: Sequence[T], look: Callable[[T], Any], what: str) -> list[Any]:
    """`look` at each of `things`, with a progress bar where that takes more than two seconds."""
    quiet = not logger.isEnabledFor(logging.INFO)
    with ThreadPoolExecutor(_THREADS) as pool:
        seen = pool.map(look, things)
        return [*tqdm(seen, f"Checking {what}", len(things), leave=False, delay=2, disable=quiet)]


def _short_side(value: Mapping[str, Any]) -> int | None:
    """Pixels, from the file's header; None if it cannot be read, which the loader says."""
    try:
        with Image.open(value["path"] if value.get("bytes") is None else BytesIO(value["bytes"])) as image:
            return min(image.size)
    except Exception:  # Pillow's decoders may raise anything
        return None


def _kind_of_mask(value: Mapping[str, Any], threshold: int) -> str:
    """Usable, black, white or unreadable."""
    try:
        content = value.get("bytes")
        hole = np.asarray(decode(open_file(Path(value["path"]) if content is None else content), "L")) >= threshold
    except Exception:  # Pillow's decoders may raise anything
        return "unreadable"
    return "black" if not hole.any() else "white" if hole.all() else "usable"


def _say_faults(source: str, kinds: Sequence[str], name: Callable[[int], str], total: int) -> None:
    for kind, fault in _FAULTS.items():
        if kind in kinds:
            count = _count(kinds.count(kind), len(kinds), total, "masks")
            say_once(f"{source}: {count} {fault}, such as {name(kinds.index(kind))}.")


def _count(found: int, looked_at: int, total: int, what: str) -> str:
    """`3 of 50 images`; `3 of 1,000 images looked at (of 12,000)`."""
    sample = "" if looked_at == total else f" looked at (of {total:,})"
    return f"{found:,} of {looked_at:,} {what}{sample}"

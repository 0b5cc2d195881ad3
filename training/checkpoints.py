"""Checkpoint folders that are either whole or passed over, whenever the power goes.

A checkpoint is written to a hidden folder, sealed with a list of its files and their hashes, flushed to disk, and then
renamed to `checkpoint-N`. A folder whose files do not match its list is torn: it is named in a warning and not used.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path

_SEAL = "files.json"

logger = logging.getLogger(__name__)


def partial_folder(output_dir: Path, step: int) -> Path:
    """Where the files of `checkpoint-<step>` are written before it is sealed."""
    return output_dir / f".checkpoint-{step}.partial"


def seal(output_dir: Path, step: int) -> Path:
    """Turns the partial folder of `step` into `checkpoint-<step>`, in one move.

    Returns:
        The checkpoint's folder.
    """
    partial, final = partial_folder(output_dir, step), output_dir / f"checkpoint-{step}"
    files = sorted(path for path in partial.rglob("*") if path.is_file())
    hashes = {path.relative_to(partial).as_posix(): _hash(path) for path in files}
    (partial / _SEAL).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    for path in (*partial.rglob("*"), partial):
        _flush(path)
    if final.exists():  # torn, or of a run that was turned back to an earlier checkpoint
        shutil.rmtree(final)
    partial.rename(final)
    _flush(output_dir)
    return final


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is there and as it was written."""
    try:
        hashes = json.loads((checkpoint / _SEAL).read_text(encoding="utf-8"))
        return all(_hash(checkpoint / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError):
        return False


def find_checkpoints(output_dir: Path) -> list[Path]:
    """All folders `checkpoint-N`, whole or torn, the oldest first."""
    found = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=checkpoint_step)


def checkpoint_step(checkpoint: Path) -> int:
    """N of `checkpoint-N`."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def find_latest(output_dir: Path) -> Path | None:
    """The newest whole checkpoint; torn ones are passed over with a warning each. None if there is none."""
    for checkpoint in reversed(find_checkpoints(output_dir)):
        if is_whole(checkpoint):
            return checkpoint
        logger.warning("%s is torn (files are missing or changed): passed over.", checkpoint)
    return None


def remove_old(output_dir: Path, step: int, limit: int) -> None:
    """Keeps the newest `limit` checkpoints up to `step`. Later ones, of a run that was turned back, are left alone."""
    up_to_now = [checkpoint for checkpoint in find_checkpoints(output_dir) if checkpoint_step(checkpoint) <= step]
    for checkpoint in up_to_now[:-limit]:
        shutil.rmtree(checkpoint)


def remove_partial(output_dir: Path) -> None:
    """Removes what runs that were killed had begun to write."""
    for partial in output_dir.glob(".checkpoint-*.partial"):
        shutil.rmtree(partial)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on disk. (Windows cannot open folders; there it is skipped.)"""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Checkpoint folders that are either whole or skipped, whenever a run is interrupted.

A checkpoint is written to a hidden folder, sealed with a list of its files and their hashes, flushed to disk, and then
renamed to `checkpoint-N`. A folder whose files do not match its list is torn: a warning names it, and it is not used.
The hashes detect accidents, not attacks: whoever can change a file can change its hash.
"""

import logging
import os
import re
import reprlib
import shutil
from pathlib import Path

from edgeconnect_hf.digests import file_digest
from training.checkpoints.files import is_regular, read_json, write_json

_SEAL = "files.json"
_NAME = re.compile(r"checkpoint-(0|[1-9][0-9]*)")

logger = logging.getLogger(__name__)


def partial_folder(output_dir: Path, step: int) -> Path:
    """The folder in which `checkpoint-<step>` is written before it is sealed."""
    return output_dir / f".checkpoint-{step}.partial"


def seal(output_dir: Path, step: int) -> Path:
    """Turns the partial folder of `step` into `checkpoint-<step>` with one rename.

    Returns:
        The checkpoint's folder.
    """
    partial, final = partial_folder(output_dir, step), output_dir / f"checkpoint-{step}"
    files = sorted(path for path in partial.rglob("*") if path.is_file())
    write_json(partial / _SEAL, {path.relative_to(partial).as_posix(): file_digest(path) for path in files})
    for path in (*partial.rglob("*"), partial):
        _flush(path)
    replaced = output_dir / f".checkpoint-{step}.replaced.partial"
    if final.exists() or final.is_symlink():  # torn, or of a run resumed from an earlier checkpoint
        final.rename(replaced)
    partial.rename(final)
    _flush(output_dir)
    _remove(replaced)
    return final


def sealed_files(checkpoint: Path) -> dict[str, str]:
    """Names and SHA-256 of the files of a checkpoint, whether they exist or not.

    Raises:
        ValueError: the list of files is missing or empty, or names a file outside the folder.
    """
    hashes = read_json(checkpoint / _SEAL)
    if not isinstance(hashes, dict) or not hashes or not all(isinstance(value, str) for value in hashes.values()):
        raise ValueError(f"{str(checkpoint / _SEAL)!r} must list at least one file, each with its hash.")
    folder = checkpoint.resolve()
    for name in hashes:
        path = folder / name
        if not path.is_relative_to(folder) or path.resolve() != path:  # `..`, an absolute path, a link
            raise ValueError(
                f"{str(checkpoint / _SEAL)!r} names {reprlib.repr(name)}, which is not a file in that folder."
            )
    return hashes


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint exists and is unchanged."""
    try:
        hashes = sealed_files(checkpoint)
        return all(is_regular(checkpoint / name) and file_digest(checkpoint / name) == hashes[name] for name in hashes)
    except (OSError, ValueError, RuntimeError):  # RuntimeError for circular links, before Python 3.13
        return False


def find_checkpoints(output_dir: Path) -> list[Path]:
    """All folders `checkpoint-N`, whole or torn, the oldest first; no links and files of that name."""
    return [path for path in _called_checkpoint(output_dir) if path.is_dir() and not path.is_symlink()]


def checkpoint_step(checkpoint: Path) -> int:
    """N of `checkpoint-N`."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def find_latest(output_dir: Path) -> Path | None:
    """The newest whole checkpoint, or None; each torn one is skipped with a warning."""
    for checkpoint in reversed(find_checkpoints(output_dir)):
        if is_whole(checkpoint):
            return checkpoint
        logger.warning("%s is torn (files are missing or changed): skipped.", checkpoint)
    return None


def choose_checkpoint(output_dir: Path, wanted: str | None) -> Path | None:
    """The checkpoint that a run continues from; None if it starts over. Changes nothing.

    Args:
        output_dir (`Path`): the run's folder.
        wanted (`str`, *optional*): the setting `resume_from_checkpoint`.

    Raises:
        ValueError: the wanted checkpoint is missing or torn, all are torn, or a link or file has a checkpoint's name.
        FileExistsError: `wanted` is None, but there are checkpoints.
    """
    checkpoints = find_checkpoints(output_dir)
    if strays := [path.name for path in _called_checkpoint(output_dir) if path not in checkpoints]:
        raise ValueError(f"`output_dir` {str(output_dir)!r} holds {strays}, which must be folders: move them away.")
    if wanted is None:
        if checkpoints:
            raise FileExistsError(
                f"`output_dir` {str(output_dir)!r} holds checkpoints: continue from them with "
                "`--resume_from_checkpoint latest`, or choose another folder."
            )
        return None
    if wanted == "latest":
        latest = find_latest(output_dir)
        if latest is None and checkpoints:
            raise ValueError(
                f"`resume_from_checkpoint` is 'latest', but all checkpoints in {str(output_dir)!r} are torn: "
                f"{', '.join(path.name for path in checkpoints)}. Restore one, or start over in another `output_dir`."
            )
        if latest is None:
            logger.info("No checkpoint in %s yet: starting from scratch.", output_dir)
        return latest
    checkpoint = Path(wanted).absolute()
    if not _NAME.fullmatch(checkpoint.name) or not is_whole(checkpoint):
        raise ValueError(
            f"`resume_from_checkpoint` is {wanted!r}, expected 'latest' or a whole folder `checkpoint-N` of a run."
        )
    later = [path.name for path in checkpoints if checkpoint_step(path) > checkpoint_step(checkpoint)]
    if later:
        logger.warning("%s are newer and are kept: 'latest' means them until this run has passed them.", later)
    return checkpoint


def remove_old(output_dir: Path, step: int, limit: int) -> None:
    """Keeps the newest `limit` whole checkpoints up to and including `step`.

    Torn checkpoints are left alone, and so are later ones, of a run that was resumed from an earlier checkpoint.
    """
    up_to_now = [checkpoint for checkpoint in find_checkpoints(output_dir) if checkpoint_step(checkpoint) <= step]
    if len(up_to_now) > limit:
        whole = [checkpoint for checkpoint in up_to_now if checkpoint_step(checkpoint) == step or is_whole(checkpoint)]
        for checkpoint in whole[:-limit]:
            _remove(checkpoint)


def remove_partial(output_dir: Path) -> None:
    """Removes unfinished checkpoints of runs that were killed."""
    for partial in output_dir.glob(".checkpoint-*.partial"):
        _remove(partial)


def _called_checkpoint(output_dir: Path) -> list[Path]:
    """Everything with the name `checkpoint-N`, sorted by N."""
    return sorted((path for path in output_dir.glob("checkpoint-*") if _NAME.fullmatch(path.name)), key=checkpoint_step)


def _remove(path: Path) -> None:
    """Removes a folder, file or link, but not the target of a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on disk. Skips folders on Windows, which cannot open them."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Folders of images: listed once, paired with their `metadata.jsonl`, and what they leave out is said."""

import csv
import functools
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from edgeconnect_hf.pictures import readable_endings

logger = logging.getLogger(__name__)

_METADATA = ("metadata.jsonl", "metadata.csv")
_FILE_NAME = "file_name"
_SHOWN = 3  # names in a message


def list_files(folder: str | Path) -> tuple[str, ...]:
    """Paths of the files in `folder` and its subfolders, relative to it, sorted; hidden ones are left out.

    Linked subfolders are followed, each folder once. A folder is listed once in a process: what is added to it later
    is not seen.

    Raises:
        ValueError: a subfolder cannot be listed; the message names it.
    """
    return _list_files(os.path.abspath(folder))


@functools.cache
def _list_files(folder: str) -> tuple[str, ...]:
    files: list[str] = []
    seen = {os.path.realpath(folder)}
    with tqdm(desc=f"Listing {folder}", unit=" files", delay=2, leave=False, disable=_is_quiet()) as bar:
        for here, subfolders, names in os.walk(folder, onerror=_refuse, followlinks=True):
            kept = []
            for name in sorted(subfolders):
                real = os.path.realpath(os.path.join(here, name))
                if name.startswith((".", "__")):  # as __MACOSX, in archives
                    continue
                if real in seen:
                    say_once(f"{os.path.join(here, name)!r} leads to a folder that is read already: left out.")
                    continue
                seen.add(real)
                kept.append(name)
            subfolders[:] = kept
            place = os.path.relpath(here, folder).replace(os.sep, "/")
            prefix = "" if place == "." else f"{place}/"
            files += [prefix + name for name in names if not name.startswith(".")]
            bar.update(len(names))
    return tuple(sorted(files))


def _refuse(error: OSError) -> None:
    raise ValueError(f"the folder {error.filename!r} cannot be listed: {error.strerror}.") from error


def _is_quiet() -> bool:
    return not logger.isEnabledFor(logging.INFO)


@functools.cache
def say_once(message: str, level: int = logging.WARNING) -> None:
    """Logs a message, in each process once: stages and validation read the same data again."""
    logger.log(level, message)


def find_images(source: str, files: Iterable[str]) -> list[str]:
    """Those of `files` that have an ending of an image; the others are said to be left out.

    Raises:
        ValueError: there is none; the message begins with `source`.
    """
    images: list[str] = []
    others: list[str] = []
    endings = readable_endings()
    for file in files:
        (images if os.path.splitext(file)[1].lower() in endings else others).append(file)
    if not images:
        found = f"only {describe(others)}" if others else "no files at all"
        raise ValueError(f"{source} holds no images that can be read: {found}.")
    if others:
        say_once(f"{source}: left out as no images: {describe(others)}.")
    return images


def describe(files: Collection[str]) -> str:
    """How many files have which ending, and the first of them: `3 files (.txt 2, .heic 1), such as 'notes.txt'`."""
    counts = Counter(os.path.splitext(file)[1].lower() or "no ending" for file in files).most_common()
    plural = "s" if len(files) > 1 else ""
    return f"{len(files)} file{plural} ({', '.join(f'{ending} {count}' for ending, count in counts)}), such as " + repr(
        next(iter(files))
    )


def names_of(files: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(map(repr, files[:_SHOWN])) + more


def read_images(source: str, root: Path, files: Sequence[str], used: Collection[str]) -> dict[str, list[str]]:
    """The images of a folder as columns of absolute paths: `image` alone, or those of its metadata files.

    A metadata file, `metadata.jsonl` or `metadata.csv`, has a row for each image that is used; the key `file_name`
    gives the column `image`, `lines_file_name` gives `lines`. Everything left out is said in a warning.

    Args:
        source (`str`): what messages call the folder.
        root (`Path`): the folder.
        files (`Sequence[str]`): its files, relative to it.
        used (`Collection[str]`): the columns that must name a file that exists; rows without it are left out.

    Raises:
        ValueError: nothing is left, or a metadata file cannot be read.
    """
    metadata = [file for file in files if file.rpartition("/")[2] in _METADATA]
    images = find_images(source, (file for file in files if file not in metadata))
    columns = {"image": images}
    if metadata:
        rows = _read_metadata(source, root, metadata)
        named = {name for row in rows for name in row.values()}
        if unnamed := [file for file in images if file not in named]:
            say_once(f"{source}: left out, because {metadata[0]} has no row for them: {names_of(unnamed)}.")
        columns = _to_columns(f"{source}: {metadata[0]}", rows, frozenset(files), used)
    say_once(f"{source}: {len(next(iter(columns.values()))):,} photos.", logging.INFO)
    prefix = os.path.abspath(root)
    return {name: [os.path.join(prefix, file) if file else "" for file in column] for name, column in columns.items()}


def _read_metadata(source: str, root: Path, metadata: Sequence[str]) -> list[dict[str, str]]:
    """The files that each row names, by column, relative to `root`."""
    rows: list[dict[str, str]] = []
    for file in metadata:
        folder = file.rpartition("/")[0]
        for values in _read_table(root / file):
            named = {_column(key): name for key, name in values.items() if name}
            rows.append({column: _inside(folder, name, root / file) for column, name in named.items() if column})
    if not any(rows):
        raise ValueError(f"{source}: {metadata[0]} has no row with the key `{_FILE_NAME}`.")
    return rows


def _to_columns(
    source: str, rows: Sequence[Mapping[str, str]], files: Collection[str], used: Collection[str]
) -> dict[str, list[str]]:
    """The rows whose used files exist, as columns."""
    names = sorted({name for row in rows for name in row})
    needed = [name for name in used if name in names]
    whole = [row for row in rows if all(row.get(name) in files for name in needed)]
    missing = [row.get(name, f"(no {name})") for row in rows for name in needed if row.get(name) not in files]
    if missing and not whole:
        raise ValueError(f"{source} has no row whose files exist: {names_of(missing)}.")
    if missing:
        left_out = f"{len(rows) - len(whole)} of {len(rows)} rows are left out, because their files do not exist"
        say_once(f"{source}: {left_out}: {names_of(missing)}.")
    return {name: [row.get(name, "") for row in whole] for name in names}


def _read_table(path: Path) -> list[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="" if path.suffix == ".csv" else None) as file:
            if path.suffix == ".csv":
                return [*csv.DictReader(file)]
            rows = [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}.") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{str(path)!r} must have a JSON object on each line.")
    return rows


def _column(key: str | None) -> str | None:
    """The column of a metadata key that names a file; None for other keys."""
    if key == _FILE_NAME:
        return "image"
    return key.removesuffix(f"_{_FILE_NAME}") if key and key.endswith(f"_{_FILE_NAME}") else None


def _inside(folder: str, name: Any, metadata: Path) -> str:
    """A file named in a metadata file, relative to the root; data sets of others must not point elsewhere."""
    place = os.path.normpath(str(name)).replace("\\", "/")
    if "://" in str(name) or os.path.isabs(place) or place.split("/")[0] == "..":
        raise ValueError(f"{str(metadata)!r} names {str(name)!r}, expected a file in its folder.")
    return f"{folder}/{place}" if folder else place

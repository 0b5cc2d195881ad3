"""Traces every committed picture and the bundled weights to the manifest: `python training/data/provenance.py`.

`provenance.csv` has a row for each of them: its file, its SHA-256, what it was made from (photos as `set/split/file`,
or `set/split/*` for all of a split; `drawn` where no photo is in it) and how. The command prints the rows with their
licences. Files without a row, rows whose file has changed or is gone, and sources that the manifest does not list
are named, and end the program with status 1.
"""

import csv
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from PIL import Image, UnidentifiedImageError

from edgeconnect_hf.digests import file_digest
from training.data.manifest import PhotoSet, read_manifest

ROOT = Path(__file__).resolve().parents[2]
LIST = "provenance.csv"
DRAWN = "drawn"
OTHER_SUFFIXES = (".npy", ".npz", ".safetensors", ".ipynb")  # that hold pictures, or came of them


@dataclass(frozen=True)
class Row:
    """One picture of the list."""

    file: str
    sha256: str
    sources: str  # separated by spaces
    made: str


def main() -> None:
    rows, licences = read_list(ROOT), source_licences(read_manifest())
    for row in rows:
        of_row = sorted({licences.get(source, "own") for source in row.sources.split()})
        print(f"{row.file}\n    {row.sources} ({', '.join(of_row)}): {row.made}")
    faults = find_faults(ROOT, rows, committed_files(ROOT), licences)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(rows)} files on the list, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def read_list(root: Path) -> list[Row]:
    """The rows of `provenance.csv` in the folder `root`."""
    with (root / LIST).open(newline="", encoding="utf-8") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def source_licences(manifest: Mapping[str, PhotoSet]) -> dict[str, str]:
    """The licence of each photo, `set/split/file`, and of each split, `set/split/*`."""
    return {
        f"{name}/{split}/{file_name}": photo_set.licence
        for name, photo_set in manifest.items()
        for split, photos in photo_set.splits.items()
        for file_name in ("*", *(photo.file_name for photo in photos))
    }


def committed_files(root: Path) -> list[str]:
    """The files that git knows in the checkout `root` and that are there."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def find_faults(root: Path, rows: Sequence[Row], files: Sequence[str], licences: Mapping[str, str]) -> list[str]:
    """What is wrong with the list, a line for each fault.

    Args:
        root (`Path`): the checkout.
        rows: the list.
        files: the committed files, relative to `root`.
        licences: the result of `source_licences`.
    """
    faults = [f"{file} is not in {LIST}" for file in _pictures(root, files) if file not in {row.file for row in rows}]
    for row in rows:
        if row.file not in files:
            faults.append(f"{row.file} is in {LIST}, not in the repository")
        elif file_digest(root / row.file) != row.sha256:
            faults.append(f"{row.file} is not the file that {LIST} describes: its SHA-256 differs")
        unknown = [source for source in row.sources.split() if source not in licences]
        if row.sources != DRAWN:
            faults += [f"{row.file} comes from {source}, which is not in the manifest" for source in unknown]
        if not row.sources or not row.made:
            faults.append(f"{row.file} has no sources, or not how it was made")
    return faults


def _pictures(root: Path, files: Sequence[str]) -> Iterator[str]:
    """The files that hold pictures or came of them: what Pillow recognises, whatever its name, and the other kinds."""
    for name in files:
        path = root / name
        if path.suffix in OTHER_SUFFIXES:
            yield name
            continue
        try:
            with Image.open(path):
                yield name
        except UnidentifiedImageError:
            continue


if __name__ == "__main__":
    main()

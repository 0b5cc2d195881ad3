"""A set from outside the training data: 20 photos of buildings, CC0 or public domain, from a package of Debian.

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb runs/gcompris
    python training/evaluation/monuments.py --package runs/gcompris --output_dir data/monuments

`monuments.csv` names the photos, their authors, licences and sources, as the package's `explore_monuments` does.
"""

import argparse
import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

MONUMENTS = Path(__file__).with_name("monuments.csv")
ARCHIVE = "usr/share/gcompris-qt/rcc/explore_monuments.rcc"  # Qt's; the photos in it are stored as they are


def extract(archive: Path, names: dict[str, str], output_dir: Path) -> None:
    """Writes the photos of `names`, SHA-256 -> name, to `output_dir`.

    Raises:
        ValueError: the archive lacks some, perhaps because it is of another version.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    missing = dict(names)
    for photo in _webp_files(archive.read_bytes()):
        if name := missing.pop(hashlib.sha256(photo).hexdigest(), None):
            (output_dir / f"{name}.webp").write_bytes(photo)
    if missing:
        raise ValueError(f"{str(archive)!r} lacks {', '.join(missing.values())}, expected version 3.1 of the package.")


def _webp_files(data: bytes) -> Iterator[bytes]:
    for start in (match.start() for match in re.finditer(rb"RIFF....WEBP", data, re.DOTALL)):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        yield data[start : start + 8 + size]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="monuments.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--package", type=Path, required=True, help="folder of the unpacked package gcompris-qt-data")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the photos")
    arguments = parser.parse_args()
    with MONUMENTS.open(newline="", encoding="utf-8") as file:
        names = {photo["sha256"]: photo["name"] for photo in csv.DictReader(file)}
    try:
        extract(arguments.package / ARCHIVE, names, arguments.output_dir)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""The photos that the bundled model may be made of: where they are from, their licences, how each is recognised."""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("data_manifest.ini")
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Photo:
    """One photo of a set."""

    source: str  # its path in the set
    blob: str  # git's hash of the file there
    fingerprint: str  # of the prepared photo, see `prepare.fingerprint`

    @property
    def file_name(self) -> str:
        """The prepared photo's: `img_7.JPG` is `007.jpg`, `a_png_jpg.rf.0f3c.jpg` (Roboflow's) is `a.jpg`."""
        stem = Path(self.source).stem.partition("_png_jpg.rf.")[0]
        return f"{stem.removeprefix('img_').zfill(3)}.jpg"


@dataclass(frozen=True)
class PhotoSet:
    """A public data set and the photos of it that are used."""

    title: str
    authors: str
    page: str  # URL
    archive: str  # URL of a zip or tar file that holds the photos
    licence: str  # SPDX
    licence_page: str  # URL
    short_side: int  # pixels of the prepared photos
    splits: Mapping[str, tuple[Photo, ...]]


def read_manifest(path: Path | None = None) -> dict[str, PhotoSet]:
    """The photo sets of `data_manifest.ini` (or of `path`) by name.

    Its section `[rooms]` describes a set; `[rooms/train]` has a line `source = blob fingerprint` for each photo.
    """
    parser = configparser.ConfigParser(delimiters=(" = ",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    parser.read_string((path or MANIFEST).read_text(encoding="utf-8"))
    sets = {}
    for name in parser.sections():
        if "/" not in name:
            splits = {
                split: tuple(Photo(source, *line.split()) for source, line in parser[f"{name}/{split}"].items())
                for split in SPLITS
                if parser.has_section(f"{name}/{split}")
            }
            described = dict(parser[name])
            short_side = int(described.pop("short_side"))
            sets[name] = PhotoSet(**described, short_side=short_side, splits=splits)
    return sets

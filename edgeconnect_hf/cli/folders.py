"""Folders: find the photos, pair them with masks and line maps by name, and say what is left out."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .jobs import Job, check_paths_differ, listed


@dataclass
class _Listing:
    """The files of a folder: pictures by the name they are paired by, in order, and the rest."""

    folder: Path
    pictures: defaultdict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    unread: list[Path] = field(default_factory=list)


def pair_folder(
    inputs: dict[str, Path], outputs: dict[str, Path], *, recursive: bool, suffix: str, ending: str
) -> tuple[list[Job], list[str]]:
    """Form one job per photo of the folder `image`.

    Files are paired by name: without the ending, in either case, in either Unicode spelling; with `recursive`, by path
    in the folder. A name that two files share makes a job with a problem.

    Args:
        inputs (`dict[str, Path]`): by argument. `image` is a folder; any other is a folder whose files are paired with
            the photos, or one file for all photos.
        outputs (`dict[str, Path]`): folders by argument.
        recursive (`bool`): read subfolders, and mirror them in the output folders.
        suffix (`str`): added to the names of the results.
        ending (`str`): of the results; lines are PNG files.

    Returns:
        The jobs, and a line for each kind of file that is not read.
    """
    for argument, path in outputs.items():
        if path.exists() and not path.is_dir():
            raise ValueError(f"`{argument}` must be a folder, as `image` is one: got the file {str(path)!r}.")
    check_paths_differ(inputs, outputs)
    named = {path.resolve() for path in (*inputs.values(), *outputs.values())}  # neither photos nor left out
    listings = {
        argument: _list(path, recursive, named - {path.resolve()}) for argument, path in inputs.items() if path.is_dir()
    }
    photos = listings["image"]
    notes = [line for listing in listings.values() for line in _say_unread(listing, recursive)]
    notes += [line for listing in listings.values() for line in _say_unpaired(listing, photos)]
    if not photos.pictures:
        problem = f"`image` must be a folder with images: got {str(photos.folder)!r}, which has none"
        raise ValueError("; ".join([problem, *(line.strip() for line in _say_unread(photos, recursive))]) + ".")
    jobs = []
    for key, paths in photos.pictures.items():
        place = paths[0].relative_to(photos.folder)
        found = {"image": paths}
        for argument, path in inputs.items():
            if argument in listings:
                # A missing file is an error of its photo only, raised on reading it.
                found[argument] = listings[argument].pictures.get(key) or [path / place.with_suffix(".png")]
            else:
                found[argument] = [path]
        results = {
            argument: path / place.with_name(f"{place.stem}{suffix}{ending if argument == '--output' else '.png'}")
            for argument, path in outputs.items()
        }
        jobs.append(Job({argument: files[0] for argument, files in found.items()}, results, _ambiguity(found)))
    return jobs, notes


def _ambiguity(found: dict[str, list[Path]]) -> str | None:
    for argument, paths in found.items():
        if len(paths) > 1:
            return f"`{argument}` must have one file of this name, whatever its ending and case: got {listed(paths)}."
    return None


def _list(folder: Path, recursive: bool, elsewhere: set[Path]) -> _Listing:
    listing = _Listing(folder)
    from ..pictures import readable_endings  # imports torch, which `--help` does not need

    endings = readable_endings()
    for path in _walk(folder, recursive, elsewhere):
        if path.suffix.lower() in endings and not path.is_dir():
            listing.pictures[_key(path.relative_to(folder))].append(path)
        else:
            listing.unread.append(path)
    return listing


def _walk(folder: Path, recursive: bool, elsewhere: set[Path]) -> Iterator[Path]:
    """Files, and folders that are not read, in order; none that are hidden or `elsewhere`."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.resolve() in elsewhere:
            continue
        if recursive and path.is_dir() and not path.is_symlink():  # a link might lead back here
            yield from _walk(path, recursive, elsewhere)
        else:
            yield path


def _key(place: Path) -> str:
    return unicodedata.normalize("NFC", place.with_suffix("").as_posix()).casefold()


def _say_unread(listing: _Listing, recursive: bool) -> list[str]:
    kinds: defaultdict[str, list[Path]] = defaultdict(list)
    for path in listing.unread:
        kind = "folder" if path.is_dir() else path.suffix.lower() or "no ending"
        kinds[kind].append(path.relative_to(listing.folder))
    from ..pictures import HEIC_ENDINGS

    cures = dict.fromkeys((*HEIC_ENDINGS, ".avif"), " (pip install 'edgeconnect-hf[heif]' reads them)")
    if not recursive:
        cures["folder"] = " (`--recursive` reads them)"
    return [
        f"not read in {listing.folder}: {len(paths)} of kind {kind}{cures.get(kind, '')}: {listed(paths)}"
        for kind, paths in sorted(kinds.items())
    ]


def _say_unpaired(listing: _Listing, photos: _Listing) -> list[str]:
    unpaired = [paths[0] for key, paths in listing.pictures.items() if key not in photos.pictures]
    return [f"not used in {listing.folder}: {len(unpaired)} without a photo: {listed(unpaired)}"] if unpaired else []

"""Rebuilds the photos that the bundled model was trained on: `python training/data/prepare.py --output_dir data`.

Each set of `data_manifest.ini` is downloaded, or read from the archive or folder named for it (`--rooms ARCHIVE`). Its
listed photos are found by git's hash of their content, wherever they lie there, turned upright, reduced to the set's
short side (none is enlarged) and saved as JPEG of quality 80 in `SET/train` and `SET/validation`. Licence files of a
set are copied beside them.

The photos, their sizes and the JPEG quality are those of training. The filter that reduced them is not known, so pixels
are similar, not equal: each is compared with its fingerprint in the manifest, the brightness of its four quarters.
Photos that are missing, unlisted or different are listed, and end the program with status 1. `--check_only` only
compares an existing folder.
"""

import argparse
import hashlib
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from PIL import Image

from edgeconnect_hf.pictures import flatten, read_file
from training.data.manifest import PhotoSet, read_manifest

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
QUALITY = 80  # of the JPEG files
TOLERANCE = 3  # of 255; another filter or JPEG decoder changes a quarter's brightness by less


def main(command_line: Sequence[str] | None = None) -> None:
    manifest = read_manifest()
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=Path, default=Path("data"), help="default: data")
    for name, photo_set in manifest.items():
        text = f"its archive, or a folder (default: download {photo_set.archive})"
        parser.add_argument(f"--{name}", type=Path, metavar="ARCHIVE", help=text)
    parser.add_argument("--check_only", action="store_true", help="write nothing, compare an existing folder")
    arguments = parser.parse_args(command_line)
    if not arguments.check_only:
        for name, photo_set in manifest.items():
            prepare(photo_set, getattr(arguments, name), arguments.output_dir / name)
    faults = find_faults(arguments.output_dir, manifest)
    print(*faults, sep="\n", end="\n" if faults else "")
    count = sum(len(photos) for photo_set in manifest.values() for photos in photo_set.splits.values())
    print(f"{count} photos in the manifest, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def prepare(photo_set: PhotoSet, archive: Path | None, folder: Path) -> None:
    """Writes the photos of one set to `folder/train` and `folder/validation`; photos not found are left out.

    Args:
        photo_set (`PhotoSet`): which photos, and their size.
        archive (`Path`, *optional*): its zip or tar file, or a folder; downloaded by default.
        folder (`Path`): where the set goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = {
        photo.blob: folder / split / photo.file_name for split, photos in photo_set.splits.items() for photo in photos
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if archive is None:
            archive = Path(scratch) / "archive"
            print(f"downloading {photo_set.archive}", flush=True)
            urllib.request.urlretrieve(photo_set.archive, archive)
        for name, content in read_files(archive):
            if name.startswith("LICENSE"):
                (folder / name).write_bytes(content)
            elif target := targets.get(git_blob(content)):
                target.parent.mkdir(exist_ok=True)
                make_smaller(content, name, photo_set.short_side).save(target, quality=QUALITY)


def read_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the images and licence files in a zip or tar file, or in a folder."""
    if archive.is_dir():
        for path in sorted(archive.rglob("*")):
            if _wanted(path.name) and path.is_file():
                yield path.name, path.read_bytes()
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened_zip:
            for info in opened_zip.infolist():
                name = PurePosixPath(info.filename).name
                if _wanted(name) and not info.is_dir():
                    yield name, opened_zip.read(info)
    else:
        with tarfile.open(archive) as opened_tar:
            for member in opened_tar:
                name = PurePosixPath(member.name).name
                if _wanted(name) and (opened := opened_tar.extractfile(member)):
                    yield name, opened.read()


def git_blob(content: bytes) -> str:
    """Git's name for a file's content: SHA-1, in hexadecimal digits."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def make_smaller(content: bytes, name: str, short_side: int) -> Image.Image:
    """A photo turned upright, as RGB, its short side at most `short_side` pixels. Errors call it `name`."""
    photo = flatten(read_file(content, name), "RGB")
    scale = short_side / min(photo.size)
    if scale >= 1:
        return photo
    width, height = photo.size
    return photo.resize((round(scale * width), round(scale * height)), Image.Resampling.LANCZOS)


def find_faults(output_dir: Path, manifest: Mapping[str, PhotoSet]) -> list[str]:
    """Differences between a folder and the manifest, a line for each photo."""
    faults = []
    for name, photo_set in manifest.items():
        for split, photos in photo_set.splits.items():
            section = f"{name}/{split}"
            expected = {photo.file_name: photo.fingerprint for photo in photos}
            found = {path.name: path for path in sorted((output_dir / section).glob("*.jpg"))}
            faults += [f"{section}: {file_name} is missing" for file_name in expected if file_name not in found]
            for file_name, path in found.items():
                if file_name not in expected:
                    faults.append(f"{section}: {file_name} is not in the manifest")
                elif not _alike(fingerprint(path), expected[file_name]):
                    faults.append(f"{section}: {file_name} differs from the manifest's photo")
    return faults


def fingerprint(path: Path) -> str:
    """Mean brightness of the upper left, upper right, lower left and lower right quarter, two hex digits each."""
    gray = flatten(read_file(path, str(path)), "L")
    return gray.resize((2, 2), Image.Resampling.BOX).tobytes().hex()


def _alike(fingerprint: str, other: str) -> bool:
    pairs = zip(bytes.fromhex(fingerprint), bytes.fromhex(other), strict=True)
    return all(abs(one - another) <= TOLERANCE for one, another in pairs)


def _wanted(name: str) -> bool:
    return name.startswith("LICENSE") or name.lower().endswith(IMAGE_SUFFIXES)


if __name__ == "__main__":
    main()

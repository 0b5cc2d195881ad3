"""Rebuilds the photos that the released model was trained on: `python training/data/prepare.py --output_dir data`.

Two public sets are downloaded (or read from the archives `--facades` and `--flowers`):

- facades: street fronts of Saint Petersburg, github.com/Urban-Research-Lab/building-facades-advertising-dataset (CC0);
  its `img_7` is our `007.jpg`;
- flowers: TensorFlow's `flower_photos` (CC BY 2.0), under their own names. Its `LICENSE.txt`, which lists the
  photographers to credit, is copied beside them.

`data_manifest.ini` lists the photos that are used for `train` and for `validation`. They are turned upright, reduced to
a short side of 512 and of 256 pixels (none is enlarged), and saved as JPEG. The filter that reduced the released
model's photos is not known, so the files are similar, not equal byte for byte. Each is compared with its fingerprint in
the manifest, the brightness of its four quarters. Photos that are missing, unlisted or different are listed, and end
the program with status 1. `--check_only` only compares an existing folder.
"""

import argparse
import configparser
import shutil
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgeconnect_hf.pictures import flatten, read_file

MANIFEST = Path(__file__).with_name("data_manifest.ini")
SPLITS = ("train", "validation")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
TOLERANCE = 3  # of 255; another filter, size or JPEG quality changes a quarter's brightness by less


@dataclass(frozen=True)
class Source:
    """A public data set: its archive, and how its photos are reduced, saved and named."""

    url: str
    short_side: int  # pixels
    quality: int  # of the JPEG files
    rename: Callable[[str], str]


SOURCES = {
    "facades": Source(
        "https://github.com/Urban-Research-Lab/building-facades-advertising-dataset/archive/refs/heads/master.zip",
        short_side=512,
        quality=88,
        rename=lambda stem: stem.removeprefix("img_").zfill(3),
    ),
    "flowers": Source(
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        short_side=256,
        quality=80,
        rename=lambda stem: stem,
    ),
}


def main(command_line: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=Path, default=Path("data"), help="default: data")
    for name in SOURCES:
        parser.add_argument(f"--{name}", type=Path, metavar="ARCHIVE", help="its archive (default: download)")
    parser.add_argument("--check_only", action="store_true", help="write nothing, compare an existing folder")
    arguments = parser.parse_args(command_line)
    manifest = read_manifest(MANIFEST)
    if not arguments.check_only:
        for name in SOURCES:
            prepare(name, getattr(arguments, name), arguments.output_dir, manifest)
    faults = find_faults(arguments.output_dir, manifest)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{sum(map(len, manifest.values()))} photos in the manifest, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def read_manifest(path: Path) -> dict[str, dict[str, str]]:
    """`{"facades/train": {"001": fingerprint, …}, …}`. A photo's name is its file's stem up to the first `_`."""
    manifest = configparser.ConfigParser()
    manifest.read_string(path.read_text(encoding="utf-8"))
    return {section: dict(manifest[section]) for section in manifest.sections()}


def prepare(name: str, archive: Path | None, output_dir: Path, manifest: Mapping[str, Mapping[str, str]]) -> None:
    """Writes the photos of one set to `output_dir/name/train` and `validation`; photos missing in it are left out.

    Args:
        name (`str`): facades or flowers.
        archive (`Path`, *optional*): its zip or tar file; downloaded by default.
        output_dir (`Path`): parent folder of the set.
        manifest: the result of `read_manifest`.
    """
    source = SOURCES[name]
    (output_dir / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir) as scratch:
        if archive is None:
            archive = Path(scratch) / "archive"
            print(f"downloading {source.url}", flush=True)
            urllib.request.urlretrieve(source.url, archive)
        unpacked = Path(scratch) / "unpacked"
        unpack(archive, unpacked)
        photos = [path for path in unpacked.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES]
        by_name = {_key(source.rename(path.stem)): path for path in photos}
        for split in SPLITS:
            (output_dir / name / split).mkdir(exist_ok=True)
            for key in manifest[f"{name}/{split}"].keys() & by_name.keys():
                path = by_name[key]
                target = output_dir / name / split / f"{source.rename(path.stem)}.jpg"
                make_smaller(path, source.short_side).save(target, quality=source.quality)
        for licence in unpacked.rglob("LICENSE*"):
            shutil.copy(licence, output_dir / name)


def unpack(archive: Path, folder: Path) -> None:
    """Extracts a zip or tar file into `folder`."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened_zip:
            opened_zip.extractall(folder)
    else:
        with tarfile.open(archive) as opened_tar:
            opened_tar.extractall(folder, filter="data")


def make_smaller(path: Path, short_side: int) -> Image.Image:
    """A photo turned upright, as RGB, its short side at most `short_side` pixels."""
    photo = flatten(read_file(path, str(path)), "RGB")
    scale = short_side / min(photo.size)
    if scale >= 1:
        return photo
    width, height = photo.size
    return photo.resize((round(scale * width), round(scale * height)), Image.Resampling.LANCZOS)


def find_faults(output_dir: Path, manifest: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Differences between a folder and the manifest, a line for each photo."""
    faults = []
    for section, fingerprints in manifest.items():
        found = {_key(path.stem): path for path in sorted((output_dir / section).glob("*.jpg"))}
        faults += [f"{section}: {key} is missing" for key in fingerprints if key not in found]
        for key, path in found.items():
            if key not in fingerprints:
                faults.append(f"{section}: {path.name} is not in the manifest")
            elif not _alike(fingerprint(path), fingerprints[key]):
                faults.append(f"{section}: {path.name} differs from the manifest's photo")
    return faults


def fingerprint(path: Path) -> str:
    """Mean brightness of the upper left, upper right, lower left and lower right quarter, two hex digits each."""
    gray = flatten(read_file(path, str(path)), "L")
    return gray.resize((2, 2), Image.Resampling.BOX).tobytes().hex()


def _alike(fingerprint: str, other: str) -> bool:
    pairs = zip(bytes.fromhex(fingerprint), bytes.fromhex(other), strict=True)
    return all(abs(one - another) <= TOLERANCE for one, another in pairs)


def _key(stem: str) -> str:
    return stem.partition("_")[0]


if __name__ == "__main__":
    main()

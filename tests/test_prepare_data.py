"""The photos of the bundled model from public archives, here tiny ones of the same layout."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import manifest as manifest_module
from training.data import prepare
from training.data.manifest import SPLITS, Photo, read_manifest
from training.data.prepare import fingerprint, git_blob, make_smaller

SET = """\
[{name}]
title = {name}
authors = someone
page = https://example.com/{name}
archive = {archive}
licence = CC-BY-2.0
licence_page = https://example.com/licence
short_side = {short_side}
"""


def draw(path: Path, seed: int, size=(900, 700)) -> Path:
    """Four fields of their own brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = np.random.default_rng(seed).integers(256, size=(2, 2), dtype=np.uint8)
    Image.fromarray(fields).resize(size, Image.Resampling.NEAREST).convert("RGB").save(path, quality=95)
    return path


@pytest.fixture
def archives(tmp_path, monkeypatch) -> dict[str, Path]:
    """A zip of four facades and a tar of two plants, and a manifest that names three and one of them."""
    facades = {n: draw(tmp_path / f"img_{n}.JPG", n) for n in (7, 81, 230, 231)}
    with zipfile.ZipFile(tmp_path / "facades.zip", "w") as archive:
        for path in facades.values():
            archive.write(path, f"facades-master/images/moved/{path.name}")
        archive.writestr("facades-master/README.md", "about")
    plants = [draw(tmp_path / f"{n}_m.jpg", n, (240, 320)) for n in (100, 200)]
    (tmp_path / "LICENSE.txt").write_text("whom to credit")
    with tarfile.open(tmp_path / "plants.tgz", "w:gz") as archive:
        for path in (*plants, tmp_path / "LICENSE.txt"):
            archive.add(path, f"flower_photos/roses/{path.name}")
    sections = {
        "facades/train": [facades[7], facades[81]],
        "facades/validation": [facades[230]],
        "plants/train": plants[:1],
    }
    lines = [SET.format(name="facades", archive=(tmp_path / "facades.zip").as_uri(), short_side=512)]
    lines.append(SET.format(name="plants", archive="https://example.com/none", short_side=256))
    for section, photos in sections.items():
        lines += [f"[{section}]"]
        lines += [f"images/{path.name} = {git_blob(path.read_bytes())} {fingerprint(path)}" for path in photos]
    (tmp_path / "manifest.ini").write_text("\n".join(lines))
    monkeypatch.setattr(manifest_module, "MANIFEST", tmp_path / "manifest.ini")
    return {name: tmp_path / name for name in ("facades.zip", "plants.tgz")}


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        prepare.main([str(argument) for argument in arguments])
    return ended.value.code


def test_the_sets_are_made_of_their_archives(archives, tmp_path, capsys):
    assert run("--plants", archives["plants.tgz"], "--output_dir", tmp_path / "data") == 0  # the other is downloaded
    made = {path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*.*")}
    assert made == {
        "facades/train/007.jpg",
        "facades/train/081.jpg",
        "facades/validation/230.jpg",
        "plants/train/100_m.jpg",
        "plants/LICENSE.txt",
    }
    assert Image.open(tmp_path / "data" / "facades" / "train" / "007.jpg").size == (658, 512)
    assert Image.open(tmp_path / "data" / "plants" / "train" / "100_m.jpg").size == (240, 320)  # not enlarged
    assert "4 photos in the manifest, 0 faults" in capsys.readouterr().out


def test_a_folder_serves_as_an_archive(archives, tmp_path):
    clone = tmp_path / "clone"
    with zipfile.ZipFile(archives["facades.zip"]) as archive:
        archive.extractall(clone)
    given = ("--facades", clone, "--plants", archives["plants.tgz"])
    assert run(*given, "--output_dir", tmp_path / "data") == 0


def test_a_photo_of_the_right_name_with_other_content_is_not_taken(archives, tmp_path, capsys):
    draw(tmp_path / "other" / "img_7.JPG", 8)
    given = ("--facades", tmp_path / "other", "--plants", archives["plants.tgz"])
    assert run(*given, "--output_dir", tmp_path / "data") == 1
    assert "facades/train: 007.jpg is missing" in capsys.readouterr().out


def test_what_is_not_as_in_the_manifest_is_named(archives, tmp_path, capsys):
    given = ("--facades", archives["facades.zip"], "--plants", archives["plants.tgz"])
    assert run(*given, "--output_dir", tmp_path / "data") == 0
    (tmp_path / "data" / "facades" / "train" / "007.jpg").unlink()
    draw(tmp_path / "data" / "facades" / "train" / "081.jpg", 82)
    draw(tmp_path / "data" / "plants" / "train" / "9.jpg", 9)
    capsys.readouterr()
    assert run("--check_only", "--output_dir", tmp_path / "data") == 1
    assert capsys.readouterr().out.splitlines() == [
        "facades/train: 007.jpg is missing",
        "facades/train: 081.jpg differs from the manifest's photo",
        "plants/train: 9.jpg is not in the manifest",
        "4 photos in the manifest, 3 faults",
    ]


def test_a_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (1024, 2048)).save(file, "JPEG", exif=exif)
    assert make_smaller(file.getvalue(), "picture.jpg", 512).size == (1024, 512)


def test_git_blob_is_gits_hash():
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


@pytest.mark.parametrize(
    ("source", "file_name"),
    [
        ("FacadeDatasetConverted/images/test/img_7.JPG", "007.jpg"),
        ("valid/images/IMG_0766_scaled_0_png_jpg.rf.414784e60976.jpg", "IMG_0766_scaled_0.jpg"),
        ("images/0001cb734adac2ee.jpg", "0001cb734adac2ee.jpg"),
    ],
)
def test_a_photo_is_named_after_its_source(source, file_name):
    assert Photo(source, "", "").file_name == file_name


def test_the_manifest_is_the_clean_set():
    manifest = read_manifest()
    counts = {name: [len(each.splits.get(split, ())) for split in SPLITS] for name, each in manifest.items()}
    assert counts == {"street_fronts": [195, 20], "apartments": [521, 22], "rooms": [952, 59], "plants": [124, 0]}
    assert {name: each.licence for name, each in manifest.items()} == {
        "street_fronts": "CC0-1.0",
        "apartments": "CC-BY-4.0",
        "rooms": "CC-BY-2.0",
        "plants": "CC-BY-2.0",
    }
    photos = [(name, photo) for name, each in manifest.items() for split in each.splits.values() for photo in split]
    assert len({photo.blob for _, photo in photos}) == len({(name, photo.file_name) for name, photo in photos}) == 1893
    assert {(len(photo.blob), len(bytes.fromhex(photo.fingerprint))) for _, photo in photos} == {(40, 4)}


def test_no_street_view_screenshot_and_no_picture_from_the_web_is_among_the_street_fronts():
    withdrawn = {*range(17, 20), *range(51, 263), *range(280, 306), *range(466, 488), 505, 506}
    withdrawn -= {298}  # on the clean list: of the size and look of the photos that the authors took themselves
    street_fronts = read_manifest()["street_fronts"]
    numbers = {int(photo.file_name[:-4]) for photos in street_fronts.splits.values() for photo in photos}
    assert not numbers & withdrawn

"""The photos of the released model from two public archives, here tiny ones of the same layout."""

import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import prepare
from training.data.prepare import MANIFEST, SOURCES, fingerprint, make_smaller, read_manifest

FACADES = "facades-master/FacadeDatasetConverted/images/{}/img_{}.jpg"


def draw(path: Path, seed: int, size=(900, 700)) -> Path:
    """Four fields of their own brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = np.random.default_rng(seed).integers(256, size=(2, 2), dtype=np.uint8)
    Image.fromarray(fields).resize(size, Image.Resampling.NEAREST).convert("RGB").save(path, quality=95)
    return path


@pytest.fixture
def archives(tmp_path, monkeypatch) -> dict[str, Path]:
    """Archives of both sets, and a manifest that names three of their facades and two of their flowers."""
    facades = {7: "train", 81: "test", 230: "train", 231: "train"}
    files = {draw(tmp_path / f"{n}.jpg", n): FACADES.format(split, n) for n, split in facades.items()}
    with zipfile.ZipFile(tmp_path / "facades.zip", "w") as archive:
        for path, name in files.items():
            archive.write(path, name)
    (tmp_path / "LICENSE.txt").write_text("whom to credit")
    files = {tmp_path / "LICENSE.txt": "flower_photos/LICENSE.txt"}
    for seed, name in enumerate(("daisy/100_ab_n.jpg", "roses/200_cd.jpg", "roses/300_ef_m.jpg")):
        files[draw(tmp_path / name, seed, (240, 320))] = f"flower_photos/{name}"
    with tarfile.open(tmp_path / "flowers.tgz", "w:gz") as archive:
        for path, name in files.items():
            archive.add(path, name)
    sections = {
        "facades/train": {"007": tmp_path / "7.jpg", "081": tmp_path / "81.jpg"},
        "facades/validation": {"230": tmp_path / "230.jpg"},
        "flowers/train": {"100": tmp_path / "daisy" / "100_ab_n.jpg"},
        "flowers/validation": {"300": tmp_path / "roses" / "300_ef_m.jpg"},
    }
    lines = []
    for section, pictures in sections.items():
        lines += [f"[{section}]", *(f"{key}={fingerprint(path)}" for key, path in pictures.items())]
    (tmp_path / "manifest.ini").write_text("\n".join(lines))
    monkeypatch.setattr(prepare, "MANIFEST", tmp_path / "manifest.ini")
    return {name: tmp_path / name for name in ("facades.zip", "flowers.tgz")}


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        prepare.main([str(argument) for argument in arguments])
    return ended.value.code


def test_both_sets_are_made_of_their_archives(archives, tmp_path, monkeypatch, capsys):
    facades = replace(SOURCES["facades"], url=archives["facades.zip"].as_uri())  # one downloaded, one given
    monkeypatch.setitem(SOURCES, "facades", facades)
    assert run("--flowers", archives["flowers.tgz"], "--output_dir", tmp_path / "data") == 0
    made = {path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*.*")}
    assert made == {
        "facades/train/007.jpg",
        "facades/train/081.jpg",
        "facades/validation/230.jpg",
        "flowers/train/100_ab_n.jpg",
        "flowers/validation/300_ef_m.jpg",
        "flowers/LICENSE.txt",
    }
    assert Image.open(tmp_path / "data" / "facades" / "train" / "007.jpg").size == (658, 512)
    assert Image.open(tmp_path / "data" / "flowers" / "train" / "100_ab_n.jpg").size == (240, 320)  # not enlarged
    assert "5 photos in the manifest, 0 faults" in capsys.readouterr().out


def test_what_is_not_as_in_the_manifest_is_named(archives, tmp_path, capsys):
    given = ("--facades", archives["facades.zip"], "--flowers", archives["flowers.tgz"])
    assert run(*given, "--output_dir", tmp_path / "data") == 0
    (tmp_path / "data" / "facades" / "train" / "007.jpg").unlink()
    draw(tmp_path / "data" / "facades" / "train" / "081.jpg", 82)
    draw(tmp_path / "data" / "flowers" / "train" / "9.jpg", 9)
    capsys.readouterr()
    assert run("--check_only", "--output_dir", tmp_path / "data") == 1
    assert capsys.readouterr().out.splitlines() == [
        "facades/train: 007 is missing",
        "facades/train: 081.jpg differs from the manifest's photo",
        "flowers/train: 9.jpg is not in the manifest",
        "5 photos in the manifest, 3 faults",
    ]


def test_a_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1024, 2048)).save(tmp_path / "picture.jpg", exif=exif)
    assert make_smaller(tmp_path / "picture.jpg", 512).size == (1024, 512)


def test_the_manifest_tells_train_from_validation():
    manifest = read_manifest(MANIFEST)
    counts = {section: len(pictures) for section, pictures in manifest.items()}
    expected = {"facades/train": 433, "facades/validation": 35, "flowers/train": 3489, "flowers/validation": 80}
    assert counts == expected
    for name in SOURCES:
        assert not manifest[f"{name}/train"].keys() & manifest[f"{name}/validation"].keys()
    assert all(len(bytes.fromhex(text)) == 4 for pictures in manifest.values() for text in pictures.values())

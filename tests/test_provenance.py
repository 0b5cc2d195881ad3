"""Every committed picture is on `provenance.csv` and comes from photos of the manifest."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeconnect_hf.digests import file_digest
from training.data.manifest import read_manifest
from training.data.provenance import Row, committed_files, find_faults, read_list, source_licences

ROOT = Path(__file__).parent.parent
PHOTO = "street_fronts/validation/522.jpg"
LICENCES = {PHOTO: "CC0-1.0", "rooms/train/*": "CC-BY-2.0"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what is committed is known in a clone alone")
def test_every_committed_picture_traces_to_the_manifest():
    rows, files = read_list(ROOT), committed_files(ROOT)
    assert find_faults(ROOT, rows, files, source_licences(read_manifest())) == []
    assert {"examples/facade.jpg", "tests/fixtures/canny.npz", "space/thumbnail.png"} <= {row.file for row in rows}


def test_photos_and_whole_splits_are_sources():
    licences = source_licences(read_manifest())
    assert licences[PHOTO] == "CC0-1.0"
    assert licences["rooms/train/*"] == "CC-BY-2.0"
    assert "street_fronts/train/051.jpg" not in licences  # a street-view screenshot


@pytest.fixture
def checkout(tmp_path) -> tuple[Path, list[Row], list[str]]:
    """A photo, a drawn mask, an array and a network's weights, each with its row; a text, which needs none."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "photo.jpg")
    Image.new("L", (8, 8)).save(tmp_path / "mask.png")
    np.savez(tmp_path / "array.npz", image=np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "weights.safetensors").write_bytes(b"numbers")
    sources = {"photo.jpg": PHOTO, "mask.png": "drawn", "array.npz": f"{PHOTO} rooms/train/*"}
    sources["weights.safetensors"] = "rooms/train/*"
    rows = [Row(file, file_digest(tmp_path / file), of_file, "reduced") for file, of_file in sources.items()]
    return tmp_path, rows, [*sources, "README.md"]


def test_nothing_is_wrong_with_a_true_list(checkout):
    assert find_faults(*checkout, LICENCES) == []


@pytest.mark.parametrize("name", ["new.png", "picture.txt", "pixels.npy", "network/weights.safetensors", "a.ipynb"])
def test_a_picture_without_a_row_is_named_whatever_its_ending(checkout, name):
    root, rows, files = checkout
    (root / name).parent.mkdir(exist_ok=True)
    if name.endswith(("safetensors", "ipynb")):
        (root / name).write_bytes(b"numbers")
    elif name.endswith("npy"):
        np.save(root / name, np.zeros(3))
    else:
        Image.new("RGB", (4, 4)).save(root / name, "PNG")
    assert find_faults(root, rows, [*files, name], LICENCES) == [f"{name} is not in provenance.csv"]


def test_a_changed_picture_is_named(checkout):
    root, rows, files = checkout
    Image.new("RGB", (8, 8), "blue").save(root / "photo.jpg")
    (fault,) = find_faults(root, rows, files, LICENCES)
    assert fault == "photo.jpg is not the file that provenance.csv describes: its SHA-256 differs"


def test_a_picture_that_is_gone_is_named(checkout):
    root, rows, files = checkout
    files.remove("mask.png")
    assert find_faults(root, rows, files, LICENCES) == ["mask.png is in provenance.csv, not in the repository"]


@pytest.mark.parametrize("source", ["street_fronts/train/051.jpg", "rooms/validation/*", f"{PHOTO} drawn"])
def test_a_source_that_is_not_in_the_manifest_is_named(checkout, source):
    root, rows, files = checkout
    rows[0] = Row(rows[0].file, rows[0].sha256, source, rows[0].made)
    (fault,) = find_faults(root, rows, files, LICENCES)
    assert fault == f"photo.jpg comes from {source.split()[-1]}, which is not in the manifest"


def test_a_row_says_where_from_and_how(checkout):
    root, rows, files = checkout
    rows[0] = Row(rows[0].file, rows[0].sha256, "", "")
    assert find_faults(root, rows, files, LICENCES) == ["photo.jpg has no sources, or not how it was made"]


def test_only_what_git_knows_counts(tmp_path):
    for name in ("known.png", "scratch.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    subprocess.run(["git", "-C", tmp_path, "init", "-q"], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "known.png"], check=True)
    assert committed_files(tmp_path) == ["known.png"]

"""The command line on folders: pairing, what is left out, errors, several processes."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import unicodedata
from collections.abc import Callable
from zlib import crc32

import pytest
from command_line import files, model, names, run, subprocess_run  # noqa: F401  # fixtures
from PIL import Image

from edgeconnect_hf.cli import batch
from edgeconnect_hf.pictures import files as files_module


@pytest.fixture
def folders(files, photo, hole, strange_exif):
    """photos/: a.png, b.jpg, a broken one, one with broken EXIF, one without a mask; masks/."""
    for name in ("photos", "masks"):
        (files / name).mkdir()
    for name in ("a.png", "b.jpg", "unpaired.png"):
        photo.save(files / "photos" / name)
    (files / "photos" / "broken.png").write_bytes((files / "photo.png").read_bytes()[:200])
    photo.save(files / "photos" / "exif.png", exif=strange_exif)
    for name in ("a", "b", "broken"):
        hole.save(files / "masks" / f"{name}.png")
    hole.transpose(Image.Transpose.ROTATE_270).save(files / "masks" / "exif.png")  # what can be read of it is heeded
    return files


def test_a_folder_continues_past_broken_files_and_resumes(run, folders):
    code, _, err = run("inpaint", "photos", "masks", "-o", "repaired", "--save-edges", "lines")
    assert code == 1
    assert "2 of 5 photos failed" in err
    assert "warning: photos/exif.png: `image` 'photos/exif.png' has broken EXIF data, which is dropped: " in err
    assert "photos/broken.png: `image` 'photos/broken.png' cannot be decoded: " in err
    assert "photos/unpaired.png: `mask_image` 'masks/unpaired.png' does not exist" in err
    for name in ("repaired", "lines"):
        assert names(folders / name) == ["a.png", "b.png", "exif.png"]

    for name in ("unpaired.png", "broken.png"):
        (folders / "photos" / name).unlink()
    before = {path: path.stat().st_ino for path in (folders / "repaired").iterdir()}
    code, out, err = run("inpaint", "photos", "masks", "-o", "repaired")
    assert code == 0
    assert out == "skipping 3 of 3 photos: finished already\n"
    assert {path: path.stat().st_ino for path in (folders / "repaired").iterdir()} == before


def test_one_mask_for_a_folder(run, folders):
    for name in ("broken.png", "exif.png"):
        (folders / "photos" / name).unlink()
    assert run("inpaint", "photos", "mask.png", "-o", "out")[0] == 0
    assert names(folders / "out") == ["a.png", "b.png", "unpaired.png"]


def test_a_folder_is_divided_among_processes(run, folders, monkeypatch):
    for name in ("broken.png", "exif.png"):
        (folders / "photos" / name).unlink()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, share in (("0", ["a.png", "unpaired.png"]), ("1", ["b.png"])):
        monkeypatch.setenv("RANK", rank)
        assert run("inpaint", "photos", "mask.png", "-o", f"out{rank}")[0] == 0
        assert names(folders / f"out{rank}") == share


def test_a_process_with_nothing_to_do_waits_for_the_others(run, folders, monkeypatch):
    waits = []
    monkeypatch.setattr(batch, "_wait_for_all_processes", lambda: waits.append("here"))
    for name, value in (("RANK", "4"), ("WORLD_SIZE", "5"), ("MASTER_ADDR", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    assert run("inpaint", "photos", "mask.png", "-o", "out") == (0, "", "")
    assert waits == ["here"]


@pytest.mark.slow
def test_torchrun_divides_a_folder_and_a_broken_photo_costs_no_other(files, photo, hole, model):
    """One process has only broken photos and is done at once; torchrun kills the other if it exits with an error."""
    (files / "photos").mkdir()
    good, broken = ([f"{number}_{kind}.png" for number in range(8)] for kind in ("good", "broken"))
    for name in good:
        photo.resize((768, 576)).save(files / "photos" / name)
    for name in broken:
        (files / "photos" / name).write_bytes(b"no picture")
    hole.resize((768, 576)).save(files / "mask.png")
    arguments = ["inpaint", "photos", "mask.png", "-o", "out", "--model", model, "--strategy", "original"]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "edgeconnect_hf.cli"]
    done = subprocess_run(*launcher, *arguments, cwd=files)
    assert done.returncode == 1
    assert "8 of 8 photos failed" in done.stderr
    assert names(files / "out") == good


@pytest.fixture
def photos(files, photo) -> Callable[..., None]:
    """Save the photo under several names in folders of the test."""

    def save(*places: str, image: Image.Image = photo) -> None:
        for place in places:
            (files / place).parent.mkdir(parents=True, exist_ok=True)
            image.save(files / place)

    return save


def test_names_pair_in_either_case_and_either_unicode_spelling_and_a_name_of_two_fails_alone(run, files, photos, hole):
    composed, decomposed = (unicodedata.normalize(form, "Köln") for form in ("NFC", "NFD"))
    photos(f"photos/{composed}.jpg", "photos/IMG_1.JPG", "photos/p1.jpg", "photos/p1.png", "photos/two.png")
    photos("photos/IMG_2.JPG", "photos/img_2.png")
    photos(f"masks/{decomposed}.png", "masks/img_1.PNG", "masks/p1.png", "masks/IMG_2.png", image=hole)
    photos("masks/two.png", "masks/TWO.bmp", "masks/alone.png", image=hole)
    code, _, err = run("inpaint", "photos", "masks", "-o", "out")
    assert code == 1
    assert names(files / "out") == sorted(["IMG_1.png", f"{composed}.png"])
    one = "must have one file of this name, whatever its ending and case: got"
    assert f"photos/IMG_2.JPG: `image` {one} photos/IMG_2.JPG, photos/img_2.png." in err
    assert f"photos/p1.jpg: `image` {one} photos/p1.jpg, photos/p1.png." in err
    assert f"photos/two.png: `mask_image` {one} masks/TWO.bmp, masks/two.png." in err
    assert "3 of 5 photos failed" in err
    assert "not used in masks: 1 without a photo: masks/alone.png" in err


def test_what_is_not_read_is_said_and_subfolders_are_mirrored(run, files, photos, monkeypatch):
    monkeypatch.setattr(files_module, "find_spec", lambda name: None)  # without pillow-heif
    photos("photos/a.png", "photos/inner/deep/a.png")
    for name in (
        "scan.pdf",
        "raw.CR2",
        "phone.heic",
        "notes.txt",
        ".hidden.txt",
        "inner/more.txt",
        *(f"{n}.mov" for n in range(8)),
    ):
        (files / "photos" / name).write_text("no image")
    arguments = ("inpaint", "photos", "mask.png", "-o", "photos/out", "--suffix", "_new")
    code, _, err = run(*arguments)
    assert code == 0
    assert names(files / "photos/out") == ["a_new.png"]
    assert [line for line in err.splitlines() if "not read" in line] == [
        "edgeconnect: not read in photos: 1 of kind .cr2: raw.CR2",
        "edgeconnect: not read in photos: 1 of kind .heic (pip install 'edgeconnect-hf[heif]' reads them): phone.heic",
        "edgeconnect: not read in photos: 8 of kind .mov: 0.mov, 1.mov, 2.mov, 3.mov, 4.mov and 3 more",
        "edgeconnect: not read in photos: 1 of kind .pdf: scan.pdf",
        "edgeconnect: not read in photos: 1 of kind .txt: notes.txt",
        "edgeconnect: not read in photos: 1 of kind folder (`--recursive` reads them): inner",
    ]

    code, _, err = run(*arguments, "--recursive", "--save-edges", "lines")
    assert code == 0
    for folder in ("photos/out", "lines"):
        assert sorted(path.relative_to(files / folder).as_posix() for path in (files / folder).rglob("[!.]*.png")) == [
            "a_new.png",
            "inner/deep/a_new.png",
        ]
    assert "not read in photos: 2 of kind .txt: inner/more.txt, notes.txt" in err
    assert "folder" not in err


def test_a_folder_without_images_says_what_it_has(run, files):
    (files / "photos").mkdir()
    (files / "photos" / "scan.pdf").write_bytes(b"%PDF-1.4")
    code, _, err = run("inpaint", "photos", "mask.png", "-o", "out")
    assert (code, err) == (
        2,
        "edgeconnect: error: `image` must be a folder with images: got 'photos', which has none; not read in photos: "
        "1 of kind .pdf: scan.pdf.\n",
    )
    assert not (files / "out").exists()


def test_ten_kinds_of_broken_files_are_named_and_the_others_written(run, files, photo, photos, hole):
    good = [f"{name}.png" for name in ("a", "b")]
    bad = ["bomb", "cmyk", "cut", "empty", "floats", "maskless", "other", "text", "turned", "white"]
    photos(*(f"photos/{name}" for name in good), *(f"photos/{name}.png" for name in bad if name != "cmyk"))
    photos(*(f"masks/{name}.png" for name in ("a", "b", *bad) if name != "maskless"), image=hole)
    whole = (files / "photo.png").read_bytes()
    photo.convert("CMYK").save(files / "photos/cmyk.jpg", exif=b"Exif\0\0 torn")
    (files / "photos/cmyk.jpg").write_bytes((files / "photos/cmyk.jpg").read_bytes()[:500])
    header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + whole[24:29]
    (files / "photos/bomb.png").write_bytes(whole[:12] + header + crc32(header).to_bytes(4, "big") + whole[33:])
    (files / "photos/cut.png").write_bytes(whole[: len(whole) // 2])
    (files / "photos/empty.png").write_bytes(b"")
    (files / "photos/text.png").write_text("no image")
    Image.new("F", photo.size).save(files / "photos/floats.png", "TIFF")
    photos("masks/other.png", image=hole.resize((31, 9)))
    photos("masks/turned.png", image=hole.transpose(Image.Transpose.ROTATE_90))
    photos("masks/white.png", image=Image.new("L", photo.size, 255))
    (files / "photos/folder.png").mkdir()
    code, _, err = run("inpaint", "photos", "masks", "-o", "out", "--resize-mask")
    assert code == 1
    assert names(files / "out") == good
    summary = err[err.index("10 of 12 photos failed") :]
    said = dict(line.strip().split(": ", 1) for line in summary.splitlines() if line.startswith("  "))
    reasons = {
        "bomb.png": "up to 500 megapixels are accepted",
        "cmyk.jpg": "cannot be decoded",
        "cut.png": "cannot be decoded",
        "empty.png": "not an image in a known format",
        "floats.png": "mode F",
        "maskless.png": "'masks/maskless.png' does not exist",
        "other.png": "got 31x9, of other proportions",
        "text.png": "not an image in a known format",
        "turned.png": "got 72x96, which is turned by 90 degrees",
        "white.png": "`mask_image` is white everywhere",
    }
    assert {name: reason for name, reason in reasons.items() if reason not in said[f"photos/{name}"]} == {}
    assert "not read in photos: 1 of kind folder (`--recursive` reads them): folder.png" in err

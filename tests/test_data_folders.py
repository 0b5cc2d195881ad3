"""What a folder leaves out is said, and what would teach little; nothing is read twice."""

import json
import logging
import os
import sys

import numpy as np
import pytest
from PIL import Image

from edgeconnect_hf.pictures import files
from training.config import DataConfig
from training.data import checks, folders
from training.data.checks import check_images, check_mask_folder
from training.data.folders import list_files
from training.data.rows import load_rows, load_validation_rows
from training.data.samples import SampleMaker, UnreadableRowError


def write_images(folder, names, size=(40, 40)):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (90, 90, 90)).save(folder / name)
    return folder


def load(folder, split="train", **settings):
    """The files of a folder's rows, relative to it."""
    config = DataConfig(train_data_dir=str(folder), **settings)
    return [os.path.relpath(row[config.image_column]["path"], folder) for row in load_rows(config, split)]


def said(caplog):
    return [record.getMessage() for record in caplog.records]


# Folders.


def test_what_is_no_image_is_said_once_with_its_endings(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)  # without pillow-heif
    write_images(tmp_path, ["a.PNG", "deeper/b.jpg", ".hidden/c.png", "__MACOSX/d.png", "._a.png"])
    for name in ("notes.txt", "more.txt", "photo.heic", "page.pdf", "LICENCE"):
        (tmp_path / name).write_text("no image")
    caplog.set_level(logging.INFO)
    assert load(tmp_path) == load(tmp_path) == ["a.PNG", "deeper/b.jpg"]
    source = f"`train_data_dir` {str(tmp_path)!r}"
    assert said(caplog) == [
        f"{source}: left out as no images: 5 files (.txt 2, no ending 1, .pdf 1, .heic 1), such as 'LICENCE'.",
        f"{source}: 2 photos.",
    ]


def test_heic_is_read_where_its_plugin_is_installed_and_named_where_not(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (48, 40), (200, 30, 90))).save(tmp_path / "a.HEIC", quality=95)
    assert load(tmp_path) == ["a.HEIC"]
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])  # as before the first such file
    make_sample = SampleMaker(DataConfig(train_data_dir=str(tmp_path), resolution=24), for_validation=True)
    row = {"image": {"bytes": None, "path": str(tmp_path / "a.HEIC")}}
    image = make_sample(row, np.random.default_rng(0))["image"]  # [3,24,24]
    assert abs(image.float().mean(dim=(1, 2)).numpy() - (200, 30, 90)).max() < 8  # HEIC is lossy
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it raises
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    with pytest.raises(UnreadableRowError, match=r"a\.HEIC: it is a HEIC picture; to read it: pip install"):
        make_sample(row, np.random.default_rng(0))


def test_a_folder_of_unreadable_kinds_is_refused_with_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)  # without pillow-heif
    (tmp_path / "photo.heic").write_text("no image")
    with pytest.raises(ValueError, match=r"holds no images that can be read: only 1 file \(\.heic 1\), such as 'photo"):
        load(tmp_path)


def test_what_lies_beside_the_split_is_said(tmp_path, caplog):
    write_images(tmp_path, ["train/a.png", "validation/b.png", "test/c.png"])
    assert load(tmp_path) == ["train/a.png"]
    assert said(caplog) == []
    list_files_again()
    write_images(tmp_path, ["more/d.png", "e.png"])
    load(tmp_path)
    assert said(caplog) == [
        f"`train_data_dir` {str(tmp_path)!r}: left out beside its folder 'train': 2 files (.png 2), such as 'e.png'."
    ]


def list_files_again():
    folders._list_files.cache_clear()


def test_linked_folders_are_followed_each_once(tmp_path, caplog):
    write_images(tmp_path / "elsewhere", ["a.png"])
    write_images(tmp_path / "photos", ["b.png"])
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "zagain").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    assert list_files(tmp_path / "photos") == ("b.png", "linked/a.png")
    again, loop = (repr(str(tmp_path / "photos" / name)) for name in ("zagain", "loop"))
    assert sorted(said(caplog)) == sorted(
        f"{name} leads to a folder that is read already: left out." for name in (again, loop)
    )


def test_a_folder_is_listed_once_for_training_and_validation(tmp_path, monkeypatch):
    write_images(tmp_path, ["train/a.png", "validation/b.png"])
    listed = []
    walk = os.walk
    monkeypatch.setattr(folders.os, "walk", lambda folder, **options: listed.append(folder) or walk(folder, **options))
    config = DataConfig(train_data_dir=str(tmp_path))
    for _ in range(3):  # stages
        load_rows(config, "train")
        load_validation_rows(config)
    assert listed == [str(tmp_path)]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_images(tmp_path, ["a.png", "secret/b.png"])
    scandir = os.scandir

    def refuse(folder):
        if os.path.basename(folder) == "secret":
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"the folder '.*secret' cannot be listed: Permission denied\.$"):
        list_files(tmp_path)


# Metadata.


def write_rows(folder, *rows, name="metadata.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_images_without_a_row_and_rows_without_a_file_are_said(tmp_path, caplog):
    write_images(tmp_path, [f"{number}.png" for number in range(6)])
    write_rows(tmp_path, *({"file_name": f"{number}.png"} for number in (4, 1, 2, 3, 0)), {"file_name": "gone.png"})
    assert load(tmp_path) == [f"{number}.png" for number in (4, 1, 2, 3, 0)]
    source = f"`train_data_dir` {str(tmp_path)!r}"
    assert said(caplog) == [
        f"{source}: left out, because metadata.jsonl has no row for them: '5.png'.",
        f"{source}: metadata.jsonl: 1 of 6 rows are left out, because their files do not exist: 'gone.png'.",
    ]


def test_a_row_needs_the_files_of_the_used_columns_only(tmp_path, caplog):
    write_images(tmp_path, ["a.png", "b.png", "masks/a.png"])
    write_rows(
        tmp_path,
        {"file_name": "a.png", "mask_file_name": "masks/a.png", "lines_file_name": "gone.png"},
        {"file_name": "b.png", "mask_file_name": None},
    )
    assert load(tmp_path) == ["a.png", "b.png"]
    assert said(caplog) == []
    assert load(tmp_path, mask_column="mask") == ["a.png"]
    assert "1 of 2 rows are left out, because their files do not exist: '(no mask)'" in caplog.text


def test_metadata_may_be_csv_and_lie_in_subfolders(tmp_path):
    write_images(tmp_path, ["one/a.png", "two/b.png"])
    (tmp_path / "one" / "metadata.csv").write_text('file_name,text\na.png,"a, b"\n')
    write_rows(tmp_path / "two", {"file_name": "b.png", "text": "c"})
    assert load(tmp_path) == ["one/a.png", "two/b.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"'.*metadata\.jsonl' cannot be read: "),
        ("[1]", "must have a JSON object on each line"),
        ('{"text": "a"}', "metadata.jsonl has no row with the key `file_name`"),
        ('{"file_name": "gone.png"}', "metadata.jsonl has no row whose files exist: 'gone.png'"),
        ('{"file_name": "../a.png"}', r"names '\.\./a\.png', expected a file in its folder"),
        ('{"file_name": "/etc/a.png"}', "names '/etc/a.png', expected"),
        ('{"file_name": "file:///a.png"}', "names 'file:///a.png', expected"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused(tmp_path, text, message):
    write_images(tmp_path, ["a.png"])
    (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


# What would teach little.


def check(folder, **settings):
    config = DataConfig(train_data_dir=str(folder), **settings)
    check_images(load_rows(config, "train"), config)


def test_small_images_are_counted(tmp_path, caplog):
    write_images(tmp_path, ["a.png", "b.png"], (200, 100))
    write_images(tmp_path, ["c.png"], (31, 200))
    (tmp_path / "d.png").write_bytes(b"no image")  # the loader says so
    check(tmp_path, resolution=200)
    check(tmp_path, resolution=200)
    check(tmp_path, resolution=60)
    source, small = f"`train_data_dir` {str(tmp_path)!r}", repr(str(tmp_path / "c.png"))
    assert said(caplog) == [
        f"{source}: 1 of 4 images have less than 32 pixels on their short side, such as {small}: they teach blur.",
        f"{source}: 1 of 4 images are enlarged more than twice to reach `resolution` 200, such as {small}: they teach "
        "blur.",
    ]


def test_of_a_large_folder_some_are_looked_at(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(checks, "MOST_LOOKED_AT", 3)
    write_images(tmp_path, [f"{number}.png" for number in range(7)], (20, 20))
    check(tmp_path, resolution=40)
    assert "3 of 3 images looked at (of 7) have less than 32 pixels on their short side" in caplog.text


def write_masks(folder):
    folder.mkdir()
    halves = np.zeros((16, 16), np.uint8)
    halves[:8] = 255
    for name, mask in {"black": halves * 0 + 127, "good": halves, "white": halves * 0 + 128}.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


def test_masks_without_a_hole_or_without_surroundings_are_named(tmp_path, caplog):
    folder = write_masks(tmp_path / "masks")
    check_mask_folder(str(folder))
    source = f"`mask_dataset` {str(folder)!r}"
    assert said(caplog) == [
        f"{source}: 1 of 3 masks have no hole (nothing is white); brush strokes take their place, such as 'black.png'.",
        f"{source}: 1 of 3 masks are all hole (white), which leaves nothing to paint from, such as 'white.png'.",
    ]
    list_files_again()
    (folder / "good.png").unlink()
    with pytest.raises(ValueError, match="has no mask with a hole"):
        check_mask_folder(str(folder))


def test_broken_masks_are_named_before_training(tmp_path):
    folder = write_masks(tmp_path / "masks")
    for name in ("broken.png", "cut.png"):
        (folder / name).write_bytes((folder / "good.png").read_bytes()[:50])
    with pytest.raises(ValueError, match=r"2 of 5 masks cannot be read: 'broken\.png', 'cut\.png'\.$"):
        check_mask_folder(str(folder))


def test_the_masks_of_a_column_are_looked_at_too(tmp_path, caplog):
    write_masks(tmp_path / "masks")
    write_images(tmp_path, ["a.png", "b.png"])
    masks = {"a.png": "masks/white.png", "b.png": "masks/black.png"}
    write_rows(tmp_path, *({"file_name": name, "mask_file_name": mask} for name, mask in masks.items()))
    check(tmp_path, resolution=40, mask_column="mask")
    assert "`mask_column` 'mask': 1 of 2 masks are all hole (white)" in caplog.text
    assert "`mask_column` 'mask': 1 of 2 masks have no hole" in caplog.text
    assert f"such as {str(tmp_path / 'masks' / 'black.png')!r}." in caplog.text

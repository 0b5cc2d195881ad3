"""The command line in scripts: standard input and output, JSON lines, interruption, a full disk."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import errno
import io
import json
import os
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import files, model, names, pixels, run  # noqa: F401  # fixtures
from PIL import Image

from edgeconnect_hf import pictures


@pytest.fixture
def streams(monkeypatch):
    """Give bytes as standard input; returns what the command writes to standard output."""

    def give(content: bytes) -> io.BytesIO:
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, write_through=True))
        return written

    return give


def test_standard_input_and_output(run, files, streams):
    assert run("inpaint", "photo.png", "mask.png", "-o", "out.png")[0] == 0
    for arguments, given in ((("-", "mask.png"), "photo.png"), (("photo.png", "-"), "mask.png")):
        written = streams((files / given).read_bytes())
        assert run("inpaint", *arguments, "-o", "-")[0] == 0
        with Image.open(io.BytesIO(written.getvalue())) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.asarray(image), pixels(files / "out.png"))
    written = streams((files / "photo.png").read_bytes())
    assert run("inpaint", "-", "mask.png", "-o", "-", "--format", "webp")[0] == 0
    with Image.open(io.BytesIO(written.getvalue())) as image:
        assert image.format == "WEBP"
    assert run("edges", "-", "mask.png", "-o", "-")[0] == 2  # at its end


def test_streams_that_cannot_be(run, files, streams):
    (files / "photos").mkdir()
    streams(b"no image")
    for arguments, says in (
        (("-", "-", "-o", "out.png"), "`image` and `mask_image` cannot both be - (standard input)"),
        (("photos", "-", "-o", "out"), "- (standard input or output) is for one photo; `image` is the folder 'photos'"),
        (("photos", "mask.png", "-o", "-"), "- (standard input or output) is for one photo"),
        (
            ("photo.png", "mask.png", "-o", "-", "--json"),
            "`--json` and `--output -` cannot both write to",
        ),
        (("photo.png", "mask.png", "-o", "out.png", "--save-edges", "-"), "`--save-edges` must be a file"),
        (("-", "mask.png", "-o", "photos"), "`--output` must be a file, as `image` has no name: got 'photos'"),
        (("-", "mask.png", "-o", "out.png"), "`image` from standard input is not an image in a known format"),
    ):
        code, _, err = run("inpaint", *arguments)
        assert code == 2
        assert says in err


def test_a_json_line_for_each_photo_and_nothing_else_on_standard_output(run, files, photo):
    (files / "photos").mkdir()
    photo.save(files / "photos/a.png")
    arguments = ("inpaint", "photos", "mask.png", "-o", "out", "--json")
    assert run(*arguments)[0] == 0
    photo.save(files / "photos/b.png")
    photo.save(files / "photos/own.png")
    (files / "photos/c.png").write_text("no image")
    (files / "out/own.png").write_text("other")
    code, out, err = run(*arguments)
    assert code == 1
    lines = {line["file"]: line for line in map(json.loads, out.splitlines())}
    assert {name: line["status"] for name, line in lines.items()} == {
        "photos/a.png": "skipped",
        "photos/b.png": "done",
        "photos/c.png": "failed",
        "photos/own.png": "skipped",
    }
    assert lines["photos/b.png"]["windows"] == 1
    assert 0 < lines["photos/b.png"].pop("seconds") < 60
    assert lines["photos/b.png"]["error"] is None
    assert "not an image in a known format" in lines["photos/c.png"]["error"]
    assert "`--overwrite` replaces it" in lines["photos/own.png"]["error"]
    assert "skipping 1 of 4 photos: finished already" in err

    code, out, _ = run("inpaint", "photo.png", "photos/c.png", "-o", "out.png", "--json")
    assert (code, json.loads(out)["status"]) == (2, "failed")
    code, out, _ = run("edges", "photo.png", "mask.png", "-o", "out.png", "--json")
    assert (code, json.loads(out)["file"]) == (0, "photo.png")


def test_a_full_disk_stops_a_folder_at_the_first_write(run, files, photo, monkeypatch):
    (files / "photos").mkdir()
    for name in "abcd":
        photo.save(files / f"photos/{name}.png")
    write_file, writes = pictures.write_file, []

    def until_full(image, path, **options):
        writes.append(path.name)
        if len(writes) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_file(image, path, **options)

    arguments = ("inpaint", "photos", "mask.png", "-o", "out")
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "write_file", until_full)
        code, _, err = run(*arguments)
    assert code == 1
    assert writes == ["a.png", "b.png"]
    said = [line for line in err.splitlines() if line.startswith("edgeconnect")]
    assert said == [
        "edgeconnect: stopped at photos/b.png, with 3 photos to do: [Errno 28] No space left on device",
    ]
    assert run(*arguments)[:2] == (0, "skipping 1 of 4 photos: finished already\n")


def test_ctrl_c_ends_in_one_line_with_finished_files_whole(run, files, photo, monkeypatch):
    (files / "photos").mkdir()
    for name in "abc":
        photo.save(files / f"photos/{name}.png")
    interrupted = "edgeconnect: interrupted; results written so far are whole\n"
    arguments = ("inpaint", "photos", "mask.png", "-o", "out")
    save = Image.Image.save

    def interrupt(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("edgeconnect_hf.EdgeConnectPipeline.from_pretrained", interrupt)
        assert run(*arguments) == (130, "", interrupted)
        assert list((files / "out").iterdir()) == []

    def interrupt_second(image, file, *rest, **options):
        save(image, file, *rest, **options)
        if image.size == photo.size and names(files / "out"):
            signal.raise_signal(signal.SIGINT)  # while the second result is written

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupt_second)
        code, _, err = run(*arguments)
    assert code == 130
    assert err.endswith(interrupted)
    assert [line for line in err.splitlines() if "Traceback" in line] == []
    assert sorted(os.listdir(files / "out")) == [".edgeconnect.jsonl", "a.png"]
    with Image.open(files / "out/a.png") as image:
        image.load()
    assert run(*arguments)[:2] == (0, "skipping 1 of 3 photos: finished already\n")

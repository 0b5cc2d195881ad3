"""A folder of a thousand photos, fifty of them broken in ten ways, by a command that is killed three times."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

COUNT, BROKEN_EACH, KILLS = 1000, 5, 3


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def make_bomb(path: Path) -> None:
    """A PNG whose header says 60000x60000."""
    data = bytearray(path.read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


def reshape(path: Path) -> None:
    Image.new("L", (31, 9), 255).save(path)


def turn(path: Path) -> None:
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(path)


def make_floats(path: Path) -> None:
    Image.new("F", (48, 40)).save(path, "TIFF")


# What is done to the photo or to its mask.
FAULTS: list[tuple[str, Callable[[Path], object]]] = [
    ("photo", truncate),
    ("photo", lambda path: path.write_bytes(b"")),
    ("photo", lambda path: path.write_text("no image")),
    ("photo", make_bomb),
    ("photo", make_floats),
    ("mask", truncate),
    ("mask", lambda path: path.unlink()),
    ("mask", reshape),
    ("mask", turn),
    ("mask", lambda path: Image.new("L", (48, 40), 255).save(path)),
]


def make_folder(folder: Path) -> set[str]:
    """`photos` and `masks`; returns the names of the broken ones."""
    random = np.random.default_rng(0)
    mask = np.zeros((40, 48), np.uint8)
    mask[12:24, 20:31] = 255
    for kind in ("photos", "masks"):
        (folder / kind).mkdir()
    broken = set()
    for number in range(COUNT):
        paths = {"photo": folder / "photos" / f"{number:04}.png", "mask": folder / "masks" / f"{number:04}.png"}
        Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(paths["photo"], compress_level=0)
        Image.fromarray(mask).save(paths["mask"])
        place, remainder = divmod(number, COUNT // (BROKEN_EACH * len(FAULTS)))
        if remainder == 0:
            which, spoil = FAULTS[place % len(FAULTS)]
            spoil(paths[which])
            broken.add(paths["photo"].name)
    return broken


@pytest.mark.slow
def test_a_thousand_photos_with_fifty_broken_ones_and_three_kills(tiny_pipeline, tmp_path):
    broken = make_folder(tmp_path)
    tiny_pipeline.save_pretrained(tmp_path / "model")
    arguments = ["inpaint", "photos", "masks", "-o", "repaired", "--model", "model", "--device", "cpu"]
    outputs = tmp_path / "repaired"

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "edgeconnect_hf.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def finished() -> int:
        return len(list(outputs.glob("[0-9]*.png"))) if outputs.exists() else 0

    for _ in range(KILLS):
        process, before = start(), finished()
        while finished() < before + 120 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said

    process, before = start(), finished()
    assert before >= 120 * KILLS
    memory = []  # after each further photo or so, once the first hundred have warmed the caches up
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # it may have just ended
            if finished() > before + 100:
                memory.append(psutil.Process(process.pid).memory_info().rss)
        time.sleep(0.05)
    _, said = process.communicate()

    assert process.returncode == 1, said
    repaired = {path.name for path in outputs.glob("[0-9]*.png")}
    assert repaired == {f"{number:04}.png" for number in range(COUNT)} - broken
    for path in outputs.glob("[0-9]*.png"):
        with Image.open(path) as image:
            image.load()  # whole, though three processes died
    summary = said[said.rindex("photos failed") :]
    assert all(name in summary for name in broken), summary
    assert "up to 500 megapixels are accepted" in summary
    assert f"{len(broken)} of" in said
    # A leak of one 48x40 photo a time would be 3 MB; the allocator's noise is less.
    assert max(memory[len(memory) // 2 :]) - max(memory[: len(memory) // 2]) < 3e6

import csv
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from training.evaluation import monuments
from training.evaluation.monuments import ARCHIVE, MONUMENTS, extract


@pytest.fixture
def package(tmp_path):
    """A folder with an archive of three photos, and the photos' bytes."""
    photos = []
    for level in (10, 90, 200):
        data = io.BytesIO()
        Image.fromarray(np.full((16, 24, 3), level, np.uint8)).save(data, "WEBP")
        photos.append(data.getvalue())
    archive = tmp_path / "package" / ARCHIVE
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"qres\0\0" + b"\0\0\1\xff".join(photos) + b"names")
    return tmp_path / "package", photos


def test_the_listed_photos_are_written_as_they_are(package, tmp_path):
    folder, photos = package
    names = {hashlib.sha256(photos[number]).hexdigest(): name for number, name in ((0, "arch"), (2, "tower"))}
    extract(folder / ARCHIVE, names, tmp_path / "photos")
    assert {path.name: path.read_bytes() for path in (tmp_path / "photos").iterdir()} == {
        "arch.webp": photos[0],
        "tower.webp": photos[2],
    }
    with pytest.raises(ValueError, match=r"explore_monuments.rcc' lacks bridge, expected version 3.1"):
        extract(folder / ARCHIVE, {**names, "0": "bridge"}, tmp_path / "photos")


def test_the_command_line_refuses_another_package(package, tmp_path, monkeypatch, capsys):
    for folder, message in ((package[0], "lacks arlesAmphitheater"), (tmp_path, "No such file")):
        arguments = ["--package", str(folder), "--output_dir", str(tmp_path / "photos")]
        monkeypatch.setattr("sys.argv", ["monuments.py", *arguments])
        with pytest.raises(SystemExit):
            monuments.main()
        assert message in capsys.readouterr().err


def test_each_photo_has_an_author_a_licence_and_a_source():
    with MONUMENTS.open(newline="", encoding="utf-8") as file:
        photos = list(csv.DictReader(file))
    assert len({photo["sha256"] for photo in photos}) == len(photos) == 20
    for photo in photos:
        assert photo["author"]
        assert photo["licence"] in ("CC0-1.0", "Public Domain")
        assert photo["source"].startswith("https://commons.wikimedia.org/wiki/File:")

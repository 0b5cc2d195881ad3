import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.data.manifest import read_manifest
from training.evaluation.signs import SIGNS, remove_signs, sign_sheet


def test_signs_are_in_photos_that_the_model_has_not_seen():
    held_out = {Path(photo.file_name).stem for photo in read_manifest()["street_fronts"].splits["validation"]}
    for name, boxes in json.loads(SIGNS.read_text()).items():
        assert name in held_out
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= 1280
            assert 0 <= top < bottom <= 720


def test_only_the_signs_are_repainted(tiny_pipeline, photo):
    removal = remove_signs(tiny_pipeline, photo, [(40, 30, 50, 40), (70, 8, 80, 12)])
    changed = (np.asarray(removal.after) != np.asarray(photo)).any(axis=2)
    rows, columns = np.nonzero(changed)
    in_first = (columns >= 40) & (columns <= 50) & (rows >= 30) & (rows <= 40)
    in_second = (columns >= 70) & (columns <= 80) & (rows >= 8) & (rows <= 12)
    assert in_first.any()
    assert in_second.any()
    assert (in_first | in_second).all()


def test_the_sheet_shows_each_photo_with_its_lines_and_result(tiny_pipeline, photo, tmp_path):
    large = photo.resize((600, 300))
    large.save(tmp_path / "one.jpg")
    large.save(tmp_path / "two.jpg")
    boxes = [(20, 20, 60, 40)]
    sheet = sign_sheet(tiny_pipeline, tmp_path, {"one": boxes, "two": boxes})
    title = sheet.height - 2 * 270
    assert sheet.width == 3 * 480
    read = np.asarray(Image.open(tmp_path / "one.jpg").crop((0, 0, 480, 270)))  # the sign lies in the corner
    assert np.array_equal(np.asarray(sheet.crop((0, title, 480, title + 270))), read)

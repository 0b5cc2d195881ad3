"""Large holes, with and without the photo's texture."""

import json

import numpy as np
import pytest
from PIL import Image

from training.evaluation import large_holes
from training.evaluation.large_holes import gradient_energy, round_hole


def test_a_hole_fits_or_is_none():
    for seed in range(20):
        hole = round_hole((120, 160), 100, np.random.default_rng(seed))
        rows, columns = np.nonzero(hole)
        for lines, side in ((rows, 120), (columns, 160)):
            assert 60 <= np.ptp(lines) <= 100  # radii are 35 to 50
            assert lines.min() >= 8
            assert lines.max() < side - 8 + 1
    assert round_hole((120, 160), 105, np.random.default_rng(0)) is None


def test_gradient_energy_is_that_of_the_hole_alone():
    image = np.full((40, 40, 3), 100, np.uint8)
    image[:, ::2] = 110  # steps of 10 across, none down
    hole = np.zeros((40, 40), bool)
    hole[10:30, 10:30] = True
    image[:5] = np.random.default_rng(0).integers(0, 256, (5, 40, 3))
    assert gradient_energy(image, hole) == pytest.approx(100)


def test_the_command_writes_pictures_and_figures(tmp_path, tiny_pipeline, capsys):
    tiny_pipeline.save_pretrained(tmp_path / "model")
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photos" / "noise.png")
    arguments = ["--dataset", str(tmp_path / "photos"), "--model", str(tmp_path / "model"), "--widths", "40", "200"]
    large_holes.main([*arguments, "--output_dir", str(tmp_path / "out")])
    smooth, texture = json.loads((tmp_path / "out" / "large_holes.json").read_text())
    assert (smooth["width"], smooth["repair"], texture["repair"]) == (40, "smooth", "texture")
    assert abs(texture["sharpness"] - 1) < abs(smooth["sharpness"] - 1)  # of an untrained network
    assert texture["psnr"] > smooth["psnr"]
    assert "| 40 | 1 | texture |" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "photos_noise_40_smooth.png",
        "photos_noise_40_texture.png",
    }
    with pytest.raises(SystemExit):
        large_holes.main([*arguments[:4], "--widths", "200", "--output_dir", str(tmp_path / "none")])
    assert "no photo is as large" in capsys.readouterr().err

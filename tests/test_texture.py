"""Texture in the hole: taken from the photo, where it fits what was painted."""

import cv2
import numpy as np
import pytest
import torch

from edgeconnect_hf import EdgeConnectPipeline, bands, patches, session
from edgeconnect_hf.texture import match_texture

NOWHERE = np.zeros((128, 128), bool)


@pytest.fixture(scope="module")
def hole() -> np.ndarray:
    hole = np.zeros((128, 128), bool)
    hole[48:80, 40:90] = True
    return hole


def stripes(period: int) -> np.ndarray:
    """`[128,128,3]`: dark and light columns, each half a period wide."""
    columns = np.arange(128) // (period // 2) % 2
    return np.broadcast_to(0.3 + 0.4 * columns[None, :, None], (128, 128, 3)).astype(np.float32)


def painted_smoothly(photo: np.ndarray, hole: np.ndarray, sigma: float) -> np.ndarray:
    return np.where(hole[..., None], cv2.GaussianBlur(photo, (0, 0), sigma), photo)


def error(result: np.ndarray, photo: np.ndarray, hole: np.ndarray) -> float:
    return float(np.abs(result - photo)[hole].mean())


def test_blurred_stripes_become_sharp(hole):
    """Of each step from dark to light, every eight pixels, less than one pixel is on the wrong side."""
    photo = stripes(16)
    painted = painted_smoothly(photo, hole, 3)
    assert error(painted, photo, hole) > 2 * 0.4 / 8
    assert error(match_texture(painted, hole, hole, NOWHERE), photo, hole) < 0.4 / 8


def test_a_reduced_window_gets_the_photos_detail(hole):
    """At a quarter of the size, stripes four pixels wide are gray; noise stands for what no network could know."""
    photo = stripes(8) + np.random.default_rng(0).normal(0, 0.03, (128, 128, 1)).astype(np.float32)
    painted = painted_smoothly(photo, hole, 8)
    detail = match_texture(painted, hole, hole, NOWHERE, scale=4.0)[hole].std()
    assert painted[hole].std() < 0.1 * photo[hole].std()
    assert 0.8 * photo[hole].std() < detail < 1.2 * photo[hole].std()


def test_the_hole_has_as_much_detail_as_the_photo(hole, monkeypatch):
    """On noise, which has no place that fits well: the mean of votes loses a tenth, which is given back."""

    def share_of_detail() -> float:
        shares = []
        for seed in range(4):
            photo = np.random.default_rng(seed).normal(0.5, 0.1, (128, 128, 1)).repeat(3, 2).astype(np.float32)
            result = match_texture(painted_smoothly(photo, hole, 3), hole, hole, NOWHERE)
            fine, true = (bands.detail(torch.from_numpy(each).permute(2, 0, 1))[:, hole] for each in (result, photo))
            shares.append(float(fine.std() / true.std()))  # of 1,600 pixels: within 2 % by chance
        return float(np.mean(shares))

    assert 0.95 < share_of_detail() < 1.05
    monkeypatch.setattr(patches, "_MOST_GAIN", 1)
    assert share_of_detail() < 0.92


def test_on_plain_ground_away_from_lines_colours_are_those_around_the_hole(hole):
    """A wall with a little noise, its hole painted darker than any of it."""
    wall = np.random.default_rng(0).normal(0.6, 0.01, (128, 128, 1)).repeat(3, 2).astype(np.float32)
    painted, lines = wall.copy(), NOWHERE.copy()
    painted[hole] -= 0.2
    assert np.abs(match_texture(painted, hole, hole, NOWHERE) - wall)[hole].mean() < 0.02  # that of the noise
    lines[46:82, 38:92] = True  # the hole is full of lines: painted as it was, near known pixels
    assert np.abs(match_texture(painted, hole, hole, lines) - painted)[hole].mean() < 0.1


def test_what_was_enlarged_is_sharpened_without_a_halo():
    """A soft step between two plain halves, painted along a line: nowhere beyond the two."""
    step = 1 / (1 + np.exp(-np.arange(-64, 64)))
    painted = np.broadcast_to(0.3 + 0.4 * step[None, :, None], (128, 128, 3)).astype(np.float32)
    hole, lines = NOWHERE.copy(), NOWHERE.copy()
    hole[32:96, 32:96], lines[32:96, 63:65] = True, True
    row = match_texture(painted, hole, hole, lines, scale=1.5)[64, :, 0]
    assert np.diff(row).max() > 1.1 * np.diff(painted[64, :, 0]).max()
    assert painted.min() - 1e-6 <= row.min() <= row.max() <= painted.max() + 1e-6  # but for rounding


def test_a_line_that_the_photo_has_no_example_of_stays(hole):
    wall = np.random.default_rng(0).normal(0.6, 0.02, (128, 128, 1)).repeat(3, 2).astype(np.float32)
    painted, lines = painted_smoothly(wall, hole, 3), NOWHERE.copy()
    painted[48:80, 64:67] -= 0.3
    lines[48:80, 65] = True

    def depth(picture):
        return picture[48:80, 50:60].mean() - picture[48:80, 65].mean()

    assert depth(match_texture(painted, hole, hole, lines)) > 0.8 * depth(painted)
    assert depth(match_texture(painted, hole, hole, NOWHERE)) < 0.5 * depth(painted)  # it is the line that keeps it


def test_of_places_that_fit_alike_the_nearest_is_taken():
    """In a row of twelve equal tiles, one is the hole: every pixel is found in a tile beside it."""
    tile = np.random.default_rng(0).uniform(0.2, 0.8, (32, 16, 3)).astype(np.float32)
    photo = torch.from_numpy(np.tile(tile, (1, 12, 1))).permute(2, 0, 1)
    hole = torch.zeros(32, 12 * 16, dtype=torch.bool)
    hole[8:24, 48:64] = True
    random = torch.Generator().manual_seed(0)
    search = patches.PatchSearch(photo, hole, hole, photo, torch.zeros(hole.shape), random)
    places = search.on_map(search.improve(search.start(), is_wide=True))[hole]
    ways = places - hole.nonzero()
    assert ways[:, 0].count_nonzero() == 0
    assert set(ways[:, 1].tolist()) == {-16, 16}


@pytest.mark.parametrize("channels", [1, 3])
def test_the_margin_repeats_the_frames_pixels(channels):
    planes = torch.from_numpy(np.random.default_rng(0).random((channels, 9, 12), np.float32))
    expected = torch.nn.functional.pad(planes[None], (4,) * 4, mode="replicate")[0].flatten(1).T
    assert torch.equal(patches._with_margin(planes), expected)


def test_a_place_holds_the_pixels_around_it():
    """The nine pixels of a patch and the five of the blurred picture's cross, row by row."""
    random = np.random.default_rng(0)
    photo, blurred = (torch.from_numpy(random.random((3, 20, 24), np.float32)) for _ in range(2))
    hole = torch.zeros(20, 24, dtype=torch.bool)
    hole[9:12, 10:14] = True
    search = patches.PatchSearch(photo, hole, hole, blurred, torch.ones(hole.shape), torch.Generator())
    place = search._place(torch.tensor([6]), torch.tensor([17]))
    assert torch.equal(search._patches[place][0, :27], photo[:, 5:8, 16:19].flatten(1).T.flatten())
    cross = torch.stack([blurred[:, 6 + dy, 17 + dx] for dy, dx in patches._CROSS]).flatten()
    assert torch.allclose(search._painted[place][0], cross * search._painted[place][0, 0] / cross[0])
    assert torch.equal(search._wanted()[0, :27], photo[:, 8:11, 9:12].flatten(1).T.flatten())


def test_known_pixels_stay_and_the_result_is_always_the_same(hole):
    painted = np.random.default_rng(0).random((128, 128, 3), np.float32)
    one, other = (match_texture(painted, hole, hole, NOWHERE) for _ in range(2))
    assert np.array_equal(one[~hole], painted[~hole])
    assert not np.array_equal(one[hole], painted[hole])
    assert np.array_equal(one, other)


def test_how_many_pixels_are_compared_at_once_changes_nothing(hole, monkeypatch):
    """But for the last bit of a sum."""
    painted = np.random.default_rng(0).random((128, 128, 3), np.float32)
    expected = match_texture(painted, hole, hole, NOWHERE)
    monkeypatch.setattr(patches, "_AT_ONCE", 61)
    assert np.allclose(match_texture(painted, hole, hole, NOWHERE), expected, rtol=0, atol=1e-6)


def test_nothing_is_taken_from_what_is_unknown(hole):
    """The only bright pixels are not to be used: the hole, painted bright, becomes dark far from its border."""
    photo = np.random.default_rng(0).uniform(0, 0.3, (128, 128, 3)).astype(np.float32)
    photo[:20] = photo[hole] = 0.9
    other = hole.copy()
    other[:20] = True
    assert match_texture(photo, hole, hole, NOWHERE)[62:66, 60:70].min() > 0.8
    assert match_texture(photo, hole, other, NOWHERE)[62:66, 60:70].max() < 0.8


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (8, 8), (16, 5), (37, 41), (65, 130)])
@pytest.mark.parametrize("share", [0.1, 0.95, 1])
@pytest.mark.parametrize("scale", [1.0, 4.3])
def test_any_size_and_any_hole(size, share, scale):
    random = np.random.default_rng(0)
    painted, hole = random.random((*size, 3), np.float32), random.random(size) < share
    result = match_texture(painted, hole, hole, np.zeros(size, bool), scale)
    assert result.shape == painted.shape
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 1
    assert np.array_equal(result[~hole], painted[~hole])
    if share == 1:  # nothing to take from
        assert np.array_equal(result, painted)


@pytest.fixture
def textured_pipeline(tiny_pipeline):
    return EdgeConnectPipeline(**{**tiny_pipeline.components, "match_texture": True})


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_the_pipeline_keeps_known_pixels_and_mode(textured_pipeline, hole, mode):
    channels = {"RGB": (3,), "RGBA": (4,), "L": (), "I;16": ()}[mode]
    dtype = np.uint16 if mode == "I;16" else np.uint8
    photo = np.random.default_rng(0).integers(1, 256, (128, 128, *channels), dtype)
    result = textured_pipeline(photo, hole, output_type="np").images[0]  # [128,128,C]
    expected = photo.reshape(result.shape) / np.iinfo(dtype).max
    assert np.allclose(result[~hole], expected[~hole], rtol=0, atol=1e-6)


def test_a_gray_photo_stays_gray(textured_pipeline, hole):
    gray = np.random.default_rng(0).integers(0, 256, (128, 128, 1), np.uint8).repeat(3, 2)
    result = textured_pipeline(gray, hole, output_type="np").images[0]
    assert np.array_equal(result, result[..., :1].repeat(3, 2))


def test_an_edit_looks_for_texture_in_its_own_window_only(textured_pipeline, monkeypatch):
    calls = []

    def counted(painted, *args):
        calls.append(painted.shape)
        return match_texture(painted, *args)

    monkeypatch.setattr(session, "match_texture", counted)
    photo = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)
    mask = np.zeros((600, 700), bool)
    mask[40:80, 50:110] = mask[480:520, 560:620] = True
    edit = textured_pipeline.open(photo, mask, output_type="np")
    lines = edit.generate_edges()
    edit.complete()
    assert len(calls) == 2
    edited = np.array(lines)
    edited[0, 50:70, 80] = 1 - edited[0, 50:70, 80]
    repaired = edit.complete(edited)
    assert len(calls) == 3
    assert np.array_equal(repaired, textured_pipeline.complete(photo, mask, edited, output_type="np"))

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data.masks import MaskFolder, MaskMixture, half_mask, irregular_mask, rectangle_mask

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(4, 80)


@given(SIZES, SEEDS)
def test_rectangle_is_a_square_of_half_the_side(size, seed):
    mask = rectangle_mask(size, np.random.default_rng(seed))
    assert mask.shape == (size, size)
    assert mask.dtype == np.bool_
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    assert len(rows) == len(columns) == size // 2
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_rectangle_reaches_every_border():
    masks = [rectangle_mask(8, np.random.default_rng(seed)) for seed in range(200)]
    for border in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert any(mask[border].any() for mask in masks)


def test_half_hides_each_side():
    masks = [half_mask(6, np.random.default_rng(seed)) for seed in range(50)]
    assert all(mask.sum() == 18 for mask in masks)
    upper = np.arange(36).reshape(6, 6) < 18
    sides = {np.rot90(upper, turns).tobytes() for turns in range(4)}
    assert {mask.tobytes() for mask in masks} == sides


@settings(max_examples=60, deadline=None)
@given(SIZES, SEEDS, st.floats(0.02, 0.9), st.floats(0.0, 0.09))
def test_irregular_reaches_its_hole_share_to_the_pixel(size, seed, low, width):
    mask = irregular_mask(size, np.random.default_rng(seed), (low, low + width))
    assert mask.shape == (size, size)
    assert mask.dtype == np.bool_
    half_a_pixel = 0.5 + 1e-9
    assert max(1, low * size * size - half_a_pixel) <= mask.sum()
    assert mask.sum() <= max(1, (low + width) * size * size + half_a_pixel)


def test_irregular_spreads_over_the_papers_range():
    shares = [irregular_mask(32, np.random.default_rng(seed)).mean() for seed in range(200)]
    counts, _ = np.histogram(shares, bins=[0.0995, 0.2, 0.3, 0.4, 0.5, 0.6005])  # half a pixel beyond the ends
    assert counts.sum() == 200
    assert counts.min() > 20  # 40 are expected, with a standard deviation of 5.7


@pytest.mark.parametrize("hole_share", [(0.1, 0.2), (0.5, 0.6)])
def test_irregular_is_brush_strokes_and_no_noise(hole_share):
    for seed in range(10):
        mask = irregular_mask(256, np.random.default_rng(seed), hole_share).astype(np.uint8)
        pieces, _ = cv2.connectedComponents(mask)
        assert pieces - 1 < 30
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
        assert opened.sum() > 0.97 * mask.sum()  # nearly everywhere a brush of five pixels fits in


def test_irregular_covers_all_of_the_picture_alike():
    covered = np.mean([irregular_mask(32, np.random.default_rng(seed)) for seed in range(400)], axis=0)
    parts = covered.reshape(4, 8, 4, 8).mean(axis=(1, 3))  # [4,4]
    assert parts.min() > 0.2  # 0.35 on average; less in the corners, where fewer strokes cross
    assert parts.max() < 0.5


@pytest.mark.parametrize("draw", [rectangle_mask, half_mask, irregular_mask])
def test_the_generator_decides(draw):
    same = [draw(64, np.random.default_rng(1)) for _ in range(2)]
    assert np.array_equal(*same)
    assert len({draw(64, np.random.default_rng(seed)).tobytes() for seed in range(20)}) > 1


@pytest.mark.parametrize("hole_share", [(0.0, 0.5), (0.4, 0.3), (0.5, 1.0)])
def test_irregular_refuses_what_is_no_range(hole_share):
    with pytest.raises(ValueError, match="`hole_share` is"):
        irregular_mask(16, np.random.default_rng(0), hole_share)


def test_folder_gives_its_masks_in_all_eight_positions(tmp_path):
    picture = np.zeros((8, 8), np.uint8)
    picture[0, 0], picture[0, 1] = 128, 255  # in the hole
    picture[7, 3] = 127  # not in it
    (tmp_path / "deeper").mkdir()
    Image.fromarray(picture).convert("RGB").save(tmp_path / "deeper" / "mask.PNG")
    (tmp_path / "notes.txt").write_text("no mask")
    folder = MaskFolder(tmp_path)
    small = {folder(8, np.random.default_rng(seed)).tobytes() for seed in range(100)}
    turned = [np.rot90(picture >= 128, turns) for turns in range(4)]
    assert small == {position.tobytes() for mask in turned for position in (mask, np.fliplr(mask))}
    large = folder(16, np.random.default_rng(0))
    assert large.shape == (16, 16)
    assert large.sum() == 8  # each pixel became four, without values between


def test_folder_takes_another_threshold(tmp_path):
    Image.new("L", (8, 8), 1).save(tmp_path / "mask.png")
    assert MaskFolder(tmp_path, threshold=1)(8, np.random.default_rng(0)).all()
    assert not MaskFolder(tmp_path)(8, np.random.default_rng(0)).any()


def test_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`mask_dataset` '.*' holds no images"):
        MaskFolder(tmp_path)
    with pytest.raises(ValueError, match=r"`mask_dataset` '.*nowhere' is not a folder"):
        MaskFolder(tmp_path / "nowhere")


def test_a_mask_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"`mask_dataset` holds '.*broken.png', which cannot be read"):
        MaskFolder(tmp_path)(8, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("picture", "area"),
    [
        (Image.new("RGBA", (8, 8), (255, 255, 255, 0)), 0),  # transparent
        (Image.fromarray(np.full((8, 8), 0x7000, np.uint16)), 0),  # 16 bits, less than half of the range
        (Image.fromarray(np.full((8, 8), 0x9000, np.uint16)), 64),
    ],
)
def test_a_folders_masks_are_read_as_those_of_a_column(tmp_path, picture, area):
    picture.save(tmp_path / "mask.png")
    assert MaskFolder(tmp_path)(8, np.random.default_rng(0)).sum() == area


def test_a_mask_whose_range_is_not_known_is_named(tmp_path):
    Image.new("F", (8, 8)).save(tmp_path / "mask.tif")
    with pytest.raises(ValueError, match=r"'.*mask.tif', which cannot be read: a PIL picture of mode F"):
        MaskFolder(tmp_path)(8, np.random.default_rng(0))


def test_mixture_follows_its_weights(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "without_a_hole.png")
    mixture = MaskMixture(rectangle=1, half=2, irregular=0, external=1, folder=MaskFolder(tmp_path))
    rng = np.random.default_rng(0)
    areas = [int(mixture(8, rng).sum()) for _ in range(2000)]
    shares = {area: areas.count(area) / 2000 for area in set(areas)}
    # Standard deviation of such a share: at most 0.011.
    assert shares == pytest.approx({16: 0.25, 32: 0.5, 0: 0.25}, abs=0.05)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({}, "mask weights"), ({"half": -1.0, "irregular": 2.0}, "mask weights"), ({"external": 1.0}, "needs a `folder`")],
)
def test_mixture_refuses_what_is_no_mixture(weights, message):
    with pytest.raises(ValueError, match=message):
        MaskMixture(**weights)

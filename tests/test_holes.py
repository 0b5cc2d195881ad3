"""Holes: growth, plain ground, what alpha hides, gray photos; through the pipeline where a user meets it."""

import numpy as np
import pytest
import torch
from PIL import Image

from edgeconnect_hf.holes import check_known, grow, plain_ground


@pytest.fixture(scope="module")
def mask():
    """A hole of 20x24 in 96x96."""
    mask = np.zeros((96, 96), bool)
    mask[40:60, 36:60] = True
    return mask


def ramp(down: float, across: float) -> np.ndarray:
    """`[96,96,3]` uint8, which grows by so many levels a pixel from 60."""
    rows, columns = np.mgrid[0:96, 0:96]
    return np.rint(60 + down * rows + across * columns)[..., None].repeat(3, axis=2).astype(np.uint8)


def flat(*colour: int) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (96, 96, 3)).copy()


def test_a_hole_grows_by_a_disc_and_shrinks_again(mask):
    grown = grow(mask, 5)
    rows, columns = np.nonzero(grown)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (35, 64, 31, 64)
    assert not grown[35, 31]  # round corners
    assert np.array_equal(grow(grown, -5), mask)
    assert grow(mask, 0) is mask


@pytest.mark.parametrize("by", [1, 7, 40, -1, -4])
def test_growing_reaches_as_far_as_it_says(by):
    mask = np.random.default_rng(0).random((40, 50)) > (0.995 if by > 0 else 0.01)
    rows, columns = np.nonzero(mask if by > 0 else ~mask)
    y, x = np.mgrid[0:40, 0:50]
    distance = np.hypot(y[..., None] - rows, x[..., None] - columns).min(axis=-1)
    assert np.array_equal(grow(mask, by), distance <= by if by > 0 else distance > -by)
    assert not grow(np.zeros((4, 4), bool), by).any()
    assert grow(np.ones((4, 4), bool), by).all()


@pytest.mark.parametrize(
    "image",
    [flat(255, 255, 255), flat(0, 0, 0), flat(200, 120, 60), ramp(0.2, 1.1), ramp(0.9, -0.3)],
    ids=["white", "black", "one colour", "gradient across", "gradient down"],
)
@pytest.mark.parametrize("strategy", ["auto", "original", "resize"])
def test_a_plain_hole_stays_plain(tiny_pipeline, mask, image, strategy):
    result = tiny_pipeline(Image.fromarray(image), Image.fromarray(mask), strategy=strategy)
    error = np.abs(np.asarray(result.images[0]).astype(int) - image)
    assert error.max() <= 2
    assert not error[~mask].any()
    assert not np.asarray(result.edges[0])[mask].any()


def test_ground_with_more_than_rounding_on_it_is_painted(tiny_pipeline, mask):
    image = flat(200, 120, 60)
    image[::2] += np.uint8(2)  # within 1 level of the mean
    assert plain_ground(image / np.float32(255), mask, mask) is not None
    image[::2] += np.uint8(3)
    assert plain_ground(image / np.float32(255), mask, mask) is None
    image[:] = 120
    image[4, :] = 255  # farther than 32 pixels: decides nothing
    assert plain_ground(image / np.float32(255), mask, mask) is not None
    image[9, 50] = 255
    assert plain_ground(image / np.float32(255), mask, mask) is None


def test_three_pixels_lie_on_a_plane_but_are_no_plain_ground():
    image = np.random.default_rng(0).random((20, 20, 3), dtype=np.float32)
    mask = np.ones((20, 20), bool)
    mask[(0, 7, 19), (3, 15, 9)] = False
    assert plain_ground(image, mask, mask) is None
    image[~mask] = 0.25
    assert np.abs(plain_ground(image, mask, mask) - 0.25).max() < 1e-6


def test_beyond_what_is_known_a_slope_ends():
    """Known from row 60 on, where 36 rows rise by 0.5 level each: as far again, then no further."""
    image = np.arange(96, dtype=np.float32)[:, None, None].repeat(96, axis=1).repeat(3, axis=2) / 510
    band = np.zeros((96, 96), bool)
    band[:60] = True
    ground = plain_ground(image, band, band)
    assert np.abs(ground - image)[60 - 31 :].max() < 1e-6
    assert (np.ptp(ground[: 60 - 32], axis=0) < 1e-6).all()
    corner = np.zeros((96, 96), bool)
    corner[:60, :60] = True
    image = image + image.transpose(1, 0, 2)
    assert np.abs(plain_ground(image, corner, corner) - image).max() < 1e-6


def test_what_surrounds_another_hole_decides_nothing(tiny_pipeline):
    """Neither around the hole of another window, nor around what is transparent."""
    image = np.full((96, 500, 3), 90, np.uint8)
    image[:, 200:] = np.random.default_rng(0).integers(0, 256, (96, 300, 3))
    first, both = np.zeros((96, 500), bool), np.zeros((96, 500), bool)
    first[40:60, 100:130] = both[40:60, 100:130] = both[40:60, 240:260] = True
    result = tiny_pipeline(Image.fromarray(image), Image.fromarray(both), strategy="crop").images[0]
    assert len(tiny_pipeline.open(image, both, strategy="crop").windows[0]) == 2
    assert (np.asarray(result)[first] == 90).all()

    alpha = np.full((96, 500, 1), 255, np.uint8)
    alpha[10:80, 220:240] = 0
    result = tiny_pipeline(np.dstack([image, alpha]), first).images[0]
    assert (np.asarray(result)[first, :3] == 90).all()


def test_a_hole_with_nothing_visible_around_becomes_white(tiny_pipeline):
    photo = np.random.default_rng(0).integers(0, 256, (300, 300, 4), dtype=np.uint8)
    photo[..., 3] = 255 * (np.arange(300) > 290)
    mask = np.zeros((300, 300), bool)
    mask[10:20, 10:20] = True
    result = np.asarray(tiny_pipeline(photo, mask, strategy="crop").images[0])
    assert (result[mask, :3] == 255).all()
    assert np.array_equal(result[~mask], photo[~mask])


def test_a_line_drawn_into_a_plain_hole_is_painted(tiny_pipeline, mask):
    wall, hole = Image.fromarray(flat(90, 90, 90)), Image.fromarray(mask)
    session = tiny_pipeline.open(wall, hole)
    empty = np.asarray(session.complete()[0])
    lines = np.zeros((96, 96), np.uint8)
    lines[50, 30:70] = 255
    drawn = np.asarray(session.complete(Image.fromarray(lines))[0])
    assert (empty == 90).all()
    assert (drawn[mask] != 90).any()
    assert np.array_equal(np.asarray(session.complete(Image.fromarray(lines * 0))[0]), empty)
    assert np.array_equal(np.asarray(tiny_pipeline.complete(wall, hole, Image.fromarray(lines))[0]), drawn)
    hinted = session.generate_edges(edge_hints=Image.fromarray(lines))[0]
    assert (np.asarray(hinted)[50, 36:60] == 255).all()


def test_known_lines_far_from_a_plain_hole_stay_in_the_line_map(tiny_pipeline):
    image = np.full((200, 200, 3), 90, np.uint8)
    image[:, 150:] = 200
    mask = np.zeros((200, 200), bool)
    mask[90:110, 60:90] = True  # 60 pixels from the line
    (lines,) = tiny_pipeline.generate_edges(Image.fromarray(image), Image.fromarray(mask), strategy="original")
    assert (np.asarray(lines)[10:190, 148:152].max(axis=1) == 255).all()


def test_colours_under_full_transparency_decide_nothing(tiny_pipeline, photo, mask):
    colours = np.asarray(photo.resize((96, 96)))
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:36] = 0  # up to four pixels above the hole
    alpha[70:80] = 1  # hardly to be seen, but known
    random = np.random.default_rng(0)
    others = np.where((alpha == 0)[..., None], random.integers(0, 256, colours.shape, dtype=np.uint8), colours)
    results = [
        tiny_pipeline(Image.fromarray(np.dstack([each, alpha])), Image.fromarray(mask)) for each in (colours, others)
    ]
    first, second = (np.asarray(result.images[0]) for result in results)
    assert np.array_equal(first[mask], second[mask])
    assert np.array_equal(*(np.asarray(result.edges[0]) for result in results))
    assert np.array_equal(first[~mask], np.dstack([colours, alpha])[~mask])
    assert np.array_equal(second[~mask], np.dstack([others, alpha])[~mask])


def test_colours_under_alpha_1_do_decide(tiny_pipeline, photo, mask):
    colours = np.asarray(photo.resize((96, 96)))
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:36] = 1
    changed = colours.copy()
    changed[:36] = 255 - changed[:36]
    first, second = (
        np.asarray(tiny_pipeline(Image.fromarray(np.dstack([each, alpha])), Image.fromarray(mask)).images[0])
        for each in (colours, changed)
    )
    assert not np.array_equal(first[mask], second[mask])


def test_nothing_visible_outside_the_hole_is_refused(tiny_pipeline, mask):
    photo = np.zeros((96, 96, 4), np.uint8)
    photo[mask] = 255
    with pytest.raises(ValueError, match="full transparency everywhere outside the hole"):
        tiny_pipeline(Image.fromarray(photo), Image.fromarray(mask))
    with pytest.raises(ValueError, match="`mask_image`, grown by `mask_padding`, .* got a hole everywhere"):
        tiny_pipeline(Image.new("RGB", (96, 96)), Image.fromarray(mask), mask_padding=200)
    check_known(np.zeros((4, 4), bool), np.zeros((4, 4, 1)))  # no hole: nothing to complete


def test_a_gray_photo_stored_as_rgb_stays_gray(tiny_pipeline, photo, mask):
    gray = np.asarray(photo.resize((96, 96)).convert("L"))
    stored = gray[..., None].repeat(3, axis=2).copy()
    stored[mask] = (255, 0, 0)  # what is hidden in the hole does not count
    as_rgb = np.asarray(tiny_pipeline(Image.fromarray(stored), Image.fromarray(mask)).images[0])
    as_gray = np.asarray(tiny_pipeline(Image.fromarray(gray), Image.fromarray(mask)).images[0])
    assert np.array_equal(as_rgb, as_gray[..., None].repeat(3, axis=2))
    stored[0, 0] = (255, 0, 0)
    coloured = np.asarray(tiny_pipeline(Image.fromarray(stored), Image.fromarray(mask)).images[0])
    assert (coloured[mask].max(axis=1) != coloured[mask].min(axis=1)).any()


def test_mask_padding_is_a_larger_mask(tiny_pipeline, photo, hole):
    grown = Image.fromarray(grow(np.asarray(hole) > 0, 3))
    padded, larger = tiny_pipeline(photo, hole, mask_padding=np.int64(3)), tiny_pipeline(photo, grown)
    assert padded.images[0].tobytes() == larger.images[0].tobytes()
    assert padded.edges[0].tobytes() == larger.edges[0].tobytes()
    edges = tiny_pipeline.generate_edges(photo, hole, mask_padding=3)
    halves = tiny_pipeline.complete(photo, hole, edges, mask_padding=3)
    assert halves[0].tobytes() == larger.images[0].tobytes()


@pytest.mark.parametrize("padding", [-1, 257, 1.5, "3", None])
def test_a_wrong_mask_padding_is_named(tiny_pipeline, photo, hole, padding):
    with pytest.raises(ValueError, match=r"`mask_padding` must be a whole number from 0 to 256: got"):
        tiny_pipeline(photo, hole, mask_padding=padding)


def test_a_batch_with_plain_and_other_holes(tiny_pipeline, photo, mask):
    photos = torch.stack(
        [torch.from_numpy(each).permute(2, 0, 1) for each in (flat(9, 9, 9), np.asarray(photo.resize((96, 96))).copy())]
    )
    hole = torch.from_numpy(mask)
    both = tiny_pipeline(photos, hole, output_type="pt").images
    for number in range(2):
        alone = tiny_pipeline(photos[number], hole, output_type="pt").images[0]
        assert torch.equal(both[number], alone)

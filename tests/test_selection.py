"""Select an object by a click, a box, a scribble."""

import itertools

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeconnect_hf import select_object
from edgeconnect_hf.regions import Regions
from edgeconnect_hf.segmenting import _LONG_SIDE

SIZE = (160, 200)
PLATE, DOOR = (slice(20, 40), slice(20, 100)), (slice(90, 145), slice(25, 60))
LETTERS = [(slice(60, 69), slice(left, left + 6)) for left in range(20, 110, 10)]
LAMP = ((np.ogrid[:160, :200][0] - 70) / 25) ** 2 + ((np.ogrid[:160, :200][1] - 155) / 15) ** 2 <= 1


def street() -> np.ndarray:
    """A wall with noise; on it a plate with letters, letters without a plate, a round lamp, a door."""
    photo = np.full((*SIZE, 3), (170, 140, 110), np.float32)
    photo[:, :, 0] += np.linspace(-12, 12, SIZE[1])
    photo[PLATE] = (30, 50, 90)
    for left in range(26, 94, 12):
        photo[25:36, left : left + 6] = (240, 240, 230)
    for letter in LETTERS:
        photo[letter] = (40, 30, 30)
    photo[LAMP] = (230, 220, 150)
    photo[DOOR] = (90, 40, 30)
    noise = np.random.default_rng(0).normal(0, 3, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


PHOTO = street()


def selected(**options) -> np.ndarray:
    mask = select_object(PHOTO, **options)
    assert (mask.mode, mask.size) == ("L", SIZE[::-1])
    values = np.asarray(mask)
    assert set(np.unique(values)) <= {0, 255}
    return values > 0


def box_of(part) -> np.ndarray:
    box = np.zeros(SIZE, bool)
    box[part] = True
    return box


def assert_is(mask: np.ndarray, thing: np.ndarray, rim: int = 6):
    """All of a thing, and no more than its rim: the mask is grown by two pixels, and a cut may be off by as many."""
    assert mask[thing].all()
    assert not mask[cv2.dilate(thing.astype(np.uint8), np.ones((2 * rim + 1,) * 2)) == 0].any()


@pytest.mark.parametrize(
    ("point", "thing"),
    [
        ((22, 30), box_of(PLATE)),
        ((155, 70), LAMP),
        ((147, 60), LAMP),
        ((139, 70), LAMP),  # a pixel beside it
        ((40, 125), box_of(DOOR)),
    ],
)
def test_one_click_selects_the_thing_under_it(point, thing):
    assert_is(selected(points=[point]), thing)


def row_of_letters() -> np.ndarray:
    return box_of((slice(54, 75), slice(14, 112)))


def test_a_click_on_a_letter_selects_the_row():
    mask = selected(points=[(53, 64)])
    assert all(mask[letter].all() for letter in LETTERS)
    assert not mask[~row_of_letters()].any()
    assert mask[64, 20:106].all()  # and what lies between the letters


def test_a_rough_box_and_a_scribble_select_too():
    assert_is(selected(box=(130, 35, 180, 105)), LAMP)
    scribble = np.zeros(SIZE, np.uint8)
    cv2.line(scribble, (30, 94), (54, 141), 255, 3)
    assert_is(selected(scribble=scribble), box_of(DOOR))
    assert_is(selected(scribble=Image.fromarray(scribble)), box_of(DOOR))


def test_two_points_are_two_things_and_a_background_point_is_none():
    assert_is(selected(points=[(155, 70), (40, 125)]), LAMP | box_of(DOOR))
    assert_is(selected(points=[(155, 70)], background_points=[(40, 125), (10, 10)]), LAMP)
    assert_is(selected(box=(10, 40, 190, 155), background_points=[(40, 125)]) & ~row_of_letters(), LAMP)


def test_modes_are_set_operations():
    lamp, before = selected(points=[(155, 70)]), box_of((slice(60, 120), slice(120, 150)))
    options = {"points": [(155, 70)], "mask": before}
    assert np.array_equal(selected(**options), lamp)
    assert np.array_equal(selected(**options, mode="add"), before | lamp)
    assert np.array_equal(selected(**options, mode="subtract"), before & ~lamp)
    assert np.array_equal(selected(points=[(155, 70)], mode="add"), lamp)


def test_the_same_click_gives_the_same_mask_whatever_was_drawn_at_random_before():
    first = selected(points=[(40, 125)])
    cv2.setRNGSeed(17)
    cv2.randu(np.zeros((5, 5)), 0, 1)
    assert np.array_equal(selected(points=[(40, 125)]), first)


def test_a_large_photo_is_cut_on_a_reduced_copy_along_its_own_edges():
    scale = 5
    large = np.repeat(np.repeat(PHOTO, scale, axis=0), scale, axis=1)
    assert max(large.shape) > _LONG_SIDE
    mask = np.asarray(select_object(large, points=[(155 * scale, 70 * scale)])) > 0
    thing = np.repeat(np.repeat(LAMP, scale, axis=0), scale, axis=1)
    assert_is(mask, thing, rim=6 * scale)


def test_a_segmenter_of_ones_own_gets_what_was_given_and_is_used_as_it_is():
    calls = []

    def corner(photo, **given):
        calls.append((photo, given))
        found = np.zeros(photo.shape[:2], bool)
        found[:10, :10] = True
        return found

    scribble = np.zeros(SIZE, np.uint8)
    scribble[5, 5:9] = 255
    mask = selected(
        points=[(1, 2)], background_points=((3, 4),), box=(-5, 10, 900, 50), scribble=scribble, segmenter=corner
    )
    assert np.array_equal(mask, box_of((slice(10), slice(10))))
    ((photo, given),) = calls
    strokes = given.pop("scribble")
    assert np.array_equal(photo, PHOTO)
    assert given == {"points": [(1, 2)], "background_points": [(3, 4)], "box": (0, 10, 200, 50)}
    assert np.array_equal(strokes, scribble > 0)
    gray = np.zeros((4, 6), np.uint16)
    select_object(gray, points=[(0, 0)], segmenter=lambda photo, **_: photo[..., 0] > photo.shape[2])  # [4,6,3]
    with pytest.raises(ValueError, match=r"`segmenter` must return a bool array .* \[160, 200\]: got uint8 of"):
        selected(points=[(1, 2)], segmenter=lambda photo, **_: photo)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (17, 500)])
@pytest.mark.parametrize("plain", [True, False])
def test_any_size_and_plain_ground_give_a_mask_that_holds_the_click(size, plain):
    photo = (
        np.full((*size, 3), 90, np.uint8) if plain else np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    )
    y, x = size[0] // 2, size[1] // 2
    assert np.asarray(select_object(photo, points=[(x, y)]))[y, x] == 255
    assert select_object(photo, box=(0, 0, size[1], size[0])).size == size[::-1]


def test_regions_around_a_pixel_are_nested_and_hold_it():
    lab = cv2.cvtColor(PHOTO.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    regions = list(Regions(lab).around(28, 30))
    assert len(regions) >= 2  # a letter, its plate
    assert all(region[30, 28] for region in regions)
    assert all((small <= large).all() for small, large in itertools.pairwise(regions))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "`points`, `box` or a white stroke in `scribble` must say where the object is: got none."),
        ({"scribble": np.zeros(SIZE, np.uint8)}, "`points`, `box` or a white stroke in `scribble`"),
        ({"points": [(200, 5)]}, r"`points` must be a list of \(x, y\) in the photo, 200x160 pixels: got \(200, 5\)"),
        ({"points": [(1, 2, 3)]}, r"`points` must be"),
        ({"points": (5, 5)}, r"`points` must be .*: got 5"),
        ({"points": [(float("nan"), 5)]}, r"`points` must be"),
        ({"points": [(5, 5)], "background_points": [(-1, 5)]}, r"`background_points` must be"),
        ({"box": (10, 10, 10, 50)}, r"`box` must be \(left, top, right, bottom\) .*: got \(10, 10, 10, 50\)"),
        ({"box": (400, 10, 500, 50)}, r"`box` must be"),
        ({"box": "wide"}, r"`box` must be"),
        ({"points": [(5, 5)], "mode": "union"}, "`mode` must be one of 'replace', 'add', 'subtract': got 'union'"),
        ({"points": [(5, 5)], "mask": np.zeros((3, 3), np.uint8)}, "`mask` must have the size of `image`, 200x160"),
        ({"scribble": np.ones((3, 3), np.uint8)}, "`scribble` must have the size of `image`, 200x160"),
    ],
)
def test_arguments_that_are_not_as_expected_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        select_object(PHOTO, **options)


def test_one_photo_at_a_time():
    with pytest.raises(ValueError, match="`image` must be one photo: got 2"):
        select_object([PHOTO, PHOTO], points=[(5, 5)])

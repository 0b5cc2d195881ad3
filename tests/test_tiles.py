import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_checks import assert_each_hole_pixel_has_one_window

from edgeconnect_hf.tiles import divide
from edgeconnect_hf.windows import find_windows, region

SIDE = {32: 288, 128: 384, 256: 512}  # of the largest tile's view, by the training scale


def scratch(size, points, thickness, mask=None):
    mask = np.zeros(size, np.uint8) if mask is None else mask.astype(np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, thickness)
    return mask > 0


@st.composite
def scratches(draw):
    """Photos with a line of a few corners, somewhere beyond the frame perhaps, and a blot."""
    height, width = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    corner = st.tuples(st.integers(-20, width + 20), st.integers(-20, height + 20))
    mask = scratch((height, width), draw(st.lists(corner, min_size=2, max_size=5)), draw(st.integers(1, 12)))
    top, left, side = draw(st.integers(0, height)), draw(st.integers(0, width)), draw(st.sampled_from([0, 60, 250]))
    mask[top : top + side, left : left + side] = True
    return mask


@settings(deadline=None, max_examples=60)
@given(mask=scratches(), strategy=st.sampled_from(["auto", "crop"]), sample_size=st.sampled_from(list(SIDE)))
def test_every_pixel_of_a_scratch_lies_in_exactly_one_window(mask, strategy, sample_size):
    assert_each_hole_pixel_has_one_window(mask, find_windows(mask, strategy, sample_size))


@settings(deadline=None, max_examples=60)
@given(mask=scratches(), strategy=st.sampled_from(["auto", "crop"]))
def test_a_scratched_photo_cut_to_its_region_has_the_same_windows(mask, strategy):
    if not mask.any():
        return
    top, left, bottom, right = region(mask, strategy, 64)

    def moved(box):
        return box[0] + top, box[1] + left, box[2] + top, box[3] + left

    cut = find_windows(mask[top:bottom, left:right], strategy, 64)
    assert [replace(window, view=moved(window.view), hole=moved(window.hole)) for window in cut] == find_windows(
        mask, strategy, 64
    )


@pytest.mark.parametrize("sample_size", SIDE)
@pytest.mark.parametrize("strategy", ["auto", "crop"])
@pytest.mark.parametrize(
    "points",
    [
        [(0, 0), (3999, 2999)],
        [(0, 1500), (3999, 1500)],
        [(3, 0), (3, 2999)],
        [(100, 100), (3900, 200), (3800, 2800), (200, 2900)],
    ],
    ids=["diagonal", "level", "at the frame", "around"],
)
def test_a_scratch_across_a_large_photo_is_repaired_at_full_size_in_tiles(points, strategy, sample_size):
    mask = scratch((3000, 4000), points, 4)
    windows = find_windows(mask, strategy, sample_size)
    assert len(windows) > 4
    assert not any(window.is_reduced for window in windows)
    assert max(max(window.view_size) for window in windows) <= SIDE[sample_size]
    assert sum(math.prod(window.work_size) for window in windows) < 12_000_000 / 3
    for window in windows:  # the pixels between tile and frame of its view are known, or other windows'
        known = ~mask[window.view_slices]
        assert known.mean() > 0.9
    (window,) = find_windows(mask, "resize", sample_size)
    assert max(window.work_size) == sample_size


@pytest.mark.parametrize("strategy", ["auto", "crop"])
def test_ordinary_holes_have_one_window_and_so_has_a_fence(strategy):
    rows, columns = np.mgrid[:1200, :1600]
    masks = {
        "disc": np.hypot(rows - 600, columns - 800) < 400,
        "rectangle": (abs(rows - 600) < 100) & (abs(columns - 800) < 700),
        "frame": (abs(rows - 600) > 450) | (abs(columns - 800) > 650),
        "two": (np.hypot(rows - 400, columns - 600) < 250) | (np.hypot(rows - 700, columns - 950) < 250),
        "thick stroke": scratch((1200, 1600), [(100, 100), (1500, 300), (300, 1100)], 80),
        "fence": (columns % 40 < 20) & (rows >= 0),
        "of the training scale": (abs(rows - 600) < 64) & (abs(columns - 800) < 64),
    }
    for name, mask in masks.items():
        windows = find_windows(mask, strategy, 128)
        assert len(windows) == 1, name
        (window,) = windows
        top, left, bottom, right = window.hole
        assert mask[window.hole_slices].sum() == mask.sum(), name
        context = max(128, max(bottom - top, right - left) // 2)
        size = min(1200, bottom - top + 2 * context), min(1600, right - left + 2 * context)
        assert window.view_size == size, name
        # Between the bars of the fence half would be lost, so its limit is doubled.
        assert window.work_size == size if strategy == "crop" else max(window.work_size) <= 2 * 384, name


def test_a_blot_is_not_cut_and_keeps_the_scratch_beside_it_at_full_size():
    mask = scratch((3000, 4000), [(0, 0), (3999, 2999)], 6)
    mask[2000:2500, 1000:1500] = True
    windows = find_windows(mask, "auto", 128)
    (blot,) = (window for window in windows if window.is_reduced)
    assert blot.hole == (2000, 1000, 2500, 1500)
    assert len(windows) > 10


def test_a_cut_crosses_a_bar_and_does_not_split_it():
    hole = np.zeros((600, 20), bool)
    hole[:, 8:12] = True
    hole[295:305] = True  # a bar across, in the middle, where the cut would be
    parts = divide(hole, (0, 0, 600, 20), 400, 32)
    assert parts == [((0, 8, 294, 12), True), ((294, 0, 600, 20), True)] or parts == [
        ((0, 0, 305, 20), True),
        ((305, 8, 600, 12), True),
    ]


def test_a_thick_part_is_not_cut():
    hole = np.zeros((1000, 100), bool)
    hole[:, 50] = True
    hole[350:650] = True
    assert divide(hole, (0, 0, 1000, 100), 400, 32) == [((0, 0, 1000, 100), False)]
    assert len(divide(hole, (0, 0, 1000, 100), 400, 110)) > 1
    hole[370:] = True  # cuts are looked for in rows 375 to 625: nothing is shaved off its rim
    assert divide(hole, (0, 0, 1000, 100), 400, 32) == [((0, 0, 1000, 100), False)]


def test_a_scratch_is_repaired_alike_by_the_pipeline_and_a_session_and_nothing_else_changes(tiny_pipeline):
    photo = np.random.default_rng(0).integers(0, 256, (500, 620, 3), dtype=np.uint8)
    mask = scratch((500, 620), [(0, 20), (300, 260), (619, 480)], 3)
    edit = tiny_pipeline.open(photo, mask)
    ((*windows,),) = edit.windows
    assert len(windows) > 3
    whole = tiny_pipeline(photo, mask)
    repaired = np.asarray(whole.images[0])
    assert np.array_equal(repaired[~mask], photo[~mask])
    assert np.array_equal(np.asarray(edit.complete()[0]), repaired)
    lines = np.array(whole.edges[0])
    lines[windows[0].hole_slices] = 255
    again = np.asarray(edit.complete(lines)[0])
    assert np.array_equal(again, np.asarray(tiny_pipeline.complete(photo, mask, lines)[0]))
    assert np.array_equal(again[~mask], photo[~mask])


def test_what_other_tiles_repaint_is_unknown_to_a_tile(tiny_pipeline):
    """Whatever the photo holds in the scratch, the result is the same."""
    photo = np.random.default_rng(0).integers(0, 256, (500, 620, 3), dtype=np.uint8)
    mask = scratch((500, 620), [(0, 20), (619, 480)], 3)
    expected = np.asarray(tiny_pipeline(photo, mask).images[0])
    photo[mask] = 255 - photo[mask]
    assert np.array_equal(np.asarray(tiny_pipeline(photo, mask).images[0]), expected)

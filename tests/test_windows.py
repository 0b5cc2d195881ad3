from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_checks import assert_each_hole_pixel_has_one_window

from edgeconnect_hf import windows as windows_module
from edgeconnect_hf.windows import STRATEGIES, Window, find_windows, region


@st.composite
def masks(draw):
    """Pictures from 1x1 up with up to twenty rectangles of holes."""
    height, width = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(1, 20))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, 300)), left : left + draw(st.integers(1, 300))] = True
    return mask


def keeps_what_is_known(window, mask):
    """Whether at least half of the share of known pixels in the view is known at the work size."""
    hole = mask[window.view_slices]
    return (~window.reduce_mask(hole)).mean() >= (~hole).mean() / 2


@settings(deadline=None, max_examples=60)
@given(mask=masks(), strategy=st.sampled_from(STRATEGIES), sample_size=st.sampled_from([32, 128, 256]))
def test_every_hole_lies_in_exactly_one_window(mask, strategy, sample_size):
    windows = find_windows(mask, strategy, sample_size)
    assert_each_hole_pixel_has_one_window(mask, windows)
    for window in windows:
        assert np.array_equal(mask[window.view_slices][window.hole_in_view], mask[window.hole_slices])
        limit = {"resize": sample_size, "auto": max(2 * sample_size, sample_size + 256)}.get(strategy)
        assert keeps_what_is_known(window, mask)
        if limit is None:
            assert not window.is_reduced
        elif max(window.work_size) > max(limit, 16):
            at_limit = replace(window, work_size=windows_module._work_size(window.view, limit))
            assert not keeps_what_is_known(at_limit, mask)


def test_a_small_hole_in_a_large_picture_gets_a_small_window():
    mask = np.zeros((3000, 4000), bool)
    mask[1000:1200, 2000:2300] = True
    (window,) = find_windows(mask, "crop", 256)
    assert window.hole == (1000, 2000, 1200, 2300)
    assert window.view == (850, 1850, 1350, 2450)
    (window,) = find_windows(mask, "auto", 256)
    assert window.work_size == (427, 512)


@pytest.mark.parametrize("sample_size", [32, 128, 256, 512])
def test_auto_reduces_holes_larger_than_the_training_scale_only(sample_size):
    for side, is_reduced in ((sample_size, False), (sample_size + 2, True)):
        mask = np.zeros((1600, 1600), bool)
        mask[500 : 500 + side, 500 : 500 + side] = True
        (window,) = find_windows(mask, "auto", sample_size)
        assert window.is_reduced == is_reduced


@pytest.mark.parametrize(
    ("period", "auto", "resize"), [(2, 1200, 1200), (8, 1024, 1024), (16, 512, 512), (32, 512, 256)]
)
def test_between_the_bars_of_a_fence_something_known_is_left(period, auto, resize):
    mask = np.zeros((1200, 1200), bool)
    mask[:, np.arange(1200) % period < period // 2] = True
    for strategy, side in (("auto", auto), ("resize", resize)):
        (window,) = find_windows(mask, strategy, 256)
        assert window.work_size == (side, side)
        assert not window.reduce_mask(mask).all()


def test_a_fence_across_a_huge_picture_does_not_take_all_memory():
    mask = np.zeros((2100, 4200), bool)
    mask[:, ::2] = True
    for strategy in ("auto", "resize"):
        for sample_size in (256, 192):
            (window,) = find_windows(mask, strategy, sample_size)
            assert window.work_size == (1024, 2048)


def test_holes_with_wide_surroundings_are_reduced_to_the_limit():
    rows, columns = np.mgrid[-450:450, -600:600]
    disc = np.hypot(rows, columns) <= 300
    most = (abs(rows) < 400) & (abs(columns) < 500)
    for mask in (disc, most):
        for strategy, size in (("auto", (384, 512)), ("resize", (192, 256))):
            (window,) = find_windows(mask, strategy, 256)
            assert window.work_size == size


def test_at_the_frame_the_context_moves_into_the_picture():
    mask = np.zeros((600, 600), bool)
    mask[:10, 590:] = True
    (window,) = find_windows(mask, "crop", 256)
    assert window.view == (0, 334, 266, 600)


def test_near_holes_share_a_window_and_far_ones_do_not():
    mask = np.zeros((2000, 2000), bool)
    mask[100:120, 100:120] = mask[100:120, 180:200] = mask[1500:1520, 1500:1520] = True
    windows = find_windows(mask, "auto", 256)
    assert [window.hole for window in windows] == [(100, 100, 120, 200), (1500, 1500, 1520, 1520)]


def test_specks_all_over_a_photo_become_few_windows():
    """A dusty 12-megapixel scan: windows of about 512 pixels a side that cover it, not one for each of 2,940 specks."""
    mask = np.zeros((3000, 4000), bool)
    mask[5::61, 7::67] = True
    windows = find_windows(mask, "auto", 256)
    assert 12_000_000 / 512**2 <= len(windows) < 200
    assert not any(window.is_reduced for window in windows)


def test_no_hole_no_window():
    assert find_windows(np.zeros((10, 10), bool), "auto", 256) == []


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.05, 1), st.integers(0, 2**32 - 1))
def test_lines_survive_being_enlarged_and_reduced(height, width, scale, seed):
    work_size = max(1, int(height * scale)), max(1, int(width * scale))
    window = Window((0, 0, height, width), (0, 0, height, width), work_size)
    lines = np.random.default_rng(seed).random(work_size, dtype=np.float32)
    enlarged = window.enlarge_lines(lines)
    assert enlarged.shape == (height, width)
    assert np.array_equal(window.reduce_lines(enlarged), lines)


def test_a_line_of_one_pixel_survives_being_reduced():
    window = Window((0, 0, 300, 300), (0, 0, 300, 300), (71, 71))
    lines = np.zeros((300, 300), np.float32)
    lines[:, 150] = 1
    assert (window.reduce_lines(lines).sum(axis=1) == 1).all()


def test_nothing_of_the_hole_is_averaged_into_known_pixels():
    window = Window((0, 0, 100, 100), (0, 0, 100, 100), (37, 41))
    mask = np.zeros((100, 100), bool)
    mask[33:61, 20:55] = True
    image = np.where(mask, np.float32(1), np.float32(0))[..., None]
    reduced = window.reduce_image(image)[..., 0]
    assert (reduced[~window.reduce_mask(mask)] == 0).all()
    assert reduced.max() == pytest.approx(1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(200, 900),
    st.integers(200, 900),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 60)), min_size=1, max_size=3),
    st.sampled_from(STRATEGIES),
    st.booleans(),
)
def test_a_photo_cut_to_its_region_has_the_same_windows(height, width, holes, strategy, cut_wider):
    mask = np.zeros((height, width), bool)
    for down, across, side in holes:
        top, left = int(down * (height - 1)), int(across * (width - 1))
        mask[top : top + side, left : left + side] = True
    top, left, bottom, right = region(mask, strategy, 64)
    if cut_wider:  # the other network's region may be larger
        top, left, bottom, right = max(0, top - 5), max(0, left - 9), min(height, bottom + 3), min(width, right + 40)
    assert not np.delete(mask, slice(top, bottom), axis=0).any()
    expected, cut = (find_windows(each, strategy, 64) for each in (mask, mask[top:bottom, left:right]))

    def moved(box):
        return box[0] + top, box[1] + left, box[2] + top, box[3] + left

    if strategy == "original":  # whatever the photo is
        assert [window.view_size for window in cut] == [(bottom - top, right - left)]
        return
    assert [replace(window, view=moved(window.view), hole=moved(window.hole)) for window in cut] == expected


def test_the_region_holds_what_two_holes_would_see_together():
    """Together they would see rows 0 to 532, more than apart, so each has its window. Cut to what these two see, rows 0
    to 402, they would share one."""
    mask = np.zeros((716, 6), bool)
    mask[8:120] = mask[227:275] = True
    mask[:, 0] = False
    windows = find_windows(mask, "auto", 256)
    assert [window.view for window in windows] == [(0, 0, 368, 6), (99, 0, 403, 6)]
    assert region(mask, "auto", 256) == (0, 0, 533, 6)
    assert find_windows(mask[:533], "auto", 256) == windows
    assert len(find_windows(mask[:403], "auto", 256)) == 1


def test_thin_things_on_transparent_ground_are_not_reduced_away():
    mask = np.zeros((1200, 1200), bool)
    mask[400:800, 400:800] = True
    unknown = mask | (np.arange(1200) % 8 < 5)
    (window,) = find_windows(mask, "resize", 256)
    assert window.reduce_mask(unknown).all()
    (window,) = find_windows(mask, "resize", 256, unknown)
    assert keeps_what_is_known(window, unknown)

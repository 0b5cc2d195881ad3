"""Colours carried from the known pixels into the hole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edgeconnect_hf.colours import match_colours, spread


def scene(height=64, width=80):
    """A smooth picture and a hole in it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    picture = np.stack([0.3 + 0.004 * x, 0.5 + 0.003 * y, 0.4 + 0.1 * np.sin(x / 9)], axis=-1).astype(np.float32)
    hole = np.zeros((height, width), bool)
    hole[20:44, 30:60] = True
    return picture, hole


def test_a_tint_over_the_whole_picture_is_taken_off():
    picture, hole = scene()
    tinted = picture + np.float32([0.1, -0.2, 0.05])
    # The same difference everywhere: what is left is rounding, a few steps of float32 at each of six levels.
    assert_allclose(match_colours(tinted, picture, hole), picture, rtol=0, atol=1e-5)


def test_a_tint_that_grows_across_the_picture_is_carried_across_the_hole():
    picture, hole = scene()
    growing = np.linspace(-0.15, 0.15, picture.shape[1], dtype=np.float32)[None, :, None]
    error = np.abs(match_colours(picture + growing, picture, hole) - picture)[hole]
    # Within the hole the tint runs from -0.036 to 0.076; a pyramid follows a slope in steps, not exactly.
    assert error.max() < 0.02
    assert error.mean() < 0.006


def test_what_the_network_painted_into_the_hole_stays():
    picture, hole = scene()
    painted = picture.copy()
    painted[30:34, 40:44] += 0.2  # a thing in the hole, which the surroundings know nothing of
    assert_allclose(match_colours(painted, picture, hole), painted, rtol=0, atol=1e-6)


def test_known_pixels_are_the_pictures_own():
    picture, hole = scene()
    matched = match_colours(np.random.default_rng(0).random(picture.shape, np.float32), picture, hole)
    assert_array_equal(matched[~hole], picture[~hole])
    assert matched.min() >= 0
    assert matched.max() <= 1


def test_nothing_known_changes_nothing():
    values = np.ones((9, 7, 3), np.float32)
    assert not spread(values, np.zeros((9, 7), np.float32)).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(0, 100))
def test_every_size_and_hole_fills_between_the_known_values(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((height, width, channels), np.float32)
    known = (rng.random((height, width)) < 0.3).astype(np.float32)
    known[rng.integers(height), rng.integers(width)] = 1
    filled = spread(values, known)
    assert filled.shape == values.shape
    assert_array_equal(filled[known == 1], values[known == 1])
    low, high = (bound(values[known == 1], axis=0) for bound in (np.min, np.max))
    assert (filled >= low - 1e-5).all()
    assert (filled <= high + 1e-5).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (3, 3)])
def test_slivers(shape):
    values = np.full((*shape, 3), 0.25, np.float32)
    known = np.zeros(shape, np.float32)
    known[0, 0] = 1
    assert_allclose(spread(values, known), values, rtol=0, atol=1e-6)

"""Colours carried from the known pixels into the hole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from edgeconnect_hf.colours import RELAXATIONS, TRUST, match_colours, spread


def scene(height=64, width=80):
    """A smooth picture and a hole in it."""
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    picture = torch.stack([0.3 + 0.004 * x, 0.5 + 0.003 * y, 0.4 + 0.1 * torch.sin(x / 9)])[None]
    mask = torch.zeros(1, 1, height, width)
    mask[..., 20:44, 30:60] = 1
    return picture, mask


def test_a_tint_over_the_whole_picture_is_taken_off():
    picture, mask = scene()
    tinted = picture + torch.tensor([0.1, -0.2, 0.05]).view(1, 3, 1, 1)
    # The same difference everywhere: what is left is rounding, a few steps of float32 at each of six levels.
    assert_close(match_colours(tinted, picture, mask), picture, rtol=0, atol=1e-5)


def test_a_tint_that_grows_across_the_picture_is_carried_across_the_hole():
    picture, mask = scene()
    growing = torch.linspace(-0.15, 0.15, picture.shape[-1])
    error = (match_colours(picture + growing, picture, mask) - picture).abs()[mask.expand_as(picture) == 1]
    # Within the hole the tint runs from -0.036 to 0.076; the steps of Jacobi's method end short of the slope.
    assert error.max() < 0.008
    assert error.mean() < 0.003


def test_what_the_network_painted_into_the_hole_stays():
    picture, mask = scene()
    painted = picture.clone()
    painted[..., 30:34, 40:44] += 0.2  # a thing in the hole, which the surroundings know nothing of
    assert_close(match_colours(painted, picture, mask), painted, rtol=0, atol=1e-6)


def test_known_pixels_are_the_pictures_own():
    picture, mask = scene()
    matched = match_colours(torch.rand(picture.shape), picture, mask)
    assert torch.equal(matched * (1 - mask), picture * (1 - mask))
    assert matched.min() >= 0
    assert matched.max() <= 1


def test_half_precision_gives_float32():
    picture, mask = scene()
    matched = match_colours((picture + 0.1).half(), picture.half(), mask.half())
    # Half precision holds colours in steps of 1/2048 below 1, float16's rounding error being half of that, twice.
    assert_close(matched, picture, rtol=0, atol=1e-3)


def test_the_shift_has_no_gradient():
    painted = torch.rand(1, 2, 7, 6, requires_grad=True)
    picture, mask = torch.rand(1, 2, 7, 6), (torch.rand(1, 1, 7, 6) < 0.5).float()
    assert not spread(painted, mask).requires_grad
    match_colours(painted, picture, mask).sum().backward()
    assert set(painted.grad.unique().tolist()) <= {0.0, 1.0}  # 0 where it is known, and where it was clamped


def plain_spread(values, weights):
    """`spread` as it reads in its docstring: the pyramid by convolutions, the steps over the whole image."""
    weighted, size = values * weights, weights.shape[2:]
    if min(size) <= 2:
        mean = weighted.sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True).clamp(min=1e-7)
        return weighted + mean * (1 - weights)
    binomial = torch.tensor([1.0, 4, 6, 4, 1]) / 16

    def blur(planes, stride):
        kernel = torch.outer(binomial, binomial).expand(planes.shape[1], 1, 5, 5)
        padded = F.pad(planes, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, kernel, stride=stride, groups=planes.shape[1])

    small_weights = blur(weights, 2)
    small = plain_spread(blur(weighted, 2) / small_weights.clamp(min=1e-7), (TRUST * small_weights).clamp(max=1))
    spaced = torch.zeros_like(values)
    spaced[..., ::2, ::2] = small
    filled = weighted + 4 * blur(spaced, 1) * (1 - weights)
    for _ in range(RELAXATIONS):
        framed = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        neighbours = framed[..., :-2, 1:-1] + framed[..., 2:, 1:-1] + framed[..., 1:-1, :-2] + framed[..., 1:-1, 2:]
        filled = weighted + (1 - weights) * neighbours / 4
    return filled


@pytest.mark.parametrize("size", [(64, 80), (37, 50), (5, 3), (96, 33)])
def test_it_is_the_plain_pyramid(size):
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 3, *size, generator=generator)
    known = torch.ones(2, 1, *size)
    known[0, :, size[0] // 4 : size[0] // 2, 1:] = 0  # to the frame
    known[1, :, -2:, -2:] = 0
    partly = known * (0.5 + 0.5 * (torch.rand(known.shape, generator=generator) < 0.5))
    for weights in (known, partly):
        # The same sums in another order: rounding, far below the 0.002 of half a level.
        assert_close(spread(values, weights), plain_spread(values, weights), rtol=0, atol=1e-5)


def test_a_hole_is_filled_as_by_laplaces_equation():
    picture, mask = scene()
    y, x = (torch.arange(side) - side / 2 for side in picture.shape[2:])
    saddle = (x**2 - y[:, None] ** 2)[None, None]  # each pixel is exactly the mean of its four neighbours
    hole = mask == 1
    error = (spread(saddle, 1 - mask) - saddle)[hole].abs() / (saddle[hole].max() - saddle[hole].min())
    # A few steps of Jacobi's method do not get all the way (0.025 and 0.06); with none of them, a mere pyramid, the
    # mean is 0.065 to 0.077.
    assert error.mean() < 0.03
    assert error.max() < 0.07


def test_nothing_known_changes_nothing():
    assert not spread(torch.ones(1, 3, 9, 7), torch.zeros(1, 1, 9, 7)).any()


def test_pictures_of_a_batch_know_nothing_of_each_other():
    torch.manual_seed(0)
    values, known = torch.rand(3, 3, 33, 18), (torch.rand(3, 1, 33, 18) < 0.2).float()
    alone = [spread(values[[number]], known[[number]]) for number in range(3)]
    assert_close(spread(values, known), torch.cat(alone), rtol=0, atol=1e-6)  # a convolution may sum in another order


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(0, 100))
def test_every_size_and_hole_fills_between_the_known_values(height, width, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(1, channels, height, width, generator=generator)
    known = (torch.rand(1, 1, height, width, generator=generator) < 0.3).float()
    known[..., seed % height, seed % width] = 1
    filled = spread(values, known)
    assert filled.shape == values.shape
    assert torch.equal(filled * known, values * known)
    for plane, filled_plane in zip(values[0], filled[0], strict=True):
        known_values = plane[known[0, 0] == 1]
        assert filled_plane.min() >= known_values.min() - 1e-5
        assert filled_plane.max() <= known_values.max() + 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (3, 3)])
def test_slivers(shape):
    values = torch.full((1, 3, *shape), 0.25)
    known = torch.zeros(1, 1, *shape)
    known[..., 0, 0] = 1
    assert_close(spread(values, known), values, rtol=0, atol=1e-6)

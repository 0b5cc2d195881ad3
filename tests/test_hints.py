"""Colours laid into the hole."""

import numpy as np
import pytest
import torch
from PIL import Image

from edgeconnect_hf.colours import _mean_around, lay_in

WANTED = (120, 90, 160)


@pytest.fixture
def inside(hole) -> np.ndarray:
    return np.asarray(hole) > 0


def hints_of(hole, alpha: int, colour=WANTED) -> np.ndarray:
    hints = np.zeros((hole.height, hole.width, 4), np.uint8)
    hints[..., :3], hints[..., 3] = colour, alpha
    return hints


def test_no_strength_is_no_hint_bit_for_bit(tiny_pipeline, photo, hole):
    plain = tiny_pipeline(photo, hole, output_type="np").images
    hinted = tiny_pipeline(photo, hole, output_type="np", colour_hints=hints_of(hole, 0)).images
    assert np.array_equal(plain, hinted)


def test_strength_outside_the_hole_is_ignored(tiny_pipeline, photo, hole, inside):
    hints = hints_of(hole, 255)
    hints[inside] = 0
    assert tiny_pipeline(photo, hole, colour_hints=hints).images[0] == tiny_pipeline(photo, hole).images[0]


def test_a_full_hint_gives_the_hole_its_colour_and_nothing_else(tiny_pipeline, photo, hole, inside):
    result = np.asarray(tiny_pipeline(photo, hole, colour_hints=hints_of(hole, 255)).images[0]).astype(float)
    plain = np.asarray(tiny_pipeline(photo, hole).images[0]).astype(float)
    assert np.array_equal(result[~inside], np.asarray(photo)[~inside])
    # What is left is the mean of what was painted less its local mean: at most, for values within 1/2 of a gray, half
    # of how unevenly the local means count the pixels; and rounding.
    strength = torch.from_numpy(inside).float()[None, None]
    planes = torch.zeros(1, 1, *inside.shape, requires_grad=True)
    _mean_around(planes, strength)[0, 0][torch.from_numpy(inside)].sum().backward()
    uneven = np.abs(1 - planes.grad[0, 0].numpy()[inside]).mean()
    tolerance = 255 * uneven / 2 + 0.5
    assert tolerance < 30
    assert np.abs(result[inside].mean(axis=0) - WANTED).max() < tolerance
    assert np.abs(plain[inside].mean(axis=0) - WANTED).max() > 40  # by itself it is of another colour


def test_texture_stays_and_half_a_strength_goes_half_the_way():
    stripes = 0.5 + 0.1 * torch.cos(torch.arange(100) * torch.pi)[None, None, None].expand(1, 3, 100, 100)
    mask = torch.zeros(1, 1, 100, 100)
    mask[..., 5:95, 5:95] = 1
    hints = torch.tensor([0.7, 0.4, 0.5]).view(1, 3, 1, 1).expand(1, 3, 100, 100)
    full, half = (lay_in(stripes, hints, share * torch.ones_like(mask), mask) for share in (1, 0.5))
    inner = (..., slice(40, 60), slice(40, 60))
    # A mean over 17 pixels of stripes one pixel wide keeps at most a 17th of their 0.1, twice over a 289th.
    assert torch.allclose(full[inner] - stripes[inner], (hints - 0.5)[inner], rtol=0, atol=0.1 / 289 + 1e-5)
    assert torch.allclose(half[inner] - stripes[inner], (hints - 0.5)[inner] / 2, rtol=0, atol=0.1 / 289 + 1e-5)
    assert torch.equal(full * (1 - mask), stripes * (1 - mask))


def test_a_session_takes_other_hints_without_painting_again(tiny_pipeline, photo, hole):
    painted = []
    hook = tiny_pipeline.completion_generator.register_forward_pre_hook(lambda *_: painted.append(1))
    session = tiny_pipeline.open(photo, hole)
    plain = session.complete()[0]
    red, green = (hints_of(hole, 200, colour) for colour in ((200, 40, 40), (40, 200, 40)))
    results = [session.complete(colour_hints=hints)[0] for hints in (red, green, red)]
    assert session.complete()[0] == plain
    hook.remove()
    assert painted == [1]
    assert results[0] == results[2] != results[1] != plain
    edges = tiny_pipeline.generate_edges(photo, hole)
    assert tiny_pipeline.complete(photo, hole, edges, colour_hints=Image.fromarray(green))[0] == results[1]
    assert tiny_pipeline(photo, hole, colour_hints=Image.fromarray(red)).images[0] == results[0]


def test_plain_ground_and_reduced_windows_take_hints(tiny_pipeline):
    paper, mask = np.full((300, 300, 3), (250, 252, 255), np.uint8), np.zeros((300, 300), bool)
    mask[60:240, 60:240] = True
    hints = np.zeros((300, 300, 4), np.float32)
    hints[100:200, 100:200] = (0.2, 0.4, 0.6, 1)
    plain = np.asarray(tiny_pipeline(paper, mask).images[0])
    result = np.asarray(tiny_pipeline(paper, mask, colour_hints=hints).images[0])
    assert np.array_equal(plain, paper)
    assert np.abs(result[120:180, 120:180] - np.array([51, 102, 153.0])).max() <= 2  # flat; rounding, and a resize
    assert np.array_equal(result[~mask], paper[~mask])


@pytest.mark.parametrize(
    ("hints", "error", "says"),
    [
        (
            np.zeros((72, 96, 3), np.uint8),
            ValueError,
            r"`colour_hints` must be \[H,W,4\].*: got the shape \[72, 96, 3\]",
        ),
        (
            Image.new("RGB", (96, 72)),
            ValueError,
            "`colour_hints` must be RGBA, alpha being the strength: got 3 channels",
        ),
        (Image.new("RGBA", (90, 72)), ValueError, "`colour_hints` must have the size of `image`, 96x72: got 90x72"),
        (Image.new("RGBA", (72, 96)), ValueError, "got 72x96, as if `image` were turned by 90 degrees"),
        (np.full((72, 96, 4), 2.0), ValueError, r"`colour_hints` must hold floats in \[0, 1\]: got 2 to 2"),
        (np.zeros((72, 96, 4), np.int64), TypeError, "`colour_hints` must be floats in"),
        (
            [Image.new("RGBA", (96, 72))] * 2,
            ValueError,
            "`colour_hints` must hold one picture, or one for each of the 1",
        ),
        (torch.zeros(3, 72, 96), ValueError, r"`colour_hints` must be \[4,H,W\]"),
        (7, TypeError, "`colour_hints` must be a file"),
    ],
)
def test_hints_that_are_not_as_expected_are_named(tiny_pipeline, photo, hole, hints, error, says):
    with pytest.raises(error, match=says):
        tiny_pipeline(photo, hole, colour_hints=hints)

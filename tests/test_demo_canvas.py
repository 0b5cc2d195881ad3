"""What a person changes on the editors' smaller copies reaches the full size, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from edgeconnect_hf.demo import canvas
from edgeconnect_hf.holes import grow

SIZES = [(512, 910), (72, 96), (3000, 4000), (1025, 700), (1, 5000)]


def random_mask(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < 0.1


def random_lines(size: tuple[int, int]) -> canvas.Lines:
    """Lines of every strength, some drawn by a person."""
    random = np.random.default_rng(1)
    edges = random.integers(0, 256, size, np.uint8) * (random.random(size) < 0.2)
    mask = np.zeros(size, bool)
    mask[size[0] // 3 : size[0] // 2 + 1, size[1] // 3 : size[1] // 2 + 1] = True
    drawn = random_mask(size, 2) & mask
    return canvas.Lines(np.where(drawn, np.uint8(255), edges.astype(np.uint8)), drawn, mask)


@pytest.mark.parametrize("size", SIZES)
def test_what_nobody_touched_stays_exact(size):
    mask, lines = random_mask(size), random_lines(size)
    assert np.array_equal(canvas.read_mask([canvas.mask_layer(mask)], mask), mask)
    returned = canvas.read_lines([canvas.lines_layer(lines)], lines)
    assert np.array_equal(returned.edges, lines.edges)
    assert np.array_equal(returned.drawn, lines.drawn)


def at_full_size(shown: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels of the full size that the shown ones stand for."""
    rows, columns = (
        ((np.arange(full) + 0.5) * small / full).astype(int) for full, small in zip(size, shown.shape, strict=True)
    )
    return shown[np.ix_(rows, columns)]


@pytest.mark.parametrize("size", SIZES[:4])
def test_painting_and_erasing_change_their_pixels_only(size):
    mask = random_mask(size)
    layer = canvas.mask_layer(mask)
    was_shown = np.asarray(layer)[..., 3] > 0
    painted, erased = np.zeros_like(was_shown), np.zeros_like(was_shown)
    painted[10:20, 10:30] = True
    erased[30:40, 40:60] = True
    draw = ImageDraw.Draw(layer)
    draw.rectangle((10, 10, 29, 19), fill=(*canvas.MASK_COLOUR, 153))
    draw.rectangle((40, 30, 59, 39), fill=(0, 0, 0, 0))

    expected = (mask | at_full_size(painted & ~was_shown, size)) & ~at_full_size(erased, size)
    assert np.array_equal(canvas.read_mask([layer], mask), expected)


@pytest.mark.parametrize("size", SIZES[:4])
def test_erased_lines_vanish_and_drawn_ones_are_there(size):
    lines = replace(random_lines(size), drawn=np.zeros(size, bool))
    layer = canvas.lines_layer(lines)
    drawn, erased = np.zeros((2, layer.height, layer.width), bool)
    erased[10:20, 10:30] = True
    drawn[30:34, 40:60] = True
    draw = ImageDraw.Draw(layer)
    draw.rectangle((10, 10, 29, 19), fill=(0, 0, 0, 0))
    draw.rectangle((40, 30, 59, 33), fill=(*canvas.DRAWN_COLOUR, 255))

    read = canvas.read_lines([layer], lines)
    expected = np.where(at_full_size(drawn, size), 255, np.where(at_full_size(erased, size), 0, lines.edges))
    assert np.array_equal(read.edges, expected)
    assert np.array_equal(read.drawn, at_full_size(drawn, size))


def test_a_drawn_line_stays_drawn_and_can_be_erased():
    lines = canvas.Lines(np.zeros((50, 60), np.uint8), np.zeros((50, 60), bool), np.ones((50, 60), bool))
    layer = canvas.lines_layer(lines)
    ImageDraw.Draw(layer).line((5, 5, 40, 30), fill=(*canvas.DRAWN_COLOUR, 255))
    drawn = canvas.read_lines([layer], lines)
    assert drawn.drawn.sum() == (drawn.edges == 255).sum() > 30
    again = canvas.read_lines([canvas.lines_layer(drawn)], drawn)
    assert np.array_equal(again.edges, drawn.edges)
    gone = canvas.read_lines([Image.new("RGBA", (60, 50))], drawn)
    assert not gone.edges.any()
    assert not gone.drawn.any()


def test_lines_show_where_they_come_from():
    lines = canvas.Lines(np.full((4, 4), 200, np.uint8), np.eye(4, dtype=bool), np.tri(4, dtype=bool))
    shown = np.asarray(canvas.lines_layer(lines))
    assert (shown[0, 0, :3] == canvas.DRAWN_COLOUR).all()
    assert (shown[0, 3, :3] == canvas.KNOWN_COLOUR).all()
    assert (shown[3, 0, :3] == canvas.IMAGINED_COLOUR).all()
    assert (shown[..., 3] == 200).all()


@settings(max_examples=25, deadline=None)  # a slow machine is no failure
@given(st.integers(-6, 6), st.integers(0, 1000))
def test_growing_and_shrinking(by, seed):
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = random_mask((20, 20), seed)
    changed = grow(mask, by)
    assert (changed >= mask).all() if by >= 0 else (changed <= mask).all()
    if by > 0:
        assert grow(changed, -by)[mask].all()  # closing keeps what was there


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("L", 100, (100, 100, 100)),
        ("LA", (100, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("I;16", 51400, (200, 200, 200)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_photos_of_any_mode_are_shown(mode, colour, shown):
    photo = canvas.show_photo(Image.new(mode, (2000, 500), colour))
    assert (photo.mode, photo.size) == ("RGB", (1024, 256))
    assert photo.getpixel((7, 7)) == shown


def test_the_hole_is_faded_more():
    mask = np.zeros((10, 10), bool)
    mask[:5] = True
    shown = np.asarray(canvas.lines_background(Image.new("RGB", (10, 10), "black"), mask))
    assert shown[0].min() > shown[9].max() > 100

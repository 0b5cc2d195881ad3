"""Photos extended outward."""

import numpy as np
import pytest
import torch
from PIL import Image

from edgeconnect_hf.extension import find_margins


@pytest.mark.parametrize("output_type", ["pil", "np", "pt"])
def test_an_extension_is_a_hole_at_the_border(tiny_pipeline, photo, output_type):
    result = tiny_pipeline.extend(photo, left=20, top=9, output_type=output_type, sigma=1.5)
    canvas = Image.new("RGB", (photo.width + 20, photo.height + 9), (255, 0, 255))
    canvas.paste(photo, (20, 9))
    mask = Image.new("L", canvas.size, 255)
    mask.paste(0, (20, 9, *canvas.size))
    expected = tiny_pipeline(canvas, mask, output_type=output_type, sigma=1.5)
    assert np.array_equal(np.asarray(result.images[0]), np.asarray(expected.images[0]))
    assert np.array_equal(np.asarray(result.edges[0]), np.asarray(expected.edges[0]))
    if output_type == "pil":
        assert np.array_equal(np.asarray(result.images[0])[9:, 20:], np.asarray(photo))


def test_alpha_grows_opaque_and_gray_stays_gray(tiny_pipeline, photo):
    clear = photo.convert("LA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    images, edges = tiny_pipeline.extend(clear, right=12, return_dict=False)
    assert images[0].mode == "LA"
    assert images[0].size == edges[0].size == (photo.width + 12, photo.height)
    assert images[0].crop((0, 0, *photo.size)) == clear
    assert (np.asarray(images[0])[:, photo.width :, 1] == 255).all()


def test_photos_of_several_sizes_take_one_aspect_ratio(tiny_pipeline, photo):
    upright = photo.crop((0, 0, 40, 72))
    images = tiny_pipeline.extend([photo, upright], aspect_ratio="3:2").images
    assert [image.size for image in images] == [(108, 72), (108, 72)]
    assert images[1].crop((34, 0, 74, 72)) == upright
    batch = torch.rand(2, 3, 40, 40)
    assert tiny_pipeline.extend(batch, aspect_ratio=0.8, output_type="pt").images.shape == (2, 3, 50, 40)


@pytest.mark.parametrize(
    ("size", "ratio", "margins"),
    [
        ((100, 100), 1, (0, 0, 0, 0)),
        ((100, 100), "16:9", (39, 39, 0, 0)),
        ((100, 100), 0.5, (0, 0, 50, 50)),
        ((100, 101), "2:1", (49, 50, 0, 0)),
        ((333, 500), "3:2", (0, 0, 0, 0)),
        ((72, 96), 4 / 5, (0, 0, 24, 24)),
    ],
)
def test_margins_of_an_aspect_ratio(size, ratio, margins):
    assert find_margins(size, {}, ratio) == margins


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "`left`, `right`, `top`, `bottom` or `aspect_ratio` must say how far: got none of them."),
        ({"left": -1}, "`left` must be a whole number of pixels from 0 to 4096: got -1"),
        ({"bottom": 4097}, "`bottom` must be a whole number"),
        ({"top": 1.5}, "`top` must be a whole number"),
        ({"left": 5, "aspect_ratio": 2}, "`aspect_ratio` must come without `left`"),
        ({"aspect_ratio": 0}, "`aspect_ratio` must be width by height, as 1.5 or '3:2', from 0.01 to 100: got 0"),
        ({"aspect_ratio": "wide"}, "`aspect_ratio` must be width by height"),
        ({"aspect_ratio": "3:0"}, "`aspect_ratio` must be width by height"),
        ({"aspect_ratio": float("nan")}, "`aspect_ratio` must be width by height"),
        ({"left": 5, "output_type": "jpg"}, "`output_type` must be one of"),
        ({"left": 5, "strategy": "no"}, "`strategy` must be one of"),
    ],
)
def test_arguments_that_are_not_as_expected_are_named(tiny_pipeline, photo, options, says):
    with pytest.raises(ValueError, match=says):
        tiny_pipeline.extend(photo, **options)

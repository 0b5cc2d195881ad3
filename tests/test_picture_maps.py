"""Masks and line maps however they are handed over, and what is refused or warned about."""

import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from edgeconnect_hf.pictures import DeepImage, read_edges, read_images, read_map, read_masks

HOLE = np.zeros((5, 7), bool)
HOLE[1:3, 2:5] = True
PHOTO = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def pictures(count=1):
    return read_images(np.repeat(PHOTO[None], count, axis=0), "pil")


@pytest.mark.parametrize("high", [1, 255])
@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "float32", "float64"]
)
def test_two_values_of_any_dtype_are_a_mask_and_lines(dtype, high):
    if dtype in ("bool", "int8") and high == 255:
        high = 1  # it has no 255
    values = HOLE.astype(dtype) * np.array(high).astype(dtype)
    for given in (values, values[..., None], values[None], torch.from_numpy(values), torch.from_numpy(values)[None]):
        assert np.array_equal(read_masks(given, pictures())[0], HOLE)
        assert np.array_equal(read_edges(given, "edges", pictures())[0], HOLE * np.uint8(255))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "I", "F"])
@pytest.mark.parametrize("high", [1, 255])
def test_two_values_of_any_picture_are_a_mask(mode, high):
    values = HOLE * np.uint8(255 if mode == "1" else high)
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    else:
        image = Image.fromarray(values).convert(mode)
    assert np.array_equal(read_masks(image, pictures())[0], HOLE)
    if mode != "F":
        file = BytesIO()
        image.save(file, "TIFF" if mode == "I" else "PNG")
        assert np.array_equal(read_masks(file.getvalue(), pictures())[0], HOLE)


@pytest.mark.parametrize("count", [1, 3, 5, 7])  # 5 and 7 are height and width, too
def test_one_map_for_each_photo(count):
    masks = np.stack([np.roll(HOLE, step, axis=1) for step in range(count)])
    for given in (masks, masks[..., None], torch.from_numpy(masks), torch.from_numpy(masks[:, None]), list(masks)):
        assert np.array_equal(read_masks(given, pictures(count)), masks)
    assert np.array_equal(read_masks(masks[:1], pictures(count)), np.repeat(masks[:1], count, axis=0))


def test_a_narrow_mask_is_not_taken_for_many():
    narrow = read_images(np.zeros((5, 1, 3), np.uint8), "pil")
    assert np.array_equal(read_masks(HOLE[:, 2:3, None], narrow)[0], HOLE[:, 2:3])


@pytest.mark.parametrize(
    ("mask", "error", "says"),
    [
        (None, TypeError, "`mask_image` must be a file, a PIL picture, a NumPy array, .*: got None."),
        (HOLE * 7, TypeError, r"`mask_image` is of dtype int64 with values from 0 to 7; expected floats in \[0, 1\]"),
        (HOLE * -1, TypeError, "is of dtype int64 with values from -1 to 0"),
        (HOLE * 2.0, ValueError, "is of dtype float64 with values from 0 to 2; expected floats"),
        (HOLE * np.nan, ValueError, "`mask_image` holds NaN"),
        (HOLE * 1j, TypeError, "is of dtype complex128; expected"),
        (np.full((5, 7), "white"), TypeError, "is of dtype <U5; expected"),
        (np.zeros((2, 5, 7), bool), ValueError, "must hold one picture, or one for each of the 3 of `image`: got 2"),
        (
            np.zeros((3, 4, 7), bool),
            ValueError,
            r"must be \[H,W\], \[H,W,1\], \[N,H,W\] or .*: got the shape \[3, 4, 7\]",
        ),
        (torch.zeros(4, 5, 7), ValueError, "`mask_image` must have one channel: got 4"),
        (torch.zeros(9, 5, 7), ValueError, r"must be \[H,W\], \[1,H,W\], \[N,H,W\] or .*: got the shape \[9, 5, 7\]"),
        (np.zeros(5), ValueError, r"got the shape \[5\]"),
    ],
)
def test_what_is_no_mask_is_named(mask, error, says):
    with pytest.raises(error, match=says):
        read_masks(mask, pictures(3))


def test_a_turned_mask_is_told_about_exif():
    with pytest.raises(
        ValueError, match=r"must have the size of `image`, 7x5: got 5x7, .* as its EXIF says: turn this one"
    ):
        read_masks(HOLE.T, pictures())
    with pytest.raises(ValueError, match=r"`edges` must have the size of `image`, 7x5: got 6x5\.$"):
        read_edges(np.zeros((5, 6)), "edges", pictures())


def test_a_photo_as_its_own_mask_is_refused(tiny_pipeline, tmp_path):
    image = Image.fromarray(PHOTO)
    path = tmp_path / "photo.png"
    image.save(path)
    (tmp_path / "link.png").symlink_to(path)
    for one, other in (
        (image, image),
        (path, str(path)),
        (path, tmp_path / "link.png"),
        ([image, path], [Image.fromarray(HOLE), path]),
    ):
        with pytest.raises(ValueError, match="`image` and `mask_image` must be different pictures"):
            tiny_pipeline.open(one, other)


def test_a_photo_given_as_a_mask_or_as_lines_is_warned_about():
    photo = PHOTO[..., 0]
    with pytest.warns(UserWarning, match=r"`mask_image` looks like a photo: \d\d% of its pixels are mid grays"):
        read_masks(photo, pictures())
    for name in ("edges", "known_edges", "edge_hints"):
        with pytest.warns(UserWarning, match=f"`{name}` looks like a photo"):
            read_edges(Image.fromarray(photo), name, pictures(), [HOLE])
    large = read_images(np.zeros((100, 100), np.uint8), "pil")
    soft = np.zeros((100, 100), np.uint8)
    soft[:50] = 255
    soft.ravel()[:200] = 100  # 2 %
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_masks(soft, large)
        read_edges(photo * HOLE, "edges", pictures(), [HOLE])  # gray in the hole only
    soft.ravel()[:201] = 100
    with pytest.warns(UserWarning, match="looks like a photo: 2% of"):
        read_masks(soft / 255, large)


@pytest.mark.parametrize("strategy", ["auto", "resize", "original"])
def test_generated_lines_are_not_taken_for_a_photo(tiny_pipeline, photo, strategy):
    mask = np.zeros((photo.height, photo.width), bool)
    mask[::6, 10:80] = mask[:, 40:60] = True  # bars: most of what is known lies at the hole
    lines = tiny_pipeline.generate_edges(photo, mask, strategy=strategy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny_pipeline.complete(photo, mask, lines, strategy=strategy)


def test_deep_masks_are_read():
    deep = DeepImage(np.repeat(HOLE[..., None], 3, axis=2) * np.uint16(65535))
    assert np.array_equal(read_masks(deep, pictures())[0], HOLE)
    transparent = DeepImage(np.dstack([np.full((5, 7), 65535), HOLE * 65535]).astype(np.uint16))
    assert np.array_equal(np.asarray(read_map(transparent, "mask_image")), HOLE * 255)


def test_sixteen_bit_photos_keep_their_known_pixels(tiny_pipeline, photo, hole):
    deep = np.asarray(photo).astype(np.uint16) * 257 + np.arange(96, dtype=np.uint16)[None, :, None]
    inside = np.asarray(hole) > 0
    result = tiny_pipeline(DeepImage(deep), hole, output_type="np")
    assert np.array_equal(np.rint(result.images[0] * 65535)[~inside], deep[~inside])
    gray = Image.fromarray(deep[..., 0])
    (repaired,), (lines,) = tiny_pipeline(gray, hole, return_dict=False)
    assert (repaired.mode, lines.mode) == ("I;16", "L")
    assert np.array_equal(np.asarray(repaired)[~inside], deep[..., 0][~inside])
    (again,) = tiny_pipeline.complete(gray, hole, lines)
    assert np.array_equal(np.asarray(again), np.asarray(repaired))  # its lines lose nothing as PIL pictures

import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from edgeconnect_hf.pictures import (
    flatten,
    from_float,
    read_edges,
    read_file,
    read_images,
    read_masks,
    to_eight_bits,
    write_edges,
    write_file,
    write_images,
)

ORIENTATION = 0x0112


def array(*shape, dtype=np.uint8):
    random = np.random.default_rng(0)
    return random.integers(0, 256, shape, dtype=np.uint8) if dtype == np.uint8 else random.random(shape, dtype=dtype)


def picture(mode, size=(7, 5)):
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}[mode]
    return Image.fromarray(array(size[1], size[0], *channels), mode=None)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_pictures_come_back_in_their_mode_unchanged(mode):
    image = picture(mode)
    (back,) = write_images(read_images(image, "pil"), "pil")
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "YCbCr", "HSV"])
def test_other_modes_come_back_as_pillow_converts_them_to_rgb(mode):
    image = picture("RGB").convert(mode)
    (back,) = write_images(read_images(image, "pil"), "pil")
    assert back.mode == "RGB"
    assert np.array_equal(np.asarray(back), np.asarray(image.convert("RGB")))


def test_sixteen_bits_are_scaled_over_their_full_range():
    samples = np.array([[0, 128, 129, 257, 32768, 65278, 65535]], np.uint16)
    reduced = to_eight_bits(Image.fromarray(samples))
    assert reduced.mode == "L"
    assert np.asarray(reduced)[0].tolist() == [0, 0, 1, 1, 128, 254, 255]
    every = np.arange(65536, dtype=np.uint16)[None]
    assert np.array_equal(np.asarray(to_eight_bits(Image.fromarray(every))), (every * 255.0 / 65535 + 0.5) // 1)


def test_gray_pictures_of_sixteen_bits_stay_so():
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    (back,) = write_images(read_images(Image.fromarray(samples), "pil"), "pil")
    assert back.mode == "I;16"
    assert np.array_equal(np.asarray(back), samples)
    for given in (Image.fromarray(samples), samples, torch.from_numpy(samples)):
        floats = write_images(read_images(given, "np"), "np")
        assert np.array_equal(floats[0, ..., 0], samples / np.float32(65535))
        assert np.array_equal(from_float(floats[0, ..., 0], samples.dtype), samples)  # exact both ways


def test_colours_of_sixteen_bits_lose_eight_in_pil_and_say_so():
    samples = np.arange(5 * 7 * 3, dtype=np.uint16).reshape(5, 7, 3) * 600
    (picture,) = read_images(samples, "pil")
    assert np.array_equal(picture.colour, samples)
    with pytest.warns(UserWarning, match="8 bits a channel. `output_type='np'` keeps 16, and so does the command line"):
        (back,) = write_images([picture], "pil")
    assert np.array_equal(np.asarray(back), (samples * 255.0 / 65535 + 0.5) // 1)
    assert np.array_equal(from_float(write_images(read_images(samples, "np"), "np")[0], samples.dtype), samples)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_of_unknown_range_are_refused(mode):
    with pytest.raises(ValueError, match=f"`image` is a PIL picture of mode {mode}"):
        read_images(Image.new(mode, (4, 4)), "pil")


def test_exif_orientation_turns_picture_and_mask_alike():
    image, mask = picture("RGB", (6, 4)), Image.fromarray(np.eye(4, 6, dtype=np.uint8) * 255)
    for upright in (image, mask):
        upright.getexif()[ORIENTATION] = 6
    pictures = read_images(image, "pil")
    assert pictures[0].size == (6, 4)
    assert np.array_equal(pictures[0].colour, np.rot90(np.asarray(image), -1))
    (hole,) = read_masks(mask, pictures)
    assert np.array_equal(hole, np.rot90(np.asarray(mask), -1) > 0)


def test_icc_profile_is_kept_where_the_colours_are():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode, kept in (("RGB", True), ("P", True), ("CMYK", False)):
        image = picture("RGB").convert(mode)
        image.info["icc_profile"] = profile
        (back,) = write_images(read_images(image, "pil"), "pil")
        assert (back.info.get("icc_profile") == profile) is kept


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_and_tensors_round_trip(channels, dtype):
    """uint8 / 255 in float32 and back is exact for all 256 values."""
    batch = array(2, 5, 7, channels, dtype=dtype)
    as_float = batch if dtype == np.float32 else batch / np.float32(255)
    back = write_images(read_images(batch, "np"), "np")
    assert back.dtype == np.float32
    assert np.array_equal(back, as_float)
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)
    assert torch.equal(write_images(read_images(tensor, "pt"), "pt"), torch.from_numpy(as_float).permute(0, 3, 1, 2))
    if dtype == np.uint8:
        for pil, single in zip(write_images(read_images(batch, "pil"), "pil"), batch, strict=True):
            assert np.array_equal(np.asarray(pil).reshape(single.shape), single)


def test_one_or_many_of_any_kind():
    assert len(read_images(picture("RGB"), "pil")) == 1
    assert len(read_images([picture("RGB"), picture("L")], "pil")) == 2
    assert len(read_images(array(5, 7), "pil")) == 1
    assert len(read_images([array(5, 7, 3), array(5, 7)], "pil")) == 2
    assert len(read_images(torch.rand(3, 5, 7), "pt")) == 1
    assert len(read_images(torch.rand(4, 3, 5, 7), "pt")) == 4


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        (None, TypeError, "`image` must be a file, a PIL picture, .* or a list of them: got None."),
        (7, TypeError, "`image` must be a file, a PIL picture, a NumPy array, a torch tensor or a list.*: got a int"),
        ("photo.jpg", FileNotFoundError, "`image` 'photo.jpg' does not exist."),
        (b"text", ValueError, "`image` is not an image in a known format."),
        ([], ValueError, "`image` must hold at least one picture: got an empty list"),
        ([[picture("L")]], ValueError, "`image` must be a list of single pictures: got a list of lists"),
        (array(2, 2, 2, 2, 3), ValueError, r"`image` must be \[H,W\], \[H,W,C\].*: got the shape \[2, 2, 2, 2, 3\]"),
        (array(3, 5, 7), ValueError, r"got the shape \[3, 5, 7\], which has 7 channels"),
        (torch.rand(5, 7, 9), ValueError, r"`image` must be \[H,W\], \[C,H,W\].*\[5, 7, 9\], which has 5 channels"),
        (array(0, 7, 3), ValueError, r"`image` must be .*: got the shape \[0, 7, 3\]"),
        (array(5, 7, 3).astype(np.int64), TypeError, "`image` is of dtype int64; expected floats"),
        (np.full((5, 7, 3), np.nan), ValueError, "`image` holds NaN"),
        (np.full((5, 7, 3), 255.0), ValueError, r"`image` has values from 255 to 255; expected floats in \[0, 1\]"),
        (np.linspace(-0.1, 1, 35).reshape(5, 7), ValueError, "`image` has values from -0.1 to 1"),
        (np.full((5, 7, 3), np.inf), ValueError, "`image` has values from inf"),
    ],
)
def test_what_is_no_picture_is_named(image, error, says):
    with pytest.raises(error, match=says):
        read_images(image, "pil")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda png: png[:2000], "truncated"),
        (lambda png: b"\0DAT".join(png.rsplit(b"IDAT", 1)), "broken PNG file"),  # the second chunk of samples
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, says):
    path = tmp_path / "broken.png"
    picture("RGB", (200, 200)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with Image.open(path) as image, pytest.raises(ValueError, match=f"`image` cannot be decoded: .*{says}"):
        read_images(image, "pil")


@pytest.mark.filterwarnings("ignore:.*looks like a photo")
def test_mask_threshold_is_one_half():
    pictures = read_images(array(1, 3), "pil")
    for mask in (
        np.array([[127, 128, 255]], np.uint8),
        np.array([[0.499, 0.5, 1.0]]),
        np.array([[False, True, True]]),
        np.array([[32767, 32768, 65535]], np.uint16),
        Image.fromarray(np.array([[127, 128, 255]], np.uint8)).convert("RGB"),
        torch.tensor([[[0.499, 0.5, 1.0]]]),
    ):
        assert read_masks(mask, pictures)[0].tolist() == [[False, True, True]]


def test_one_mask_serves_all_pictures():
    pictures = read_images(array(3, 5, 7, 3), "pil")
    mask = np.eye(5, 7, dtype=bool)
    assert all(np.array_equal(hole, mask) for hole in read_masks(mask, pictures))
    with pytest.raises(
        ValueError, match="`mask_image` must hold one picture, or one for each of the 3 of `image`: got 2"
    ):
        read_masks([mask, mask], pictures)


def test_mask_errors_say_what_is_expected():
    pictures = read_images(array(5, 7, 3), "pil")
    with pytest.raises(ValueError, match="`mask_image` must have the size of `image`, 7x5: got 8x5."):
        read_masks(np.zeros((5, 8)), pictures)
    with pytest.raises(ValueError, match="`mask_image` must have one channel: got 3"):
        read_masks(array(5, 7, 3), pictures)
    with pytest.raises(ValueError, match="`mask_image` is white everywhere"):
        read_masks(np.ones((5, 7)), pictures)


def test_empty_mask_warns():
    pictures = read_images(array(5, 7, 3), "pil")
    with pytest.warns(UserWarning, match="no white pixel: the picture comes back as it was.$"):
        read_masks(np.zeros((5, 7)), pictures)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_masks(np.eye(5, 7, dtype=bool), pictures)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_strokes_on_a_transparent_layer_are_the_hole(mode):
    layer = Image.new(mode, (7, 5), (255, 0) if mode == "LA" else (255, 255, 255, 0))
    layer.paste((255, 255) if mode == "LA" else (255, 255, 255, 255), (2, 1, 5, 3))
    (mask,) = read_masks(layer, read_images(array(5, 7, 3), "pil"))
    expected = np.zeros((5, 7), bool)
    expected[1:3, 2:5] = True
    assert np.array_equal(mask, expected)


@pytest.mark.filterwarnings("ignore:.*looks like a photo")
def test_soft_lines_keep_their_values():
    lines = array(5, 7)
    (as_uint8,) = read_edges(Image.fromarray(lines), "edges", read_images(array(5, 7, 3), "pil"))
    (as_float,) = read_edges(Image.fromarray(lines), "edges", read_images(array(5, 7, 3), "np"))
    assert np.array_equal(as_uint8, lines)
    assert np.array_equal(as_float, lines / np.float32(255))
    (back,) = write_edges([as_uint8], "pil")
    assert back.mode == "L"
    assert write_edges([as_float], "np").shape == (1, 5, 7, 1)
    assert write_edges([as_float], "pt").shape == (1, 1, 5, 7)


def test_lines_of_another_size_are_named_by_their_argument():
    with pytest.raises(ValueError, match=r"`known_edges` must have the size of `image`, 7x5: got 7x4\.$"):
        read_edges(array(4, 7), "known_edges", read_images(array(5, 7, 3), "pil"))


def test_files_are_read_however_they_are_handed_over(tmp_path):
    image = picture("RGB")
    image.save(tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), content, BytesIO(content)):
        for given in (source, [source]):
            (read,) = read_images(given, "pil")
            assert np.array_equal(read.colour, np.asarray(image))
    with (tmp_path / "photo.png").open("rb") as file:
        assert np.array_equal(read_images(file, "pil")[0].colour, np.asarray(image))


def test_limits_of_a_file_are_checked_before_it_is_decoded(tmp_path):
    path = tmp_path / "photo.png"
    picture("RGB", (40, 25)).save(path)
    whole = path.read_bytes()
    for source in (path, whole, BytesIO(whole)):
        assert read_file(source, "The photo", max_pixels=1000, max_bytes=len(whole), formats=("PNG",)).size == (40, 25)
        with pytest.raises(ValueError, match=r"^The photo is 40x25; up to 0.000999 megapixels are accepted\.$"):
            read_file(source, "The photo", max_pixels=999)
        with pytest.raises(ValueError, match="^The photo has 0 MB; up to .* MB are accepted"):
            read_file(source, "The photo", max_bytes=len(whole) - 1)
        with pytest.raises(ValueError, match="^The photo is not an image in a known format"):
            read_file(source, "The photo", formats=("JPEG",))
    header = BytesIO()
    Image.new("1", (20000, 10000)).save(header, "PNG")
    for limit, says in (
        (None, "is far too large: .*200000000 pixels.*bomb"),
        (25e6, "is far too large: up to 25 megapixels are accepted."),
    ):
        with pytest.raises(ValueError, match=f"^The photo {says}"):
            read_file(header.getvalue()[:200], "The photo", max_pixels=limit)  # whose rest is never read
    with pytest.raises(FileNotFoundError, match="^The photo does not exist"):
        read_file(tmp_path / "gone.png", "The photo", max_bytes=7)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "photo.jpg"
    write_file(picture("RGB"), path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="RGBA"):
        write_file(picture("RGBA"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "ground"), [("RGB", 255), ("L", 0)])
def test_what_is_transparent_becomes_the_ground(mode, ground):
    palette = picture("RGB").convert("P")
    palette.info["transparency"] = palette.getpixel((2, 3))
    for image in (Image.new("RGBA", (7, 5), (9, 9, 9, 0)), Image.new("LA", (7, 5), (9, 0)), palette):
        flat = flatten(image, mode)
        assert flat.mode == mode
        assert np.asarray(flat)[3, 2].max() == np.asarray(flat)[3, 2].min() == ground
    assert np.asarray(flatten(Image.fromarray(np.array([[65535, 0]], np.uint16)), mode))[0, 0].max() == 255
    with pytest.raises(ValueError, match="mode F, whose range of values is not known"):
        flatten(Image.new("F", (2, 2)), mode)

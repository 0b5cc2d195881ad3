import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeconnect_hf.edges import canny, to_gray
from training.config import TrainingConfig
from training.data.samples import SampleMaker, UnreadableRowError, draw_hints

CONFIG = TrainingConfig(train_data_dir="unused", max_train_steps=1, resolution=32, crop="none", random_flip=False)


def encode(picture, file_format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def scene(width, height, seed=0):
    """A picture with lines to find: a few filled rectangles on a gray ground."""
    rng = np.random.default_rng(seed)
    array = np.full((height, width, 3), 128, np.uint8)
    for _ in range(8):
        left, top = rng.integers(0, width), rng.integers(0, height)
        array[top : top + height // 3, left : left + width // 3] = rng.integers(0, 256, 3)
    return Image.fromarray(array)


def make(config, seed=0, **row):
    return SampleMaker(config)(row, np.random.default_rng(seed))


def colours(sample):
    """`[S,S,3]` uint8."""
    return sample["image"].numpy().transpose(1, 2, 0)


def test_a_sample_holds_the_picture_its_gray_and_its_lines():
    picture = scene(32, 32)
    sample = make(CONFIG, image=encode(picture))
    assert {name: tuple(tensor.shape) for name, tensor in sample.items()} == {
        "image": (3, 32, 32),
        "gray": (1, 32, 32),
        "edges": (1, 32, 32),
        "known_edges": (1, 32, 32),
        "mask": (1, 32, 32),
        "hints": (1, 32, 32),
        "from_true_edges": (1, 1, 1),
    }
    dtypes = {name: torch.float32 if name == "gray" else torch.uint8 for name in sample}
    assert {name: tensor.dtype for name, tensor in sample.items()} == dtypes
    assert np.array_equal(colours(sample), np.asarray(picture))
    gray = to_gray(np.asarray(picture) / np.float32(255))
    assert np.array_equal(sample["gray"][0].numpy(), gray)
    assert np.array_equal(sample["edges"][0].numpy(), 255 * canny(gray, sigma=2.0))
    assert (sample["edges"] == 255).sum() > 20
    mask = sample["mask"][0].numpy() == 255
    assert np.array_equal(sample["known_edges"][0].numpy(), 255 * canny(gray, mask, sigma=2.0))
    assert set(sample["mask"].unique().tolist()) == {0, 255}
    assert not sample["hints"].any()


def palette_with_transparency():
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.info["transparency"] = 0
    picture.paste(0, (0, 0, 32, 16))
    return picture


@pytest.mark.parametrize(
    ("picture", "file_format", "upper", "lower"),
    [
        (Image.new("L", (32, 32), 77), "PNG", (77, 77, 77), (77, 77, 77)),
        (Image.new("1", (32, 32), 1), "PNG", (255, 255, 255), (255, 255, 255)),
        (Image.new("LA", (32, 32), (77, 255)), "PNG", (77, 77, 77), (77, 77, 77)),
        (Image.new("RGBA", (32, 32), (10, 20, 30, 255)), "PNG", (10, 20, 30), (10, 20, 30)),
        (Image.new("RGBA", (32, 32), (10, 20, 30, 0)), "PNG", (255, 255, 255), (255, 255, 255)),
        (palette_with_transparency(), "PNG", (255, 255, 255), (10, 20, 30)),
        # 16 bits: 0x8000 of 0xFFFF is 127.5 of 255; Pillow's own conversion would give 255.
        (Image.fromarray(np.full((32, 32), 0x8000, np.uint16)), "PNG", (128, 128, 128), (128, 128, 128)),
        (Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "TIFF", (0, 255, 255), (0, 255, 255)),
    ],
    ids=["L", "1", "LA", "RGBA", "RGBA-clear", "P-clear", "I;16", "CMYK"],
)
def test_every_mode_becomes_rgb(picture, file_format, upper, lower):
    array = colours(make(CONFIG, image=encode(picture, file_format)))
    assert tuple(array[0, 0]) == upper
    assert tuple(array[-1, -1]) == lower


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])  # Pillow turns the latter when it decodes it
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation, file_format):
    upright = scene(40, 32)
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turns[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    config = replace(CONFIG, crop="center")
    sample = make(config, image=encode(stored, file_format, exif=exif))
    assert np.array_equal(colours(sample), np.asarray(upright)[:, 4:36])


def test_crop_and_mirroring_are_the_same_for_picture_edges_and_mask():
    noise = np.random.default_rng(0).integers(0, 256, (50, 32), np.uint8)
    picture = Image.fromarray(np.stack([noise, 255 - noise, noise], axis=2))
    config = replace(
        CONFIG, crop="random", min_crop_scale=1.0, random_flip=True, edge_column="lines", mask_column="hole"
    )
    row = {"image": encode(picture), "lines": encode(Image.fromarray(noise)), "hole": encode(Image.fromarray(noise))}
    starts, mirrored = set(), set()
    for seed in range(60):
        sample = make(config, seed, **row)
        red = colours(sample)[..., 0]
        # The square is as wide as the picture, so that nothing is resized and all is exact.
        assert np.array_equal(sample["edges"][0].numpy(), red)
        assert np.array_equal(sample["known_edges"][0].numpy(), red * (red < 128))
        assert np.array_equal(sample["mask"][0].numpy() == 255, red >= 128)
        found = [
            (top, flip)
            for top in range(19)
            for flip in (False, True)
            if np.array_equal(np.fliplr(red) if flip else red, noise[top : top + 32])
        ]
        assert len(found) == 1
        starts.add(found[0][0])
        mirrored.add(found[0][1])
    assert len(starts) > 10
    assert mirrored == {False, True}


def test_a_map_of_another_size_is_cropped_in_the_same_place():
    config = replace(CONFIG, crop="center", mask_column="hole")
    picture, hole = Image.new("RGB", (128, 64)), Image.new("L", (64, 32))
    hole.paste(255, (32, 0, 64, 32))  # the right half
    sample = make(config, image=encode(picture), hole=encode(hole))
    assert torch.equal(sample["mask"][0] == 255, (torch.arange(32) >= 16).expand(32, 32))


def test_random_crops_keep_to_their_range_and_are_not_enlarged():
    ramp = Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (128, 1)))  # a pixel's value is its place
    config = replace(CONFIG, crop="random", min_crop_scale=0.5)
    sides = []
    for seed in range(100):
        gray = colours(make(config, seed, image=encode(ramp)))[0, :, 0].astype(float)
        sides.append((gray[-1] - gray[0]) * 32 / 31)
    assert 62 <= min(sides) < 75  # to within the rounding of the colours
    assert 120 < max(sides) <= 130
    small = replace(config, resolution=120)
    gray = colours(make(small, image=encode(ramp)))[0, :, 0].astype(float)
    assert gray[-1] - gray[0] >= 118  # at least 120 pixels wide, although half of the picture would be 64


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["random", "center", "none"]), st.integers(0, 1000))
def test_pictures_of_any_size_fit(width, height, crop, seed):
    config = replace(CONFIG, crop=crop, random_flip=True)
    sample = make(config, seed, image=encode(Image.new("RGB", (width, height), (10, 20, 30))))
    assert np.array_equal(colours(sample), np.full((32, 32, 3), (10, 20, 30)))


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpegs_are_decoded_small_with_the_same_result(orientation):
    picture = scene(512, 640).resize((512, 640), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    config = replace(CONFIG, resolution=64, crop="center")
    fast = make(config, image=encode(picture, "JPEG", quality=95, exif=exif))
    exact = make(config, image=encode(picture, "PNG", exif=exif))
    # The filters differ (a block's mean against a triangle), so colours do next to edges, and there only.
    difference = (fast["image"] / 255 - exact["image"] / 255).abs()
    assert difference.mean() < 0.01
    assert (difference > 0.1).float().mean() < 0.02


def test_sigma_zero_draws_one_for_each_sample_and_minus_one_draws_nothing():
    row = {"image": encode(scene(32, 32))}
    random = [make(replace(CONFIG, sigma=0), seed, **row)["edges"] for seed in range(10)]
    assert len({edges.numpy().tobytes() for edges in random}) > 3
    found = [255 * canny(to_gray(np.asarray(scene(32, 32)) / np.float32(255)), sigma=sigma) for sigma in (1, 2, 3, 4)]
    assert all(any(np.array_equal(edges[0], lines) for lines in found) for edges in random)
    without = replace(CONFIG, stage="completion", sigma=-1)
    assert not make(without, **row)["edges"].any()
    with pytest.raises(ValueError, match="`edge_column` is 'lines', but `sigma` -1"):
        SampleMaker(replace(without, edge_column="lines"))


def test_half_of_the_samples_are_to_be_painted_from_true_lines():
    row = {"image": encode(scene(32, 32))}
    chosen = [make(CONFIG, seed, **row)["from_true_edges"].item() for seed in range(100)]
    assert set(chosen) == {0, 255}
    assert 30 < chosen.count(255) < 70  # of 100 throws of a coin, otherwise once in ten thousand; here the seeds decide


def test_thinned_lines_are_those_that_canny_has_too():
    picture = scene(32, 32)
    lines = np.zeros((32, 32), np.uint8)
    lines[:, :20] = 200
    row = {"image": encode(picture), "lines": encode(Image.fromarray(lines))}
    config = replace(CONFIG, edge_column="lines")
    assert np.array_equal(make(config, **row)["edges"][0].numpy(), lines)
    sample = make(replace(config, thin_edges=True), **row)
    gray = to_gray(np.asarray(picture) / np.float32(255))
    thinned, known = (sample[name][0].numpy() for name in ("edges", "known_edges"))
    assert np.array_equal(thinned, lines * canny(gray))
    assert np.array_equal(known, lines * canny(gray, sample["mask"][0].numpy() == 255))
    assert thinned.any()


def test_known_lines_do_not_tell_what_is_in_the_hole():
    picture, other = Image.new("RGB", (32, 32), "white"), Image.new("RGB", (32, 32), "white")
    picture.paste("gray", (0, 8, 32, 32))  # known on both sides of the hole
    other.paste("gray", (0, 8, 32, 32))
    other.paste("black", (12, 0, 20, 32))  # the hole, nothing else
    hole = Image.new("L", (32, 32))
    hole.paste(255, (12, 0, 20, 32))
    config = replace(CONFIG, mask_column="hole")
    one, two = (make(config, image=encode(image), hole=encode(hole)) for image in (picture, other))
    assert one["known_edges"].any()
    assert torch.equal(one["known_edges"], two["known_edges"])
    outside = one["mask"] == 0
    assert not torch.equal(one["edges"][outside], two["edges"][outside])  # the hole's border is a line now


def test_lines_of_the_whole_image_are_known_where_that_is_wanted():
    sample = make(replace(CONFIG, edges_of_whole_image=True), image=encode(scene(32, 32)))
    assert torch.equal(sample["known_edges"], sample["edges"] * (sample["mask"] == 0))
    usual = make(CONFIG, image=encode(scene(32, 32)))
    assert not torch.equal(sample["known_edges"], usual["known_edges"])
    assert all(torch.equal(sample[name], usual[name]) for name in ("image", "edges", "mask", "hints"))


def test_the_threshold_of_masks_can_be_changed():
    ramp = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1)))
    row = {"image": encode(scene(32, 32)), "hole": encode(ramp)}
    for threshold, wide in {1: 31, 128: 16, 200: 7}.items():
        sample = make(replace(CONFIG, mask_column="hole", mask_threshold=threshold), **row)
        assert torch.equal(sample["mask"][0] == 255, (torch.arange(32) >= 32 - wide).expand(32, 32))
    with pytest.raises(ValueError, match="`mask_threshold` is 0, expected a number from 1 to 255"):
        replace(CONFIG, mask_threshold=0)


def test_hints_are_whole_lines_within_the_hole():
    edges = np.zeros((20, 20), np.uint8)
    edges[2, 1:19], edges[6, 3:10], edges[10:18, 5], edges[15, 12:16] = 255, 128, 200, 127  # the last is too faint
    mask = np.zeros((20, 20), np.bool_)
    mask[:, 4:] = True
    lines = [np.s_[2, 4:19], np.s_[6, 4:10], np.s_[10:18, 5]]  # the parts in the hole
    seen = set()
    for seed in range(200):
        hints = draw_hints(edges, mask, np.random.default_rng(seed))
        shown = tuple(bool(hints[line].any()) for line in lines)
        expected = np.zeros_like(edges)
        for line in (line for line, is_shown in zip(lines, shown, strict=True) if is_shown):
            expected[line] = edges[line]
        assert np.array_equal(hints, expected)
        seen.add(shown)
    assert len(seen) == 8  # from none of them to all, in every combination


def test_plain_samples_are_smooth_and_have_no_lines():
    config = replace(CONFIG, plain_probability=0.3)
    image = encode(scene(32, 32))
    samples = [make(config, seed, image=image) for seed in range(40)]
    plain = [sample for sample in samples if not sample["edges"].any()]
    assert 5 < len(plain) < 20
    for sample in plain:
        rows = cv2.GaussianBlur(colours(sample).astype(np.float32), (9, 9), 0)
        assert np.abs(np.diff(rows, axis=0)).max() < 12  # of 255: no step anywhere
        assert canny(sample["gray"][0].numpy()).sum() == 0
    assert len({tuple(colours(sample)[0, 0]) for sample in plain}) == len(plain)


def test_hint_probability_decides_how_many_samples_have_hints():
    row = {"image": encode(scene(32, 32))}
    config = replace(CONFIG, hint_probability=0.5)
    samples = [make(config, seed, **row) for seed in range(100)]
    assert not any(sample["hints"][sample["mask"] == 0].any() for sample in samples)
    # Half of them are given a chance, of which some then show no line.
    assert 15 < sum(bool(sample["hints"].any()) for sample in samples) < 60


def test_a_mask_without_a_hole_is_replaced():
    row = {"image": encode(scene(32, 32)), "hole": encode(Image.new("L", (32, 32), 127))}
    share = make(replace(CONFIG, mask_column="hole"), **row)["mask"].float().mean() / 255
    assert 0.1 - 1 / 1024 <= share <= 0.6 + 1 / 1024


def test_what_is_transparent_is_no_hole():
    hole = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    hole.paste((255, 255, 255, 255), (0, 0, 32, 8))
    sample = make(replace(CONFIG, mask_column="hole"), image=encode(scene(32, 32)), hole=encode(hole))
    assert torch.equal(sample["mask"][0] == 255, (torch.arange(32) < 8)[:, None].expand(32, 32))


def test_validation_samples_are_cropped_in_the_middle_without_chance():
    config = replace(CONFIG, crop="random", random_flip=True, sigma=0, hint_probability=1.0, mask_column="hole")
    picture = scene(32, 40)
    row = {"image": encode(picture), "hole": encode(Image.new("L", (32, 40), 255))}
    make_sample = SampleMaker(config, for_validation=True)
    first, second = (make_sample(row, np.random.default_rng(seed)) for seed in (1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert np.array_equal(colours(first), np.asarray(picture)[4:36])
    assert np.array_equal(first["edges"][0].numpy(), 255 * canny(first["gray"][0].numpy(), sigma=2.0))
    assert not first["hints"].any()


def truncated():
    whole = encode(Image.effect_noise((64, 64), 50), "JPEG")["bytes"]
    return {"bytes": whole[: len(whole) // 2], "path": None}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (truncated(), "truncated"),
        ({"bytes": b"no picture", "path": None}, "it is not an image of a known format"),
        ({"bytes": encode(Image.new("L", (8, 8)))["bytes"][:40], "path": None}, "."),
        ({"bytes": None, "path": "gone.png"}, "gone.png: .*No such file"),
        ({"bytes": b"no picture", "path": "text.png"}, "text.png: it is not an image of a known format"),
        ({"bytes": None, "path": None}, "expected an image"),
        (None, "expected an image, got NoneType"),
        (encode(Image.new("F", (8, 8)), "TIFF"), "mode F"),
    ],
    ids=["truncated", "text", "header", "gone", "named", "empty", "none", "float"],
)
def test_what_cannot_be_read_is_told_with_its_column_and_file(value, reason):
    with pytest.raises(UnreadableRowError, match=f"column 'image'[:,] .*{reason}"):
        make(CONFIG, image=value)
    row = {"image": encode(scene(32, 32)), "hole": value}
    with pytest.raises(UnreadableRowError, match="column 'hole'"):
        make(replace(CONFIG, mask_column="hole"), **row)


def test_broken_exif_costs_no_picture(strange_exif):
    image = make(CONFIG, image=encode(scene(32, 32), exif=strange_exif))["image"]
    upright = make(CONFIG, image=encode(scene(32, 32).transpose(Image.Transpose.ROTATE_270)))["image"]
    assert torch.equal(image, upright)  # its orientation could be read
    with pytest.warns(UserWarning, match="A photo has broken EXIF data, which is dropped"):
        make(CONFIG, image=encode(scene(32, 32), exif=b"Exif\0\0no TIFF at all"))


def test_a_picture_may_come_as_bytes_or_from_a_path_or_an_address(tmp_path):
    value = encode(scene(32, 32))
    path = tmp_path / "picture.png"
    path.write_bytes(value["bytes"])
    forms = [value, value["bytes"], {"bytes": None, "path": str(path)}, {"bytes": None, "path": path.as_uri()}]
    images = [make(CONFIG, image=form)["image"] for form in forms]
    assert all(torch.equal(image, images[0]) for image in images)

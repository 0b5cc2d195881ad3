"""`edgeconnect extend`."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import numpy as np
import pytest
from command_line import files, model, names, pixels, run  # noqa: F401
from PIL import Image


@pytest.fixture
def extend(run, model):
    return lambda *arguments: run("extend", *arguments, "--model", model, "--dtype", "fp32")


def test_a_photo_is_extended_as_by_the_pipeline(extend, files, photo, tiny_pipeline):
    code, _, err = extend("photo.png", "--left", "20", "--top", "9", "-o", "out.png", "--save-edges", "lines.png")
    assert (code, err) == (0, "")
    expected = tiny_pipeline.extend(photo, left=20, top=9)
    assert np.array_equal(pixels(files / "out.png"), np.asarray(expected.images[0]))
    assert np.array_equal(pixels(files / "lines.png"), np.asarray(expected.edges[0]))


def test_a_large_photo_gives_what_the_pipeline_gives(extend, files, tiny_pipeline):
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 700, 3), dtype=np.uint8))
    large.save(files / "large.png")
    assert extend("large.png", "--right", "16", "-o", "out.png")[0] == 0  # works on a part of it
    assert np.array_equal(pixels(files / "out.png"), np.asarray(tiny_pipeline.extend(large, right=16).images[0]))


def test_what_goes_with_a_photo_is_kept(extend, files, photo):
    clear = photo.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    exif = Image.Exif()
    exif[271] = "a maker"
    clear.save(files / "clear.png", exif=exif)
    deep = np.random.default_rng(0).integers(0, 2**16, (40, 60), dtype=np.uint16)
    Image.fromarray(deep).save(files / "deep.png")
    assert extend("clear.png", "--aspect-ratio", "2:1", "-o", "wide.png")[0] == 0
    wide = Image.open(files / "wide.png")
    assert (wide.mode, wide.size, wide.getexif()[271]) == ("RGBA", (144, 72), "a maker")
    assert np.array_equal(np.asarray(wide)[:, 24:120], np.asarray(clear))
    assert extend("deep.png", "--bottom", "10", "-o", "deeper.png")[0] == 0
    assert np.array_equal(pixels(files / "deeper.png")[:40], deep)


def test_a_folder_is_extended_and_redone_for_other_sides(extend, files, photo):
    (files / "photos").mkdir()
    photo.crop((0, 0, 40, 40)).save(files / "photos" / "a.png")
    for pixels_more, says in (("8", ""), ("8", ""), ("12", "left 8 -> 12")):
        code, _, err = extend("photos", "--left", pixels_more, "-o", "wider")
        assert code == 0
        assert says in err
        assert Image.open(files / "wider" / "a.png").width == 40 + int(pixels_more)
    assert names(files / "wider") == ["a.png"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "`left`, `right`, `top`, `bottom` or `aspect_ratio` must say how far: got none of them."),
        (("--left", "-3"), "`left` must be a whole number of pixels from 0 to 4096: got -3."),
        (("--aspect-ratio", "wide"), "`aspect_ratio` must be width by height, as 1.5 or '3:2'"),
        (("--aspect-ratio", "2", "--top", "4"), "`aspect_ratio` must come without"),
    ],
)
def test_wrong_sides_are_one_line(extend, options, says):
    code, out, err = extend("photo.png", *options, "-o", "out.png")
    assert (code, out) == (2, "")
    assert err.startswith(f"edgeconnect: error: {says}")
    assert err.count("\n") == 1

"""One photo on the command line: what is worked on is a part, what is written is all of it."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import cv2
import numpy as np
import pytest
from command_line import files, model, pixels, run  # noqa: F401  # fixtures
from PIL import Image, JpegImagePlugin

from edgeconnect_hf.cli.photo import read_photo, repair

SIZE = (560, 500)


@pytest.fixture(scope="module")
def large(photo) -> Image.Image:
    """A photo that is much larger than the part around its holes; noise, so that no two places are alike."""
    noise = np.random.default_rng(0).integers(0, 64, (*SIZE[::-1], 3), dtype=np.uint8)
    return Image.fromarray(np.asarray(photo.resize(SIZE)) // 2 + noise)


@pytest.fixture(scope="module")
def holes() -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[20:40, 30:60] = mask[150:170, 90:100] = True
    return mask


def complete(pipeline, **arguments):
    result = pipeline(**arguments)
    return result.images[0], result.edges[0]


def save(path, image, holes, **options):
    image.save(path / "photo.png", **options)
    Image.fromarray(holes).save(path / "mask.png")
    return {"image": path / "photo.png", "mask_image": path / "mask.png"}


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
    return image.quantize(64) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "P", "I;16"])
def test_a_part_gives_the_result_of_the_whole(tiny_pipeline, tmp_path, large, holes, mode):
    inputs = save(tmp_path, in_mode(large, mode), holes)
    whole = tiny_pipeline(Image.open(inputs["image"]), holes, mask_padding=3)
    photo = read_photo(inputs, resize_mask=False, frame=None, max_pixels=1e6)
    seen = []

    def spy(pipeline, **arguments):
        seen.append(arguments["image"].size)
        return complete(pipeline, **arguments)

    drawn, box, windows = repair(photo, tiny_pipeline, spy, sigma=2.0, strategy="auto", padding=3)
    assert photo.image.mode == whole.images[0].mode
    assert np.array_equal(np.asarray(photo.image), np.asarray(whole.images[0]))
    assert np.array_equal(np.asarray(photo.full_lines(drawn, box)), np.asarray(whole.edges[0]))
    assert (seen, windows) == ([(332, 412)], 2)


def test_a_palette_with_transparency_and_a_profile_that_no_longer_holds(run, files, photo, tmp_path):
    for mode, name, expected in (("P", "p.png", "RGBA"), ("CMYK", "c.tif", "RGB")):
        image = photo.quantize(16) if mode == "P" else photo.convert("CMYK")
        image.save(files / name, icc_profile=b"profile", **({"transparency": 3} if mode == "P" else {}))
        assert run("inpaint", name, "mask.png", "-o", "out.png") == (0, "", "")
        with Image.open(files / "out.png") as written, Image.open(files / name) as given:
            assert written.mode == expected
            assert written.info.get("icc_profile") == (b"profile" if mode == "P" else None)
            known = pixels(files / "mask.png") == 0
            assert np.array_equal(np.asarray(written)[known], np.asarray(given.convert(expected))[known])


def test_sixteen_bits_of_colour_stay_outside_the_hole(run, files, photo):
    random = np.random.default_rng(0)
    deep = random.integers(0, 65536, (photo.height, photo.width, 3), dtype=np.uint16)
    cv2.imwrite(str(files / "deep.png"), deep)
    hole = pixels(files / "mask.png") > 0
    for ending in ("png", "tif"):
        assert run("inpaint", "deep.png", "mask.png", "-o", f"out.{ending}", "--save-edges", "lines.png")[::2] == (
            0,
            "",
        )
        written = cv2.imread(str(files / f"out.{ending}"), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16
        assert np.array_equal(written[~hole], deep[~hole])
        assert not np.array_equal(written[hole], deep[hole])
        assert pixels(files / "lines.png").shape == hole.shape


def test_jpeg_from_jpeg_keeps_its_tables_and_what_goes_with_it(run, files, photo):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    photo.save(files / "in.jpg", quality=71, subsampling=1, exif=exif, dpi=(300, 300), icc_profile=b"profile")

    def written(*options: str):
        assert run("inpaint", "in.jpg", "mask.png", "-o", "out.jpg", *options)[0] == 0
        with Image.open(files / "out.jpg") as image:
            image.load()
            return image

    with Image.open(files / "in.jpg") as given:
        same = written()
        assert same.quantization == given.quantization
        assert JpegImagePlugin.get_sampling(same) == 1
        assert (same.getexif()[0x010F], same.info["dpi"], same.info["icc_profile"]) == ("maker", (300, 300), b"profile")
        assert sum(written("--quality", "20").quantization[0]) > sum(given.quantization[0])


def test_quality_makes_webp_lossy_with_a_warning_and_is_refused_elsewhere(run, files):
    known = pixels(files / "mask.png") == 0
    _, _, err = run("inpaint", "photo.png", "mask.png", "-o", "out.webp", "--quality", "10")
    assert err.startswith("edgeconnect: warning: `--quality` recompresses the known pixels as well")
    assert not np.array_equal(pixels(files / "out.webp")[known], pixels(files / "photo.png")[known])
    for options, says in (
        (("out.png", "--quality", "10"), "`--quality` must be 1 to 100, for JPEG or WebP: got 10 for .png."),
        (("out.jpg", "--quality", "101"), "`--quality` must be 1 to 100, for JPEG or WebP: got 101 for .jpg."),
        (
            ("out.png", "--format", "png"),
            "`--format` and `--suffix` need a folder as `--output`: got the file 'out.png'",
        ),
        (("out.png", "--grow", "-1"), "`--grow` must be 0 to 256 pixels: got -1."),
    ):
        code, _, err = run("inpaint", "photo.png", "mask.png", "-o", *options)
        assert code == 2
        assert says in err


def test_formats_and_names_of_a_folders_results(run, files, photo):
    (files / "photos").mkdir()
    photo.save(files / "photos/a.png")
    arguments = ("inpaint", "photos", "mask.png", "-o", "out", "--save-edges", "lines", "--suffix", "_new")
    for name in ("webp", "jpg", "tif"):
        code, _, err = run(*arguments, "--format", name, "--overwrite")
        assert (code, err.count("JPEG recompresses")) == (0, name == "jpg")
        with Image.open(files / f"out/a_new.{name}") as image:
            assert image.format == {"webp": "WEBP", "jpg": "JPEG", "tif": "TIFF"}[name]
    assert [path.name for path in (files / "lines").iterdir()] == ["a_new.png"]


def test_frame_chooses_a_page(run, files, photo):
    pages = [photo, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    pages[0].save(files / "pages.tif", save_all=True, append_images=pages[1:])
    known = pixels(files / "mask.png") == 0
    for options, page, warned in (((), 0, True), (("--frame", "1"), 1, False)):
        code, _, err = run("inpaint", "pages.tif", "mask.png", "-o", "out.png", *options)
        assert (code, "2 frames" in err) == (0, warned)
        assert np.array_equal(pixels(files / "out.png")[known], np.asarray(pages[page])[known])
    assert "there is no frame 2" in run("inpaint", "pages.tif", "mask.png", "-o", "out.png", "--frame", "2")[2]


def test_grow_takes_the_rim_of_a_tight_mask(run, files, tiny_pipeline, photo, hole):
    assert run("inpaint", "photo.png", "mask.png", "-o", "out.png", "--grow", "5", "--dtype", "fp32")[0] == 0
    expected = tiny_pipeline(photo, hole, mask_padding=5).images[0]
    assert np.array_equal(pixels(files / "out.png"), np.asarray(expected))


def test_a_hole_among_transparent_pixels_is_worked_on_as_in_python(run, files, large, holes, tiny_pipeline):
    clear = large.convert("RGBA")
    clear.putalpha(Image.fromarray((np.arange(SIZE[0])[None] > 500).repeat(SIZE[1], 0)))
    save(files, clear, holes)
    assert run("inpaint", "photo.png", "mask.png", "-o", "out.png", "--dtype", "fp32")[0] == 0
    assert np.array_equal(pixels(files / "out.png"), np.asarray(tiny_pipeline(clear, holes).images[0]))


def test_the_limit_of_size_holds_for_masks_too(run, files):
    code, _, err = run("inpaint", "photo.png", "mask.png", "-o", "out.png", "--max-megapixels", "0.005")
    assert (code, "`mask_image` 'mask.png' is 96x72; up to 0.005 megapixels" in err) == (2, True)

"""The page's buttons without a page: exactness, the ways to go wrong, the limits."""

import inspect
import re
from contextvars import copy_context
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

gr = pytest.importorskip("gradio", reason="the page needs the extra `demo`")

from edgeconnect_hf.demo import Limits, canvas, jobs  # noqa: E402
from edgeconnect_hf.demo.api import Endpoints  # noqa: E402
from edgeconnect_hf.demo.app import ACTIONS, build_demo  # noqa: E402
from edgeconnect_hf.demo.files import Files  # noqa: E402
from edgeconnect_hf.demo.handlers import Handlers  # noqa: E402
from edgeconnect_hf.demo.model import Model  # noqa: E402
from edgeconnect_hf.demo.work import Work  # noqa: E402
from edgeconnect_hf.pictures import read_images, read_masks  # noqa: E402

SETTINGS = (2.0, "auto", "EdgeConnect")


@pytest.fixture
def files(tmp_path, monkeypatch) -> Files:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Files(Limits())


@pytest.fixture
def model(tiny_pipeline) -> Model:
    return Model(tiny_pipeline, jobs.Gate(Limits()), Limits())


@pytest.fixture
def page(model, files) -> Handlers:
    return Handlers({"EdgeConnect": model}, files)


@pytest.fixture
def endpoints(model, files) -> Endpoints:
    return Endpoints(model, files)


def save(image: Image.Image, path: Path, **options) -> str:
    image.save(path, **options)
    return str(path)


def opened(page: Handlers, *paths: str) -> tuple[Work, list[str]]:
    """Open a photo, and its mask; gives the work and what the mask editor gives back, untouched."""
    updates = page.open_photo(*paths)
    return updates["work"], give_back(updates["mask_editor"])


def background(shown: dict) -> Image.Image:
    return Image.open(shown["value"]["background"])


def give_back(shown: dict) -> list[str]:
    """What an editor gives back untouched: the files of the layers that it was shown."""
    return shown["value"]["layers"]


def paint(
    layers: list[str] | list[bytes], box: tuple[int, int, int, int], colour=(*canvas.MASK_COLOUR, 153)
) -> list[bytes]:
    """What an editor gives back once it was painted on."""
    layer, file = Image.open(layers[0] if isinstance(layers[0], str) else BytesIO(layers[0])), BytesIO()
    ImageDraw.Draw(layer).rectangle(box, fill=colour)
    layer.save(file, "PNG")
    return [file.getvalue()]


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[..., 0], mode)


def pixels(path_or_image) -> np.ndarray:
    image = path_or_image if isinstance(path_or_image, Image.Image) else Image.open(path_or_image)
    return np.asarray(image)


def test_twelve_megapixels_stay_exact_outside_the_hole(page, tmp_path):
    photo = noise("RGB", (400, 300)).resize((4000, 3000))
    shown = page.open_photo(save(photo, tmp_path / "large.png", compress_level=1))
    assert background(shown["mask_editor"]).size == (1024, 768)
    mask_value = paint(give_back(shown["mask_editor"]), (500, 400, 540, 430))
    found = page.find(mask_value, shown["work"], *SETTINGS)
    lines_value = paint(give_back(found["lines_editor"]), (505, 410, 530, 411), (*canvas.DRAWN_COLOUR, 255))
    completed = page.complete(mask_value, lines_value, found["work"], "auto", "EdgeConnect")

    repaired = pixels(completed["download"])
    assert repaired.shape == (3000, 4000, 3)
    changed = (repaired != pixels(photo)).any(axis=2)
    rows, columns = np.nonzero(changed)
    # The painted box of the shown size covers these pixels of the full one.
    assert 400 * 3000 / 768 - 1 <= rows.min() <= rows.max() <= 431 * 3000 / 768
    assert 500 * 4000 / 1024 - 1 <= columns.min() <= columns.max() <= 541 * 4000 / 1024
    assert changed.sum() > 10000
    assert [Image.open(path).size for path in completed["slider"]] == [(1024, 768)] * 2


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_come_back_as_they_came(page, tmp_path, mode):
    photo = noise(mode, (120, 90))
    work, mask_value = opened(page, save(photo, tmp_path / "photo.png"))
    erased = page.erase(paint(mask_value, (40, 30, 59, 49)), work, *SETTINGS)
    result = Image.open(erased["download"])
    assert (result.mode, result.size) == (mode, photo.size)
    outside = np.ones((90, 120), bool)
    outside[30:50, 40:60] = False
    assert np.array_equal(pixels(result)[outside], pixels(photo)[outside])
    lines_shown = erased["lines_editor"]
    assert lines_shown["canvas_size"] == background(lines_shown).size == photo.size


def test_a_sideways_photo_is_painted_and_returned_upright(page, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(noise("RGB", (120, 90)), tmp_path / "sideways.png", exif=exif)
    work, mask_value = opened(page, path)
    result = page.erase(paint(mask_value, (40, 30, 49, 39)), work, *SETTINGS)["download"]
    upright = pixels(Image.open(path).transpose(Image.Transpose.ROTATE_270))
    changed = (pixels(result) != upright).any(axis=2)
    assert changed[30:40, 40:50].any()
    assert changed.sum() == changed[30:40, 40:50].sum()


def test_masks_grow_shrink_invert_upload_and_clear(page, photo, hole, tmp_path):
    work, empty = opened(page, save(photo, tmp_path / "photo.png"))
    shown = page.upload_mask(save(hole.resize((48, 36)), tmp_path / "mask.png"), work)
    work, layers = shown["work"], give_back(shown["mask_editor"])
    uploaded = canvas.read_mask(page.files.read_layers(layers), work.mask)
    assert np.array_equal(uploaded, pixels(hole.resize((48, 36)).resize(hole.size, Image.Resampling.NEAREST)) >= 128)

    shown = page.grow(paint(layers, (0, 0, 4, 4)), work, 3)
    grown = shown["work"].mask
    assert grown[:5, :5].all()
    assert grown.sum() > uploaded.sum() + 25
    shown = page.shrink(give_back(shown["mask_editor"]), shown["work"], 3)
    assert (shown["work"].mask >= uploaded).all()
    shown = page.invert(give_back(shown["mask_editor"]), shown["work"])
    assert not (shown["work"].mask & uploaded).any()
    shown = page.clear_mask(shown["work"])
    assert np.array_equal(pixels(give_back(shown["mask_editor"])[0]), pixels(empty[0]))


@pytest.mark.filterwarnings("ignore:.*looks like a photo")
def test_a_mask_is_read_as_the_pipeline_reads_it(page, photo, tmp_path):
    """Photo and mask sideways, the mask of 16 bits: a hole from half of the range on, where the API has it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.repeat(np.linspace(0, 65535, photo.height, dtype=np.uint16)[:, None], photo.width, axis=1)
    paths = [
        save(image, tmp_path / name, exif=exif)
        for image, name in ((photo, "photo.png"), (Image.fromarray(ramp), "mask.png"))
    ]
    work, _ = opened(page, *paths)
    (expected,) = read_masks(Image.open(paths[1]), read_images(Image.open(paths[0]), "pil"))
    assert expected.sum() == photo.width * photo.height / 2
    assert np.array_equal(work.mask, expected)
    assert np.array_equal(page.upload_mask(paths[1], work)["work"].mask, expected)
    Image.new("F", photo.size, 0.3).save(tmp_path / "float.tiff")
    with pytest.raises(gr.Error, match="`mask` is a PIL picture of mode F"):
        page.upload_mask(str(tmp_path / "float.tiff"), work)


def test_work_that_is_kept_no_longer_is_gone_with_its_files(page):
    """Gradio passes None."""
    settings, editors = SETTINGS[1:], ({}, {})
    for handler, inputs in (
        (page.reuse, [None]),
        (page.grow, [{}, None, 8]),
        (page.shrink, [{}, None, 8]),
        (page.invert, [{}, None]),
        (page.upload_mask, ["mask.png", None]),
        (page.clear_mask, [None]),
        (page.find, [{}, None, *SETTINGS]),
        (page.sketch, [{}, None, *SETTINGS]),
        (page.resume, [*editors, None, *SETTINGS]),
        (page.restore_lines, [None]),
        (page.complete, [*editors, None, *settings]),
        (page.erase, [{}, None, *SETTINGS]),
    ):
        with pytest.raises(
            gr.Error, match="The photo is not available. It may have been deleted: please upload it again."
        ):
            handler(*inputs)


def test_sketched_lines_are_continued_and_kept(page, photo, hole, tmp_path):
    work, mask_value = opened(page, save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png"))
    sketch = page.sketch(mask_value, work, *SETTINGS)
    inside = pixels(hole) > 0
    assert not sketch["work"].lines.edges[inside].any()

    drawn = paint(give_back(sketch["lines_editor"]), (37, 40, 58, 40), (*canvas.DRAWN_COLOUR, 255))
    resumed = page.resume(mask_value, drawn, sketch["work"], *SETTINGS)
    lines = resumed["work"].lines
    assert (lines.edges[40, 37:59] == 255).all()
    assert (lines.edges[inside] > 0).sum() > 22  # the edge generator's
    assert np.array_equal(lines.drawn, lines.drawn & inside)

    cleared = page.restore_lines(resumed["work"])
    layers = [give_back(updates["lines_editor"])[0] for updates in (cleared, resumed)]
    assert np.array_equal(*map(pixels, layers))


def test_the_result_is_the_next_rounds_photo(page, photo, hole, tmp_path):
    work, mask_value = opened(page, save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png"))
    erased = page.erase(mask_value, work, *SETTINGS)
    again = page.reuse(erased["work"])["work"]
    assert again == Work(erased["download"], again.mask_png)
    assert not again.mask.any()
    assert Path(erased["download"]).name == "photo_repaired.png"
    assert Path(page.erase(mask_value, again, *SETTINGS)["download"]).name == "photo_repaired.png"


def test_nothing_painted_and_another_mask_are_errors(page, photo, hole, tmp_path):
    work, mask_value = opened(page, save(photo, tmp_path / "photo.png"))
    with pytest.raises(gr.Error, match="Paint over something in the photo first."):
        page.find(mask_value, work, *SETTINGS)
    painted = paint(mask_value, (40, 30, 59, 49))
    with pytest.raises(gr.Error, match="Find the lines first."):
        page.complete(painted, [], work, "auto", "EdgeConnect")
    found = page.find(painted, work, *SETTINGS)
    lines_value = give_back(found["lines_editor"])
    with pytest.raises(gr.Error, match="Find the lines again"):
        page.complete(paint(painted, (0, 0, 9, 9)), lines_value, found["work"], "auto", "EdgeConnect")
    with pytest.raises(gr.Error, match="`mask_image` is white everywhere"):
        page.erase(paint(painted, (0, 0, 95, 71)), work, *SETTINGS)


@pytest.mark.parametrize(("orientation", "size"), [(6, (20, 40)), (9, (40, 20))])
def test_a_photo_is_opened_upright(page, orientation, size, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = page.open_photo(save(Image.new("RGB", (40, 20)), tmp_path / "sideways.jpg", exif=exif))
    assert shown["work"].mask.shape == size[::-1]
    assert pixels(background(shown["mask_editor"])).shape[:2] == size[::-1]


def test_files_that_are_no_suitable_pictures(page, endpoints, photo, hole, tmp_path, monkeypatch, strange_exif):
    good, mask = save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png")
    text, broken, bomb = (tmp_path / name for name in ("text.png", "broken.png", "bomb.png"))
    text.write_text("no picture")
    broken.write_bytes(Path(good).read_bytes()[:100])
    Image.new("1", (20000, 10000)).save(bomb)
    Image.new("F", (40, 30)).save(tmp_path / "float.tiff")
    strange = Path(save(photo, tmp_path / "strange.png", exif=strange_exif))
    for path, message in (
        (text, "The photo is not an image in a known format."),
        (broken, "The photo cannot be decoded"),
        (bomb, "The photo is far too large: up to 25 megapixels are accepted."),
        (tmp_path / "float.tiff", "`image` is a PIL picture of mode F"),
        (tmp_path / "gone.png", "The photo is not available. It may have been deleted: please upload it again."),
    ):
        with pytest.raises(gr.Error, match=message):
            page.open_photo(str(path))
    with pytest.warns(UserWarning, match="^The photo has broken EXIF data, which is dropped: 'float' object"):
        page.open_photo(str(strange))
    with pytest.raises(gr.Error, match=re.escape("`mask_image` must have the size of `image`, 96x72: got 10x10")):
        endpoints.inpaint(good, save(Image.new("L", (10, 10)), tmp_path / "small.png"))
    with pytest.raises(gr.Error, match="`sigma` must be a number above 0, at most 100: got None."):
        endpoints.inpaint(good, mask, sigma=None)
    page.files.limits = Limits(max_megapixels=0.001, max_megabytes=1)
    with pytest.raises(gr.Error, match="The photo is 96x72; up to 0.001 megapixels are accepted."):
        page.open_photo(good)
    (tmp_path / "heavy.png").write_bytes(Path(good).read_bytes() + bytes(2**20))
    with pytest.raises(gr.Error, match="The photo has 1 MB; up to 1 MB are accepted."):
        page.open_photo(str(tmp_path / "heavy.png"))


def test_a_step_ends_when_its_time_is_over(endpoints, photo, hole, tmp_path):
    good, mask = save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png")

    def inpaint_in(seconds: float) -> None:
        jobs._current.set(jobs.Job(seconds))
        endpoints.inpaint(good, mask)

    with pytest.raises(gr.Error, match="seconds and was stopped. Try a smaller hole"):
        copy_context().run(inpaint_in, -1)
    endpoints.inpaint(good, mask)  # nothing of the limit stays on the networks


def test_results_lie_where_they_are_served_from_and_cleared(endpoints, photo, hole, tmp_path):
    results = endpoints.inpaint(save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png"))
    assert all((tmp_path / "gradio") in Path(path).parents for path in results.values())


def test_the_table_names_what_handlers_read_and_change(page, tiny_pipeline, photo, hole, tmp_path):
    """Handlers' parameters are the components of `reads`; what they return is named in `changes`."""
    for action in ACTIONS:
        parameters = inspect.signature(action.handler).parameters.values()
        assert [p.name for p in parameters if p.default is p.empty][1:] == action.reads.split(), action.button
    build_demo(tiny_pipeline)  # every name is a component

    paths = save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png")
    page.examples = [paths]
    values = {"photo": paths[0], "upload": paths[1], "example": 0, "by": 3}
    values |= dict(zip(("sigma", "strategy", "model"), SETTINGS, strict=True))
    repaired = page.erase_example(0, *SETTINGS)
    values |= {"work": repaired["work"], "mask_editor": None, "lines_editor": None}
    for action in ACTIONS:
        updates = action.handler(page, *(values[name] for name in action.reads.split()))
        assert set(updates) == set(action.changes.split()), action.button

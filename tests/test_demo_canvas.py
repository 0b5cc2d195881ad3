"""What the canvas asks of Python, without a page: exactness, the ways to go wrong, the limits."""

import base64
import re
import sys
from contextvars import copy_context
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

gr = pytest.importorskip("gradio", reason="the page needs the extra `demo`")

from edgeconnect_hf import EdgeConnectPipeline, select_object  # noqa: E402
from edgeconnect_hf.demo import Limits  # noqa: E402
from edgeconnect_hf.demo.api import Endpoints  # noqa: E402
from edgeconnect_hf.demo.canvas import Canvas  # noqa: E402
from edgeconnect_hf.demo.model import Model  # noqa: E402
from edgeconnect_hf.demo.photos import Photos  # noqa: E402
from edgeconnect_hf.demo.planes import pack, unpack  # noqa: E402
from edgeconnect_hf.holes import grow  # noqa: E402
from edgeconnect_hf.pictures import read_images, read_masks  # noqa: E402
from edgeconnect_hf.serving import jobs  # noqa: E402


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Photos:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Photos(Limits())


@pytest.fixture
def gate() -> jobs.Gate:
    return jobs.Gate(Limits())


@pytest.fixture
def model(tiny_pipeline, gate) -> Model:
    return Model(tiny_pipeline, gate, Limits())


@pytest.fixture
def canvas(model, photos, gate) -> Canvas:
    return Canvas({"EdgeConnect": model}, photos, gate)


@pytest.fixture
def endpoints(model, photos) -> Endpoints:
    return Endpoints(model, photos)


class Page:
    """What the browser keeps of a photo, and sends."""

    def __init__(self, canvas: Canvas, path: str, mask: np.ndarray | Image.Image | None = None):
        self.canvas, self.path = canvas, path
        opened = canvas.open_photo({"path": path})
        self.width, self.height = opened["width"], opened["height"]
        self.mask = np.zeros((self.height, self.width), bool) if mask is None else np.asarray(mask) > 0
        self.touched = np.zeros((self.height, self.width), np.uint8)
        self.edges = np.zeros_like(self.touched)
        self.sent = {"photo": {"path": path}, "width": self.width, "height": self.height}

    def repair(self, keeps_lines: bool = False, **options) -> np.ndarray:
        """Repair, and save: the whole result."""
        edges = pack(self.edges) if keeps_lines else None
        drawn = {"mask": pack(self.mask), "touched": pack(self.touched), "edges": edges}
        answer = self.canvas.repair(**self.sent, **drawn, **options)
        self.edges = unpack(answer["edges"], self.edges.shape)
        self.box, self.patch = answer["box"], answer["patch"]
        return pixels(self.save())

    def save(self, kind: str = "png") -> str:
        drawn = {"mask": pack(self.mask), "patch": self.patch}
        return self.canvas.save(photo={"path": self.path}, **drawn, name=Path(self.path).name, kind=kind)["path"]


def save(image: Image.Image, path: Path, **options) -> str:
    image.save(path, **options)
    return str(path)


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(values if channels > 1 else values[..., 0], mode)


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def pixels(path_or_image) -> np.ndarray:
    image = path_or_image if isinstance(path_or_image, Image.Image) else Image.open(path_or_image)
    return np.asarray(image)


# Planes


@settings(max_examples=25, deadline=None)  # a slow machine is no failure
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000), st.sampled_from(["mask", "lines", "one"]))
def test_planes_travel_unchanged(height, width, seed, kind):
    random = np.random.default_rng(seed)
    plane = random.integers(0, 256, (height, width)).astype(np.uint8) * (random.random((height, width)) < 0.3)
    plane = {"mask": plane > 100, "lines": plane, "one": np.full_like(plane, 7)}[kind]
    returned = unpack(pack(plane), plane.shape)
    assert np.array_equal(returned, plane.astype(np.uint8) * 255 if kind == "mask" else plane)


def test_planes_of_another_size_and_garbage_are_refused():
    packed = pack(np.zeros((30, 40), bool))
    for wrong in (pack(np.zeros((31, 40), bool)), {**packed, "lengths": base64.b64encode(b"\xff" * 4).decode()}):
        with pytest.raises(gr.Error, match="is not of the size of the photo"):
            unpack(wrong, (30, 40))
    many = base64.b64encode(np.array([1200, 2**32 - 1, 1], "<u4").tobytes()).decode()  # 1200 in 32 bits
    for wrong in ({"values": base64.b64encode(bytes(3)).decode(), "lengths": many}, {"values": "", "lengths": ""}):
        with pytest.raises(gr.Error, match="is not of the size of the photo"):
            unpack(wrong, (30, 40))
    for wrong in (None, 7, "x", [], {}, {"values": 1, "lengths": 2}, {"values": "é", "lengths": "AA=="}):
        with pytest.raises(gr.Error, match="could not be read"):
            unpack(wrong, (30, 40))


# Repairs


def test_a_repair_is_the_pipelines(canvas, tiny_pipeline, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    repaired = page.repair(sigma=1.5)
    expected = tiny_pipeline(photo, hole, sigma=1.5)
    assert np.array_equal(page.edges, pixels(expected.edges[0]))
    assert np.array_equal(repaired, pixels(expected.images[0]))
    assert page.box == [36, 30, 60, 50]


def test_lines_drawn_are_continued_and_lines_erased_are_gone(canvas, tiny_pipeline, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    page.repair()
    page.touched[40, 37:59] = 1
    page.touched[45, 30:66] = 2  # beyond the hole, too
    repaired = page.repair()
    hints = (page.touched == 1).astype(np.uint8) * 255
    expected = pixels(tiny_pipeline.generate_edges(photo, hole, edge_hints=hints)[0]).copy()
    expected[page.touched == 1], expected[page.touched == 2] = 255, 0
    assert np.array_equal(page.edges, expected)
    assert np.array_equal(repaired, pixels(tiny_pipeline.complete(photo, hole, expected)[0]))


def test_only_mine_keeps_the_holes_lines(canvas, tiny_pipeline, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    inside = pixels(hole) > 0
    page.touched[40, 37:59] = 1
    page.edges[40, 37:59] = 255
    repaired = page.repair(keeps_lines=True)
    known = pixels(tiny_pipeline.generate_edges(photo, hole)[0])
    expected = np.where(inside, (page.touched == 1) * np.uint8(255), known)
    assert np.array_equal(page.edges, expected)
    assert np.array_equal(repaired, pixels(tiny_pipeline.complete(photo, hole, expected)[0]))
    assert np.array_equal(page.repair(keeps_lines=True), repaired)


def test_a_photo_stays_open_between_strokes(canvas, model, photo, hole, tmp_path, monkeypatch):
    opened, drawn = [], []
    plain = type(model.pipeline).open

    def open_and_note(pipeline, *arguments, **options):
        session = plain(pipeline, *arguments, **options)
        draw = session.generate_edges
        session.generate_edges = lambda **options: drawn.append(1) or draw(**options)
        opened.append(1)
        return session

    monkeypatch.setattr(type(model.pipeline), "open", open_and_note)
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    monkeypatch.setattr(model, "_estimate", lambda *_: 0)
    page.repair()
    page.touched[45, 30:66] = 2
    page.repair()
    assert (len(opened), len(drawn)) == (1, 1)  # what is erased needs no edge generator
    page.touched[40, 40:50] = 1
    page.repair()
    assert (len(opened), len(drawn)) == (1, 2)
    page.mask[52:55, 36:60] = True
    fresh = Page(
        Canvas({"": Model(model.pipeline, canvas.gate, Limits())}, canvas.photos, canvas.gate), page.path, page.mask
    )
    fresh.touched = page.touched
    assert np.array_equal(page.repair(), fresh.repair())
    for number in range(6):
        Page(canvas, save(photo, tmp_path / f"{number}.png"), hole).repair()
    assert len(model._opened) == 4


def test_twelve_megapixels_stay_exact_outside_the_hole(canvas, tmp_path):
    photo = noise("RGB", (400, 300)).resize((4000, 3000), Image.Resampling.NEAREST)
    mask = box_mask(photo.size, (1953, 1562, 2110, 1680))
    page = Page(canvas, save(photo, tmp_path / "large.png", compress_level=1), mask)
    page.touched[1600:1602, 1960:2080] = 1
    repaired = page.repair()
    assert repaired.shape == (3000, 4000, 3)
    changed = (repaired != pixels(photo)).any(axis=2)
    assert not changed[~mask].any()
    assert changed.sum() > 10000


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_come_back_as_they_came(canvas, tmp_path, mode):
    photo, mask = noise(mode, (120, 90)), box_mask((120, 90), (40, 30, 60, 50))
    page = Page(canvas, save(photo, tmp_path / "photo.png"), mask)
    page.repair()
    result = Image.open(page.save())
    assert (result.mode, result.size) == (mode, photo.size)
    assert np.array_equal(pixels(result)[~mask], pixels(photo)[~mask])
    assert Image.open(page.save("jpeg")).size == photo.size


def test_a_sideways_photo_is_painted_and_returned_upright(canvas, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    path = save(noise("RGB", (120, 90)), tmp_path / "sideways.png", exif=exif)
    assert canvas.open_photo({"path": path})["shown"]  # browsers disagree about a PNG's orientation
    page = Page(canvas, path, box_mask((90, 120), (40, 30, 50, 40)))
    upright = pixels(Image.open(path).transpose(Image.Transpose.ROTATE_270))
    changed = (page.repair() != upright).any(axis=2)
    assert changed[30:40, 40:50].any()
    assert changed.sum() == changed[30:40, 40:50].sum()

    path = save(noise("RGB", (120, 90)), tmp_path / "sideways.jpg", exif=exif, quality=90)
    assert canvas.open_photo({"path": path})["shown"] is None
    page = Page(canvas, path, box_mask((90, 120), (40, 30, 50, 40)))
    page.repair()
    saved = Image.open(page.save("jpeg"))
    assert saved.size == (90, 120)
    assert saved.getexif()[0x010F] == "Maker"
    assert saved.getexif().get(0x0112, 1) == 1
    assert saved.quantization == Image.open(path).quantization


@pytest.mark.parametrize(("orientation", "size"), [(6, (20, 40)), (9, (40, 20))])
def test_a_photo_is_opened_upright(canvas, orientation, size, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = canvas.open_photo({"path": save(Image.new("RGB", (40, 20)), tmp_path / "sideways.jpg", exif=exif)})
    assert (opened["width"], opened["height"]) == size


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [("LA", (100, 0), (255, 255, 255)), ("I;16", 51400, (200, 200, 200)), ("RGB", (1, 2, 3), (1, 2, 3))],
)
def test_photos_that_browsers_cannot_show_are_shown_as_copies(canvas, tmp_path, mode, colour, shown):
    copy = canvas.open_photo({"path": save(Image.new(mode, (200, 50), colour), tmp_path / "photo.tiff")})["shown"]
    assert np.abs(np.int16(Image.open(copy).getpixel((7, 7))) - shown).max() <= 2  # JPEG


def test_a_copy_of_the_result_is_opened_and_saved_under_the_photos_name(canvas, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "my photo.png"), hole)
    page.repair()
    assert Path(page.save()).name == "my photo_repaired.png"
    assert Path(page.save("jpeg")).name == "my photo_repaired.jpg"
    saved = canvas.save(
        photo={"path": page.path}, mask=pack(page.mask), patch=page.patch, name="../../etc/x;rm", kind="png"
    )
    assert Path(saved["path"]).name == "xrm_repaired.png"
    empty = canvas.save(photo={"path": page.path}, mask=pack(~page.mask & page.mask), patch="", name="a", kind="png")
    assert np.array_equal(pixels(empty["path"]), pixels(photo))


def test_a_gpu_of_another_process_gets_what_can_be_pickled(
    tiny_pipeline, gate, photos, photo, hole, tmp_path, monkeypatch
):
    """As on ZeroGPU hardware, whose package `spaces` pickles what goes there and what comes back."""
    (tmp_path / "spaces.py").write_text(
        "import functools, pickle\n"
        "def GPU(duration):\n"
        "    def decorate(function):\n"
        "        @functools.wraps(function)\n"
        "        def call(*arguments, **options):\n"
        "            arguments, options = pickle.loads(pickle.dumps((arguments, options)))\n"
        "            return pickle.loads(pickle.dumps(function(*arguments, **options)))\n"
        "        return call\n"
        "    return decorate\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = Model(tiny_pipeline, gate, Limits())
    monkeypatch.delitem(sys.modules, "spaces")
    paths = save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png")
    expected = tiny_pipeline(photo, hole)
    assert np.array_equal(pixels(Endpoints(model, photos).inpaint(*paths)["repaired"]), pixels(expected.images[0]))
    page = Page(Canvas({"": model}, photos, gate), paths[0], hole)
    assert np.array_equal(page.repair(), pixels(expected.images[0]))
    drawn = {"mask": pack(page.mask), "touched": pack(page.touched)}
    assert len(page.canvas.propose_lines(**page.sent, **drawn)["ideas"]) == 4


# Masks and lines


def test_masks_grow_shrink_and_are_uploaded(canvas, photo, hole, tmp_path):
    path = save(hole.resize((48, 36)), tmp_path / "mask.png")
    size = {"width": photo.width, "height": photo.height}
    uploaded = unpack(canvas.read_mask(file={"path": path}, **size)["mask"], pixels(hole).shape) > 0
    assert np.array_equal(uploaded, pixels(hole.resize((48, 36)).resize(hole.size, Image.Resampling.NEAREST)) >= 128)
    for by in (3, -3, 10**9):
        grown = unpack(canvas.grow_mask(pack(uploaded), **size, by=by)["mask"], uploaded.shape) > 0
        assert np.array_equal(grown, grow(uploaded, min(by, 256)))
    lines = unpack(
        canvas.read_lines(file={"path": save(hole, tmp_path / "lines.png")}, **size)["edges"], uploaded.shape
    )
    assert np.array_equal(lines, pixels(hole))
    with pytest.raises(gr.Error, match="The line map is 48x36; the photo is 96x72."):
        canvas.read_lines(file={"path": path}, **size)


@pytest.mark.filterwarnings("ignore:.*looks like a photo")
def test_a_mask_is_read_as_the_pipeline_reads_it(canvas, photo, tmp_path):
    """Photo and mask sideways, the mask of 16 bits: a hole from half of the range on, where the API has it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.repeat(np.linspace(0, 65535, photo.height, dtype=np.uint16)[:, None], photo.width, axis=1)
    paths = [
        save(image, tmp_path / name, exif=exif)
        for image, name in ((photo, "photo.png"), (Image.fromarray(ramp), "mask.png"))
    ]
    opened = canvas.open_photo({"path": paths[0]})
    (expected,) = read_masks(Image.open(paths[1]), read_images(Image.open(paths[0]), "pil"))
    assert expected.sum() == photo.width * photo.height / 2
    size = {"width": opened["width"], "height": opened["height"]}
    assert np.array_equal(unpack(canvas.read_mask({"path": paths[1]}, **size)["mask"], expected.shape) > 0, expected)
    Image.new("F", photo.size, 0.3).save(tmp_path / "float.tiff")
    with pytest.raises(gr.Error, match="`mask` is a PIL picture of mode F"):
        canvas.read_mask({"path": str(tmp_path / "float.tiff")}, **size)


def test_a_draft_is_smooth_and_says_that_texture_is_missing(canvas, model, tiny_pipeline, photo, hole, tmp_path):
    textured = EdgeConnectPipeline(**{**tiny_pipeline.components, "match_texture": True})
    canvas = Canvas({"": Model(textured, canvas.gate, Limits())}, canvas.photos, canvas.gate)
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    sent = {**page.sent, "mask": pack(page.mask), "touched": pack(page.touched)}
    assert [canvas.repair(**sent, draft=draft)["isDraft"] for draft in (True, False)] == [True, False]
    assert np.array_equal(page.repair(draft=True), pixels(tiny_pipeline(photo, hole).images[0]))
    assert np.array_equal(page.repair(), pixels(textured(photo, hole).images[0]))
    plain = Canvas({"": model}, canvas.photos, canvas.gate)
    assert plain.repair(**sent, draft=True)["isDraft"] is False  # nothing would follow


def test_colours_laid_into_the_hole_are_the_pipelines(canvas, tiny_pipeline, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    colours = np.zeros((photo.height, photo.width, 4), np.uint8)
    colours[32:48, 40:50] = (200, 30, 10, 255)
    repaired = page.repair(colours=pack(colours.view("<u4")[..., 0]))
    expected = tiny_pipeline(photo, hole, colour_hints=colours).images[0]
    assert np.array_equal(repaired, pixels(expected))
    assert not np.array_equal(repaired, page.repair())


def test_ideas_for_the_lines_are_the_pipelines(canvas, tiny_pipeline, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    sent = page.sent | {"mask": pack(page.mask), "touched": pack(page.touched)}
    answer = canvas.propose_lines(**sent)
    ideas = [unpack(idea, page.edges.shape) for idea in answer["ideas"]]
    assert answer["box"] == [36, 30, 60, 50]
    expected = tiny_pipeline.generate_edges(photo, hole, num_proposals=4, generator=torch.Generator().manual_seed(0))
    assert [idea.tobytes() for idea in ideas] == [pixels(edges).tobytes() for (edges,) in expected]
    page.touched[40, 37:59] = 1
    ideas = canvas.propose_lines(**sent | {"touched": pack(page.touched)})["ideas"]
    assert all((unpack(idea, page.edges.shape)[40, 37:59] == 255).all() for idea in ideas)


def test_an_object_is_selected_added_and_taken_away(canvas, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    window, strokes = [47, 48], np.zeros_like(page.mask)
    strokes[45:52, 47:49] = True
    for told in ({"points": [window]}, {"box": [38, 36, 58, 62]}, {"scribble": strokes}):
        sent = {"scribble": pack(strokes)} if "scribble" in told else told
        for mode in ("replace", "add", "subtract"):
            expected = pixels(select_object(photo, **told, mask=page.mask, mode=mode))
            selected = canvas.select_object(**page.sent, mask=pack(page.mask), mode=mode, **sent)["mask"]
            assert np.array_equal(unpack(selected, expected.shape), expected)
    with pytest.raises(gr.Error, match="`points`"):
        canvas.select_object(**page.sent, mask=pack(page.mask), mode="add", points=[[1000, 1000]])


def test_an_extended_photo_has_the_old_one_in_it(canvas, photo, tmp_path):
    path = save(photo, tmp_path / "photo.png")
    extended = canvas.extend({"path": path}, left=8, right=0, top=4, bottom=16)
    larger, margin = pixels(extended["path"]), unpack(extended["mask"], (92, 104)) > 0
    assert (extended["left"], extended["top"]) == (8, 4)
    assert np.array_equal(larger[4:76, 8:], pixels(photo))
    assert not margin[4:76, 8:].any()
    assert margin.sum() == margin.size - photo.width * photo.height
    for wrong in ({"left": -1}, {"left": 10**6}, {"left": 4000, "right": 4000, "top": 4000}, {}):
        with pytest.raises(gr.Error):
            canvas.extend({"path": path}, **wrong)


# Refusals


def test_nothing_painted_everything_painted_and_another_photo_are_refused(canvas, photo, hole, tmp_path):
    page = Page(canvas, save(photo, tmp_path / "photo.png"))
    with pytest.raises(gr.Error, match="Paint over something in the photo first."):
        page.repair()
    page.mask[:] = True
    with pytest.raises(gr.Error, match="The hole covers the whole photo."):
        page.repair()
    page.mask = pixels(hole) > 0
    page.repair()
    page.mask[0, 0] = True
    with pytest.raises(gr.Error, match="This result belongs to another photo"):
        page.save()
    page.sent["photo"] = {"path": save(photo.resize((72, 96)), tmp_path / "other.png")}
    with pytest.raises(gr.Error, match="is not of the size of the photo"):
        page.repair()
    page.sent |= {"width": 10**6, "height": 10**6}
    with pytest.raises(gr.Error, match="The photo is too large."):
        page.repair()


def test_files_that_are_no_suitable_pictures(canvas, endpoints, photo, hole, tmp_path, strange_exif):
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
            canvas.open_photo({"path": str(path)})
    with pytest.warns(UserWarning, match="^The photo has broken EXIF data, which is dropped: 'float' object"):
        canvas.open_photo({"path": str(strange)})
    with pytest.raises(gr.Error, match=re.escape("`mask_image` must have the size of `image`, 96x72: got 10x10")):
        endpoints.inpaint(good, save(Image.new("L", (10, 10)), tmp_path / "small.png"))
    with pytest.raises(gr.Error, match="`sigma` must be a number above 0, at most 100: got None."):
        endpoints.inpaint(good, mask, sigma=None)
    canvas.photos.limits = Limits(max_megapixels=0.001, max_megabytes=1)
    with pytest.raises(gr.Error, match="The photo is 96x72; up to 0.001 megapixels are accepted."):
        canvas.open_photo({"path": good})
    (tmp_path / "heavy.png").write_bytes(Path(good).read_bytes() + bytes(2**20))
    with pytest.raises(gr.Error, match="The photo has 1 MB; up to 1 MB are accepted."):
        canvas.open_photo({"path": str(tmp_path / "heavy.png")})


def test_a_result_from_a_page_is_bounded(canvas, photo, hole, tmp_path):
    file = BytesIO()
    Image.new("1", (20000, 10000)).save(file, "PNG")
    page = Page(canvas, save(photo, tmp_path / "photo.png"), hole)
    page.patch = base64.b64encode(file.getvalue()).decode()
    with pytest.raises(gr.Error, match="far too large"):
        page.save()


def test_a_step_ends_when_its_time_is_over(canvas, endpoints, photo, hole, tmp_path):
    good, mask = save(photo, tmp_path / "photo.png"), save(hole, tmp_path / "mask.png")
    page = Page(canvas, good, hole)

    def run_in(seconds: float, act) -> None:
        jobs._current.set(jobs.Job(seconds))
        act()

    for act in (page.repair, lambda: endpoints.inpaint(good, mask)):
        with pytest.raises(gr.Error, match="seconds and was stopped. Try a smaller part"):
            copy_context().run(run_in, -1, act)
        act()  # nothing of the limit stays on the networks


def test_results_lie_where_they_are_served_from_and_cleared(canvas, endpoints, photo, hole, tmp_path):
    path = save(photo, tmp_path / "photo.png")
    results = endpoints.inpaint(path, save(hole, tmp_path / "mask.png"))
    page = Page(canvas, path, hole)
    page.repair()
    assert all((tmp_path / "gradio") in Path(path).parents for path in (*results.values(), page.save()))

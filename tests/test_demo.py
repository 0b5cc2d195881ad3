"""The page as a visitor meets it, in a real Chromium, and the API as a program does."""

import argparse
import base64
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image, ImageDraw

pytest.importorskip("gradio", reason="the page needs the extra `demo`")
pytest.importorskip("playwright", reason="the extra `dev` brings playwright")

import httpx
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect, sync_playwright

from edgeconnect_hf import EdgeConnectPipeline, cli, select_object
from edgeconnect_hf.demo import EXAMPLES, Limits, build_demo, launch
from edgeconnect_hf.demo.planes import pack, unpack
from edgeconnect_hf.extension import find_margins
from edgeconnect_hf.holes import grow
from edgeconnect_hf.serving.jobs import Job

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; `apt-get install chromium` lets the page's tests run"
)
PATIENCE = 60_000  # milliseconds; a busy machine is no failure
WIDTH, HEIGHT = 480, 320
HOLE = (180, 130, 300, 190)
AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"

expect.set_options(timeout=PATIENCE)


class Recorded(EdgeConnectPipeline):
    """Remembers the last hole, and the lines that it was painted from."""

    def open(self, image, mask_image, *arguments, **options):
        session = super().open(image, mask_image, *arguments, **options)
        mask, complete = np.asarray(mask_image) > 0, session.complete

        def note(edges=None, *colours):
            self.mask, self.edges = mask, np.asarray(edges)
            return complete(edges, *colours)

        session.complete = note
        return session


@pytest.fixture(scope="module")
def pipeline(tiny_pipeline) -> Recorded:
    return Recorded(**tiny_pipeline.components)


@pytest.fixture(scope="module")
def demo(pipeline, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        demo = build_demo(pipeline)
        yield demo
        demo.close()


@pytest.fixture(scope="module")
def url(demo):
    return launch(demo, host="127.0.0.1", block=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """photo.jpg with EXIF, photo.png, mask.png, small.png (a mask of another size), text.png (no picture)."""
    folder = tmp_path_factory.mktemp("files")
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = Image.fromarray(np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8))
    for left in range(30, WIDTH, 90):
        ImageDraw.Draw(picture).rectangle((left, 60, left + 40, 260), fill=(30, 40, 60))
    picture.save(folder / "photo.png")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    picture.save(folder / "photo.jpg", exif=exif, quality=92)
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rectangle(HOLE, fill=255)
    mask.save(folder / "mask.png")
    mask.resize((48, 32)).save(folder / "small.png")
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, url):
    """Open the page in a fresh profile; at the end, nothing may have been asked of other machines."""
    contexts, outside, errors = [], [], []

    def open_page(width=1100, height=700, **options) -> Page:
        phone = width < 500
        context = browser.new_context(
            viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: outside.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(url)
        wait_for_app(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [address for address in outside if not address.startswith((url, "data:", "blob:"))] == []
    assert errors == []


# What a person does


def wait_for_app(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('.ec')?.app")


def open_photo(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(".ec [data-do=open]:visible").first.click()
    chooser.value.set_files(path)
    wait_for_status(page, "The photo is open")


def wait_for_status(page: Page, start: str) -> None:
    page.wait_for_function("start => document.querySelector('.ec-status').textContent.startsWith(start)", arg=start)


def wait_until_settled(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('.ec-busy').hidden")


def on_screen(page: Page, *points: tuple[float, float]) -> list[list[float]]:
    """Where the photo's points are."""
    return page.evaluate(
        """points => {
          const {view} = document.querySelector('.ec').app, {left, top} = view.frame.getBoundingClientRect();
          return points.map(([x, y]) => [left + view.x + x * view.scale, top + view.y + y * view.scale]);
        }""",
        points,
    )


def stroke(page: Page, *points: tuple[float, float]) -> None:
    first, *others = on_screen(page, *points)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=2)
    page.mouse.up()


def take(page: Page, tool: str) -> None:
    page.locator(f"[data-tool={tool}]").click()


def repair_after(page: Page, act, *arguments) -> None:
    """Do something, and wait for the live result."""
    page.evaluate("document.querySelector('.ec-status').textContent = ''")
    act(page, *arguments)
    wait_for_status(page, "Repaired in")


def plane(page: Page, name: str) -> np.ndarray:
    """`mask`, `edges` or `touched` as the browser has it."""
    text = page.evaluate(
        """name => {
          const plane = document.querySelector('.ec').app.work[name];
          let text = '';
          for (let i = 0; i < plane.length; i += 32768) text += String.fromCharCode(...plane.subarray(i, i + 32768));
          return [btoa(text), document.querySelector('.ec').app.work.photo.width];
        }""",
        name,
    )
    values = np.frombuffer(base64.b64decode(text[0]), np.uint8)
    return values.reshape(-1, text[1])


def save(page: Page, kind: str) -> tuple[str, bytes]:
    """A saved file's name and content."""
    page.locator(".ec-menu").click()
    with page.expect_download() as download:
        page.locator(f"[data-do=save-{kind}]").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def pixels(file: Path | str | bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file) if isinstance(file, bytes) else file))


@needs_chromium
def test_paint_draw_undo_compare_save_and_restore(open_page, files, pipeline, tiny_pipeline):
    page = open_page()
    open_photo(page, files / "photo.jpg")
    photo = pixels(files / "photo.jpg")
    repair_after(page, stroke, (190, 150), (290, 150), (290, 170), (190, 170))
    mask = plane(page, "mask") > 0
    assert mask[150:170, 190:290].all()
    assert not mask[:130].any()
    assert np.array_equal(pipeline.mask, mask)
    drawn = plane(page, "edges")
    assert np.array_equal(pipeline.edges, drawn)
    assert np.array_equal(drawn, np.asarray(tiny_pipeline.generate_edges(Image.open(files / "photo.jpg"), mask)[0]))
    expect(page.locator(".ec-result")).to_be_visible()

    # A straight line, snapped by shift, is continued; an eraser's stroke stays empty.
    take(page, "line")
    page.keyboard.down("Shift")
    repair_after(page, stroke, (200, 150), (280, 153))
    page.keyboard.up("Shift")
    with_line = plane(page, "edges")
    assert (with_line[149:151, 201:279] == 255).all()
    take(page, "erase-lines")
    repair_after(page, stroke, (200, 168), (280, 168))
    assert not plane(page, "edges")[166:171, 200:280].any()
    assert np.array_equal(pipeline.edges, plane(page, "edges"))

    # Undo both, redo both, undo everything.
    for _ in range(2):
        page.keyboard.press("Control+z")
    assert np.array_equal(plane(page, "edges"), drawn)
    page.keyboard.press("Control+Shift+z")
    assert np.array_equal(plane(page, "edges"), with_line)
    for _ in range(2):
        page.locator("[data-do=undo]").click()
    expect(page.locator("[data-do=undo]")).to_be_disabled()
    assert not plane(page, "mask").any()
    assert not plane(page, "edges").any()
    for _ in range(2):
        page.locator("[data-do=redo]").click()

    # Before and after.
    page.locator(".ec-view").focus()
    page.keyboard.down("c")
    expect(page.locator(".ec-result")).to_be_hidden()
    page.keyboard.up("c")
    expect(page.locator(".ec-result")).to_be_visible()

    # All that can be saved.
    name, content = save(page, "png")
    assert name == "photo_repaired.png"
    repaired = pixels(content)
    assert np.array_equal(repaired[~mask], photo[~mask])
    expected = tiny_pipeline.complete(Image.open(files / "photo.jpg"), mask, with_line)[0]
    assert np.array_equal(repaired, np.asarray(expected))
    name, content = save(page, "jpeg")
    assert name == "photo_repaired.jpg"
    assert Image.open(io.BytesIO(content)).getexif()[0x010F] == "Maker"
    assert np.array_equal(pixels(save(page, "mask")[1])[..., 0] > 0, mask)
    assert np.array_equal(pixels(save(page, "lines")[1])[..., 0], with_line)
    page.locator("[name=by]").fill("5")
    name, project = save(page, "project")
    assert name == "photo.zip"
    with zipfile.ZipFile(io.BytesIO(project)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["lines.png", "mask.png", "photo", "project.json"]
        assert archive.read("photo") == (files / "photo.jpg").read_bytes()

    # A reload loses nothing.
    page.reload()
    wait_for_app(page)
    page.locator("[data-do=restore]").click()
    wait_for_status(page, "Your last photo is open again.")
    assert np.array_equal(plane(page, "mask") > 0, mask)
    assert np.array_equal(plane(page, "edges"), with_line)
    assert np.array_equal(pixels(save(page, "png")[1]), repaired)
    take(page, "pencil")
    repair_after(page, stroke, (200, 160), (280, 160))

    # The project opens again, as it was saved.
    (files / "project.zip").write_bytes(project)
    open_photo(page, files / "project.zip")
    assert np.array_equal(plane(page, "mask") > 0, mask)
    assert np.array_equal(plane(page, "edges"), with_line)
    assert np.array_equal(pixels(save(page, "png")[1]), repaired)
    expect(page.locator("[name=by]")).to_have_value("5")
    assert json.loads(zipfile.ZipFile(io.BytesIO(save(page, "project")[1])).read("project.json"))["name"] == "photo.jpg"


@needs_chromium
def test_a_draft_comes_first_its_texture_follows_and_undo_brings_what_was_given_up(open_page, files, pipeline):
    pipeline.register_to_config(match_texture=True)
    try:
        page = open_page()
        open_photo(page, files / "photo.png")
        page.evaluate(
            """() => {
              const status = document.querySelector('.ec-status');
              window.said = [];
              new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
            }"""
        )
        repair_after(page, stroke, (190, 150), (290, 150), (290, 170), (190, 170))
        final = "() => /^Repaired in [\\d.]+ seconds\\.$/.test(document.querySelector('.ec-status').textContent)"
        page.wait_for_function(final)
        assert any(text.endswith("; its texture follows.") for text in page.evaluate("window.said"))
        assert page.evaluate("document.querySelector('.ec').app.work.results.length") == 1
        repaired = pixels(save(page, "png")[1])
        expected = EdgeConnectPipeline(**pipeline.components)(Image.open(files / "photo.png"), pipeline.mask).images[0]
        assert np.array_equal(repaired, np.asarray(expected))

        # As if a stroke had come before the texture, and was undone.
        page.evaluate("document.querySelector('.ec').app.work.state.result.isDraft = true")
        page.keyboard.press("Control+z")  # after a menu, too
        page.keyboard.press("Control+Shift+z")
        page.wait_for_function(final)
        assert not page.evaluate("document.querySelector('.ec').app.work.state.result.isDraft")
        assert np.array_equal(pixels(save(page, "png")[1]), repaired)
    finally:
        pipeline.register_to_config(match_texture=False)


@needs_chromium
def test_moving_the_photo_or_a_stroke_of_nothing_gives_no_repair_up(open_page, files, demo):
    page = open_page()
    open_photo(page, files / "photo.png")
    for tool in ("hand", "rectangle"):
        take(page, "brush")
        with demo.gate.turn(1):  # the model is taken, so that the repair waits
            stroke(page, (190, 150), (290, 150), (290, 170), (190, 170))
            expect(page.locator(".ec-busy")).to_be_visible()
            take(page, tool)
            stroke(page, (20, 20), *([(30, 20)] if tool == "hand" else []))
        wait_for_status(page, "Repaired in")
        wait_until_settled(page)


@needs_chromium
def test_what_is_asked_meanwhile_gives_no_repair_up(open_page, files, demo):
    """Ideas, which change nothing, and what the server refuses."""
    page = open_page()
    open_photo(page, files / "photo.png")
    page.evaluate(
        """() => {
          const { server } = document.querySelector('.ec').app, all = server.functions;
          const refuse = async () => ({ error: 'No.' });
          server.functions = new Proxy({}, { get: (_, name) => (name === 'grow_mask' ? refuse : all[name]) });
        }"""
    )
    for name, shown, top in (("ideas", ".ec-ideas button", 150), ("grow", ".ec-error", 60)):
        take(page, "brush")
        with demo.gate.turn(1):  # the model is taken, so that the repair waits
            stroke(page, (190, top), (290, top), (290, top + 20), (190, top + 20))
            expect(page.locator(".ec-busy")).to_be_visible()
            page.locator(f"[data-do={name}]").click()
        expect(page.locator(shown).first).to_be_visible()
        wait_until_settled(page)
        assert page.evaluate("document.querySelector('.ec').app.work.state.isCurrent")
        wait_for_status(page, "Repaired in")


@needs_chromium
def test_the_view_is_moved_compared_and_strokes_are_given_up(open_page, files):
    page = open_page()
    open_photo(page, files / "photo.png")
    view, hold, result = (page.locator(selector) for selector in (".ec-view", "[data-hold]", ".ec-result"))

    def left() -> float:
        return page.evaluate("document.querySelector('.ec').app.view.x")

    start, end = on_screen(page, (190, 150), (290, 150))
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end)
    assert plane(page, "mask").any()
    page.keyboard.press("Escape")
    page.mouse.up()
    assert not plane(page, "mask").any()
    repair_after(page, stroke, (190, 150), (290, 150))
    mask, before = plane(page, "mask"), left()

    # The space bar with the mouse moves the photo, and so does the middle button.
    page.keyboard.down(" ")
    stroke(page, (190, 150), (220, 150))
    page.keyboard.up(" ")
    moved = left()
    assert moved > before + 20
    page.mouse.down(button="middle")
    page.mouse.move(600, 300)
    page.mouse.up(button="middle")
    assert left() != moved
    assert np.array_equal(plane(page, "mask"), mask)
    page.keyboard.press("0")
    assert left() == before

    # Before is seen while the button is held, by mouse or key.
    hold.hover()
    for press, release in ((page.mouse.down, page.mouse.up), (page.keyboard.down, page.keyboard.up)):
        arguments = [" "] if press == page.keyboard.down else []
        press(*arguments)
        expect(result).to_be_hidden()
        release(*arguments)
        expect(result).to_be_visible()

    # The divider stands where it cuts the result, also when the photo is zoomed.
    expect(page.locator(".ec-divider")).to_be_hidden()
    page.get_by_label("Divider", exact=True).check(force=True)
    page.locator("[data-do=zoom-in]").click()
    page.locator(".ec-divider").fill("60")
    cut = page.evaluate("getComputedStyle(document.querySelector('.ec-result')).clipPath")
    expected = page.evaluate(
        """() => {
          const { view, work } = document.querySelector('.ec').app;
          return (0.6 * view.frame.clientWidth - view.x) / view.scale - work.state.result.box[0];
        }"""
    )
    assert float(cut.removeprefix("inset(0px 0px 0px ").removesuffix("px)")) == pytest.approx(expected, abs=0.01)

    full = page.locator("[data-do=fullscreen]")
    view.press("f")
    expect(full).to_have_attribute("aria-pressed", "true")
    full.click()
    expect(full).to_have_attribute("aria-pressed", "false")


@needs_chromium
def test_an_answer_that_a_newer_call_has_replaced_is_dropped(open_page, files):
    page = open_page()
    open_photo(page, files / "photo.png")
    repair_after(page, stroke, (190, 150), (290, 150))
    mask = plane(page, "mask")
    page.evaluate(
        """() => {
          const replaced = async () => ({ replaced: true });
          document.querySelector('.ec').app.server.functions = new Proxy({}, { get: () => replaced });
        }"""
    )
    for name in ("grow", "ideas", "keep", "repair"):
        page.locator(f"[data-do={name}]").click()
        wait_until_settled(page)
    assert np.array_equal(plane(page, "mask"), mask)
    expect(page.locator(".ec-error")).to_be_hidden()
    save_menu = page.locator(".ec-menu")
    save_menu.click()
    page.locator("[data-do=save-png]").click()
    expect(page.locator("[data-do=save-png]")).to_be_hidden()
    expect(page.locator(".ec-error")).to_be_hidden()


@needs_chromium
def test_masks_are_uploaded_and_changed_and_the_result_is_kept(open_page, files, pipeline):
    page = open_page()
    open_photo(page, files / "photo.png")
    mask = pixels(files / "mask.png") > 0
    page.locator("[name=live]").uncheck()

    def upload(path: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.locator("[data-do=upload-mask]").click()
        chooser.value.set_files(path)

    upload(files / "mask.png")
    expect(page.locator("[data-do=repair]")).to_be_enabled()
    assert np.array_equal(plane(page, "mask") > 0, mask)
    steps = [mask, grow(mask, 8), ~grow(mask, 8)]
    for button, expected in zip(("grow", "invert"), steps[1:], strict=True):
        page.locator(f"[data-do={button}]").click()
        page.wait_for_function(
            "n => document.querySelector('.ec').app.work.mask.reduce((sum, value) => sum + value / 255, 0) === n",
            arg=int(expected.sum()),
        )
        assert np.array_equal(plane(page, "mask") > 0, expected)
    for expected in steps[-2::-1]:
        page.locator("[data-do=undo]").click()
        assert np.array_equal(plane(page, "mask") > 0, expected)
    repair_after(page, lambda page: page.locator("[data-do=repair]").click())
    result = pixels(save(page, "png")[1])
    assert np.array_equal(pipeline.mask, mask)
    page.locator("[data-do=keep]").click()
    wait_for_status(page, "The result is the photo now.")
    assert not plane(page, "mask").any()
    assert np.array_equal(pixels(save(page, "png")[1]), result)
    page.locator("[data-do=undo]").click()
    assert np.array_equal(plane(page, "mask") > 0, mask)
    upload(files / "text.png")
    expect(page.locator(".ec-error")).to_contain_text("The mask is not an image in a known format.")


@needs_chromium
def test_select_an_object_pick_an_idea_lay_a_colour_extend(open_page, files, pipeline, tiny_pipeline):
    page = open_page()
    photo = Image.open(files / "photo.png")
    open_photo(page, files / "photo.png")
    take(page, "select")
    repair_after(page, stroke, (140, 160), (140, 160))  # a click
    mask = plane(page, "mask") > 0
    assert np.array_equal(mask, np.asarray(select_object(photo, points=[(140, 160)])) > 0)
    page.locator("[name=selects]").select_option("replace")
    repair_after(page, stroke, (205, 50), (255, 270))
    mask = plane(page, "mask") > 0
    assert mask[160, 230]
    assert not mask[160, 140]

    page.locator("[data-do=ideas]").click()
    repair_after(page, lambda page: page.locator(".ec-ideas button").nth(1).click())
    random = torch.Generator().manual_seed(0)
    (first,), (other,), *_ = tiny_pipeline.generate_edges(photo, mask, num_proposals=4, generator=random)
    assert np.array_equal(plane(page, "edges"), np.where(mask, np.asarray(other), np.asarray(first)))
    assert page.locator("[name=draws][value=mine]").is_checked()
    expect(page.locator(".ec-ideas button")).to_have_count(4)

    take(page, "colour")
    page.locator("[name=colour]").fill("#10ff20")
    repair_after(page, stroke, (225, 160), (240, 160))
    result = pixels(save(page, "png")[1])
    assert (result[160, 226:239, 1] > pixels(files / "photo.png")[160, 226:239, 1]).all()

    page.locator("[name=left]").fill("")  # as much as 0
    page.locator("[name=right]").fill("32")
    repair_after(page, lambda page: page.locator("[data-do=extend]").click())
    assert pixels(save(page, "png")[1]).shape == (HEIGHT, WIDTH + 32, 3)
    assert plane(page, "mask")[:, WIDTH:].all()
    for _ in range(5):
        page.locator("[data-do=undo]").click()
    assert plane(page, "mask").shape == (HEIGHT, WIDTH)
    assert not plane(page, "mask").any()


@needs_chromium
def test_the_photo_is_extended_to_an_aspect_ratio(open_page, files):
    page = open_page()
    open_photo(page, files / "photo.png")
    ratio, sides = page.locator("[name=ratio]"), page.locator(".ec-sides")
    expect(sides).to_be_visible()
    ratio.select_option("4:3")
    expect(sides).to_be_hidden()
    repair_after(page, lambda page: page.get_by_role("button", name="Extend").click())
    mask = plane(page, "mask") > 0
    assert mask.shape == (360, WIDTH)
    assert mask[:20].all()
    assert mask[-20:].all()
    assert not mask[20:-20].any()
    assert pixels(save(page, "png")[1]).shape == (360, WIDTH, 3)
    page.keyboard.press("Control+z")
    assert plane(page, "mask").shape == (HEIGHT, WIDTH)
    ratio.select_option("3:2")
    page.get_by_role("button", name="Extend").click()
    expect(page.locator(".ec-error")).to_contain_text("The photo would not grow.")  # it has this shape

    ratios = [value for value in page.locator("[name=ratio] option").evaluate_all("o => o.map(o => o.value)") if value]
    assert len(ratios) == 7
    for ratio in ratios:
        assert any(find_margins((HEIGHT, WIDTH), {}, ratio)) == (ratio != "3:2")  # each is one that Python knows


@needs_chromium
def test_what_an_earlier_version_of_the_page_kept_is_not_offered(open_page, files):
    page = open_page()
    open_photo(page, files / "photo.png")
    repair_after(page, stroke, (190, 150), (290, 150))
    for change, offered in (("", True), ("state.mask.values = Uint8Array.of(0);", False)):
        page.evaluate(
            "async () => {"
            "  const { createStore, update } = await import('/canvas/idb-keyval.js');"
            f"  await update('state', (state) => {{ {change} return state }}, createStore('edgeconnect', 'work'));"
            "}"
        )
        page.reload()
        wait_for_app(page)
        expect(page.locator(".ec-restore")).to_be_visible(visible=offered)


@needs_chromium
def test_an_example_is_repaired_at_once(open_page, pipeline):
    page = open_page()
    repair_after(page, lambda page: page.locator(".ec-examples button").first.click())
    photo, mask = pixels(EXAMPLES / "cafe.jpg"), pixels(EXAMPLES / "cafe_mask.png") > 0
    result = pixels(save(page, "png")[1])
    assert np.array_equal(pipeline.mask, mask)
    assert np.array_equal(result[~mask], photo[~mask])


@needs_chromium
@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted(open_page, files, way):
    page = open_page()
    page.evaluate(
        """([way, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
          data.items.add(new File([bytes], 'photo.png', {type: 'image/png'}));
          const event = way === 'drop' ? new DragEvent('drop', {dataTransfer: data, cancelable: true})
            : new ClipboardEvent('paste', {clipboardData: data, cancelable: true});
          dispatchEvent(event);
        }""",
        [way, base64.b64encode((files / "photo.png").read_bytes()).decode()],
    )
    wait_for_status(page, "The photo is open")
    assert plane(page, "mask").shape == (HEIGHT, WIDTH)


@needs_chromium
def test_errors_are_shown_in_words_and_a_deleted_photo_is_sent_again(open_page, files, demo):
    page = open_page()
    with page.expect_file_chooser() as chooser:
        page.locator(".ec-start [data-do=open]").click()
    chooser.value.set_files(files / "text.png")
    expect(page.locator(".ec-error")).to_contain_text("The photo is not an image in a known format.")
    open_photo(page, files / "photo.png")
    expect(page.locator(".ec-error")).to_be_hidden()
    take(page, "brush")
    page.locator(".ec-view").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".ec-error")).to_contain_text("Paint over something in the photo first.")
    os.remove(page.evaluate("document.querySelector('.ec').app.work.photo.path"))  # as happens to old files
    repair_after(page, stroke, (190, 150), (290, 150))
    with demo.gate.turn(1):  # the model is taken, so that all others wait
        demo.admitted.update({Job(60): None for _ in range(int(demo.limits.max_waiting) + 1)})
        stroke(page, (190, 170), (290, 170))
        expect(page.locator(".ec-error")).to_contain_text("The server is busy. Please try again in a minute.")
        demo.admitted.clear()
    repair_after(page, lambda page: page.locator("[data-do=repair]").click())


@needs_chromium
def test_fingers_on_a_phone(open_page, files, pipeline):
    page = open_page(390, 844)
    open_photo(page, files / "photo.png")
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def finger(page: Page) -> None:
        first, *others = on_screen(page, *((x, 160) for x in range(180, 301, 20)))
        send("touchStart", first)
        for point in others:
            send("touchMove", point)
        send("touchEnd")

    repair_after(page, finger)
    assert pipeline.mask[160, 190:290].all()
    before, mask = page.evaluate("document.querySelector('.ec').app.view.scale"), plane(page, "mask")
    (left, right) = on_screen(page, (200, 160), (280, 160))
    send("touchStart", left)
    send("touchStart", left, right)
    for step in range(1, 6):
        send("touchMove", [left[0] - 8 * step, left[1]], [right[0] + 8 * step, right[1]])
    send("touchEnd")
    assert page.evaluate("document.querySelector('.ec').app.view.scale") > 1.3 * before
    assert np.array_equal(plane(page, "mask"), mask)  # two fingers do not draw
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate(
        "[...document.querySelectorAll('.ec button')].map(b => b.getBoundingClientRect()).filter(b => b.width)"
        ".map(b => Math.min(b.width, b.height))"
    )
    assert min(sizes) >= 44
    assert pixels(save(page, "png")[1]).shape == (HEIGHT, WIDTH, 3)


@needs_chromium
def test_the_keyboard_alone_repairs_a_photo(open_page, files):
    page = open_page()
    with page.expect_file_chooser() as chooser:
        page.locator(".ec-start .ec-primary").focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "photo.png")
    wait_for_status(page, "The photo is open")
    page.locator(".ec-view").focus()
    page.keyboard.press("]")

    def drag(page: Page, *keys: str) -> None:
        page.keyboard.press("Enter")
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("Enter")

    repair_after(page, drag, *["ArrowRight"] * 6)
    middle = plane(page, "mask")[HEIGHT // 2] > 0
    assert middle.sum() > 60
    page.keyboard.press("i")
    repair_after(page, drag, *["ArrowLeft"] * 5, "ArrowUp")
    line = plane(page, "touched") == 1
    assert 30 < line.any(axis=0).sum() < 80
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert not plane(page, "mask").any()
    page.keyboard.press("Control+y")
    assert plane(page, "mask").any()


def act_at_random(page: Page, chance: random.Random) -> None:
    """One action of a person who tries everything."""
    kind = chance.choice(
        ["stroke"] * 12 + ["undo", "undo", "redo", "grow", "shrink", "invert", "clear", "lines", "draws", "again"]
    )

    def point() -> tuple[float, float]:
        return chance.uniform(100, 380), chance.uniform(80, 240)

    if kind == "stroke":
        tools = ["brush", "rectangle", "lasso", "erase-hole", "pencil", "line", "erase-lines", "colour"]
        page.evaluate("tool => document.querySelector('.ec').app.take(tool)", chance.choice(tools))
        stroke(page, *(point() for _ in range(chance.randint(2, 4))))
    elif kind == "draws":
        page.locator(f"[name=draws][value={chance.choice(['me', 'mine'])}]").check()
    elif kind == "again":
        page.evaluate("document.querySelector('.ec-results button:last-child')?.click()")
    else:
        button = {"lines": "clear-lines"}.get(kind, kind)
        page.evaluate("name => document.querySelector('.ec').app.act(name)", button)
    if chance.random() < 0.7:  # at times, the next action does not wait
        wait_until_settled(page)


@needs_chromium
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 50))])
def test_random_sessions(open_page, files, pipeline, seed):
    """Browser and server agree, and what is undone is undone."""
    page, chance = open_page(), random.Random(seed)
    open_photo(page, files / "photo.png")
    for _ in range(40):
        act_at_random(page, chance)
        if not page.locator(".ec-error").is_hidden():  # a hole everywhere
            expect(page.locator(".ec-error")).to_contain_text("The hole covers the whole photo.")
            page.locator("[data-do=close-error]").click()
    wait_until_settled(page)
    page.evaluate("document.querySelector('.ec').app.take('brush')")
    page.evaluate("document.querySelector('.ec').app.act('clear')")
    repair_after(page, stroke, (200, 160), (280, 160))
    assert np.array_equal(pipeline.mask, plane(page, "mask") > 0)
    assert np.array_equal(pipeline.edges, plane(page, "edges"))
    names = ("mask", "edges", "touched")
    end = [plane(page, name) for name in names]
    steps = page.evaluate(
        "() => {const {app} = document.querySelector('.ec'); let n = 0;"
        "while (app.work.place > 0) {app.act('undo'); n++} return n}"
    )
    assert not any(plane(page, name).any() for name in names)
    page.evaluate("n => {for (let i = 0; i < n; i++) document.querySelector('.ec').app.act('redo')}", steps)
    assert all(
        np.array_equal(plane(page, name), there) for name, there in zip(("mask", "edges", "touched"), end, strict=True)
    )


@needs_chromium
@pytest.mark.skipif(not AXE.exists(), reason="`npm install` brings axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page, files, scheme):
    page = open_page(color_scheme=scheme)

    def findings() -> list[str]:
        page.evaluate(AXE.read_text())
        result = page.evaluate("axe.run('.ec', {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['html'][:120]}: {node['any'][0]['message'] if node['any'] else ''}"
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    assert findings() == []
    open_photo(page, files / "photo.png")
    repair_after(page, stroke, (190, 150), (290, 150))
    page.locator(".ec-menu").click()
    assert findings() == []


@pytest.fixture(scope="module")
def client(url):
    client = Client(url, verbose=False)
    yield client
    client.close()


def arguments(files: Path) -> list:
    return [handle_file(files / "photo.png"), handle_file(files / "mask.png")]


def test_the_api_is_typed_and_described(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == [
        *("/complete", "/extend", "/generate_edges", "/inpaint", "/propose_lines", "/select_object"),
    ]
    for endpoint in endpoints.values():
        assert endpoint["description"]
        assert all(parameter["label"] for parameter in endpoint["parameters"])
    names = {name: [p["parameter_name"] for p in endpoint["parameters"]] for name, endpoint in endpoints.items()}
    assert names["/complete"] == ["image", "mask_image", "edges", "strategy"]
    assert names["/inpaint"] == ["image", "mask_image", "sigma", "strategy", "edge_hints"]
    required = [p["parameter_name"] for p in endpoints["/inpaint"]["parameters"] if not p["parameter_has_default"]]
    assert required == ["image", "mask_image"]


def test_the_api_gives_what_the_pipeline_gives(client, files, tiny_pipeline):
    photo, mask = Image.open(files / "photo.png"), Image.open(files / "mask.png")
    expected = tiny_pipeline(photo, mask, sigma=1.5)
    lines = client.predict(*arguments(files), sigma=1.5, api_name="/generate_edges")
    repaired = client.predict(*arguments(files), handle_file(lines), api_name="/complete")
    both = client.predict(*arguments(files), sigma=1.5, api_name="/inpaint")
    for path in (lines, both[1]):
        assert np.array_equal(pixels(path), np.asarray(expected.edges[0]))
    for path in (repaired, both[0]):
        assert np.array_equal(pixels(path), np.asarray(expected.images[0]))
    with pytest.raises(AppError, match="`mask_image` must have the size of `image`, 480x320: got 48x32"):
        client.predict(handle_file(files / "photo.png"), handle_file(files / "small.png"), api_name="/inpaint")
    for sigma in (-1, 1e9, None):
        with pytest.raises(AppError, match=f"`sigma` must be a number above 0, at most 100: got {sigma}."):
            client.predict(*arguments(files), sigma=sigma, api_name="/inpaint")


def test_the_api_proposes_selects_and_extends(client, files, tiny_pipeline):
    photo, mask = Image.open(files / "photo.png"), Image.open(files / "mask.png")
    proposals = client.predict(*arguments(files), seed=3, api_name="/propose_lines")
    random = torch.Generator().manual_seed(3)
    expected = tiny_pipeline.generate_edges(photo, mask, num_proposals=4, generator=random)
    assert [pixels(path).tobytes() for path in proposals] == [np.asarray(edges).tobytes() for (edges,) in expected]

    selected = client.predict(
        *arguments(files)[:1],
        points=[[140, 160]],
        mask_image=handle_file(files / "mask.png"),
        mode="add",
        api_name="/select_object",
    )
    told = {"points": [[140, 160]], "mask": mask, "mode": "add"}
    assert np.array_equal(pixels(selected), np.asarray(select_object(photo, **told)))

    extended, lines = client.predict(*arguments(files)[:1], left=8, aspect_ratio="", api_name="/extend")
    expected = tiny_pipeline.extend(photo, left=8)
    assert np.array_equal(pixels(extended), np.asarray(expected.images[0]))
    assert np.array_equal(pixels(lines), np.asarray(expected.edges[0]))
    wider, _ = client.predict(*arguments(files)[:1], aspect_ratio="8:5", api_name="/extend")
    assert Image.open(wider).size == (512, 320)
    with pytest.raises(AppError, match="would be too large"):
        client.predict(*arguments(files)[:1], right=4096, bottom=4096, left=4096, api_name="/extend")


def test_a_segmenter_of_ones_own_selects_for_api_and_page(tiny_pipeline, files, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    told = []

    def segmenter(photo, **given):
        told.append(given["points"])
        return np.arange(photo.shape[1]) < np.full(photo.shape[:2], 100)

    demo = build_demo(tiny_pipeline, segmenter=segmenter)
    url = launch(demo, host="127.0.0.1", block=False)
    client = Client(url, verbose=False)
    try:
        selected = client.predict(handle_file(files / "photo.png"), points=[[140, 160]], api_name="/select_object")
        assert np.array_equal(pixels(selected), np.where(np.arange(WIDTH) < np.full((HEIGHT, WIDTH), 100), 255, 0))
        with httpx.Client(base_url=url, timeout=60) as http:
            upload = {"files": ("photo.png", (files / "photo.png").read_bytes())}
            (path,) = http.post("gradio_api/upload", files=upload).json()
            canvas = next(c for c in http.get("config").json()["components"] if c["props"].get("elem_id") == "canvas")
            asked = {"photo": {"path": path}, "width": WIDTH, "height": HEIGHT, "mode": "add", "points": [[7, 8]]}
            asked["mask"] = pack(np.zeros((HEIGHT, WIDTH), bool))
            body = {"fn_name": "select_object", "data": asked, "session_hash": "x", "component_id": canvas["id"]}
            answer = http.post("gradio_api/component_server/", json=body).json()
        assert np.array_equal(unpack(answer["mask"], (HEIGHT, WIDTH)), pixels(selected))
        assert told == [[(140, 160)], [(7, 8)]]
    finally:
        client.close()
        demo.close()


def test_eight_calls_at_once_are_each_answered_right(url, files, tiny_pipeline, tmp_path):
    photo = Image.open(files / "photo.png")
    masks = []
    for number in range(8):
        mask = Image.new("L", photo.size)
        ImageDraw.Draw(mask).rectangle((40 * number + 20, 100, 40 * number + 60, 140), fill=255)
        mask.save(tmp_path / f"{number}.png")
        masks.append(mask)

    def call(number):  # each by a client of its own: one client may have two jobs at a time
        client = Client(url, verbose=False)
        try:
            return client.predict(
                handle_file(files / "photo.png"), handle_file(tmp_path / f"{number}.png"), api_name="/inpaint"
            )
        finally:
            client.close()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(8)))
    for mask, (repaired, _) in zip(masks, results, strict=True):
        assert np.array_equal(pixels(repaired), np.asarray(tiny_pipeline(photo, mask).images[0]))


@pytest.mark.slow
def test_memory_stays_over_fifty_calls(client, files):
    def resident() -> float:
        return psutil.Process().memory_info().rss / 2**20

    for _ in range(10):
        client.predict(*arguments(files), api_name="/inpaint")
    before = resident()
    for _ in range(50):
        client.predict(*arguments(files), api_name="/inpaint")
    assert resident() - before < 30  # MB; a leak of one result a call would be 23 MB, of its planes several times that


def test_nothing_but_the_apps_own_files_is_served(url):
    for path in (__file__, "pyproject.toml", "/etc/hostname"):
        assert httpx.get(f"{url}gradio_api/file={path}", timeout=60).status_code == 403
    big = {"files": ("big.png", b"\0" * (31 * 2**20))}
    assert httpx.post(f"{url}gradio_api/upload", files=big, timeout=60).status_code == 413


def test_files_are_deleted_when_their_time_is_over(client, demo, files):
    client.predict(*arguments(files), api_name="/inpaint")
    kept = Path(os.environ["GRADIO_TEMP_DIR"])

    def pictures() -> set[str]:
        return {path.name for path in kept.rglob("*.*")}

    assert {"photo.png", "mask.png", "lines.png", "repaired.png"} <= pictures()
    delete_files_created_by_app(demo, Limits().file_age)  # what Gradio runs every ten minutes
    assert "repaired.png" in pictures()
    delete_files_created_by_app(demo, 0)
    assert pictures() <= {path.name for path in EXAMPLES.iterdir()}


def test_the_command_serves_this_machine_only_and_brings_its_examples(tiny_pipeline, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path / "tiny")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "edgeconnect_hf.cli",
        "demo",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--max-megapixels",
        "7",
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    server = subprocess.Popen(
        [*command, "--model", tmp_path / "tiny"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert next(line for line in server.stdout if "http" in line).strip().endswith(f"http://127.0.0.1:{port}")
        listening = [c.laddr for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening if address.port == port} == {"127.0.0.1"}
        components = httpx.get(f"http://127.0.0.1:{port}/config", timeout=60).json()["components"]
        (props,) = (c["props"] for c in components if c["props"].get("elem_id") == "canvas")
        names = [photo for photo, _ in props["props"]["examples"]]
        sizes = {
            len(httpx.get(f"http://127.0.0.1:{port}/canvas/{name}", timeout=60).raise_for_status().content)
            for name in names
        }
        assert sizes == {path.stat().st_size for path in EXAMPLES.glob("*.jpg")}
        assert props["props"]["max_megapixels"] == 7
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


def test_limits_come_from_flags_and_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("EDGECONNECT_MAX_MEGAPIXELS", "7")
    monkeypatch.setenv("EDGECONNECT_TIME_LIMIT", "9")
    parser = argparse.ArgumentParser()
    Limits.add_flags(parser)
    limits = Limits.from_flags(parser.parse_args(["--time-limit", "8"]))
    assert (limits.max_megapixels, limits.time_limit, limits.max_wait) == (7, 8, 120)
    monkeypatch.setenv("EDGECONNECT_TIME_LIMIT", "long")
    assert cli.main(["demo"]) == 2
    assert "A limit in the environment" in capsys.readouterr().err


def test_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "edgeconnect_hf.demo.app")
    assert cli.main(["demo"]) == 2
    assert "`edgeconnect demo` needs Gradio: pip install 'edgeconnect-hf[demo]'." in capsys.readouterr().err

"""The page as a visitor meets it, in a real Chromium, and the API as a program does."""

import os
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("gradio", reason="the page needs the extra `demo`")
pytest.importorskip("playwright", reason="the extra `dev` brings playwright")

import httpx
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect, sync_playwright

from edgeconnect_hf import EdgeConnectPipeline, cli
from edgeconnect_hf.demo import EXAMPLES, Limits, build_demo, launch
from edgeconnect_hf.holes import grow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; `apt-get install chromium` lets the page's tests run"
)
PATIENCE = 60_000  # milliseconds; a busy machine is no failure
WIDTH, HEIGHT = 480, 320
HOLE = (180, 130, 300, 190)  # lies within what `paint_hole` paints

expect.set_options(timeout=PATIENCE)


class Recorded(EdgeConnectPipeline):
    """Remembers what passed through its two halves."""

    def generate_edges(self, image, mask_image, **options):
        edges = super().generate_edges(image, mask_image, **options)
        self.drawn, self.hints = np.asarray(edges[0]), options.get("edge_hints")
        return edges

    def complete(self, image, mask_image, edges, **options):
        self.mask, self.edges = np.asarray(mask_image), np.asarray(edges)
        return super().complete(image, mask_image, edges, **options)


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
    """photo.png, mask.png, small.png (a mask of another size), text.png (no picture)."""
    folder = tmp_path_factory.mktemp("files")
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = Image.fromarray(np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8))
    for left in range(30, WIDTH, 90):
        ImageDraw.Draw(picture).rectangle((left, 60, left + 40, 260), fill=(30, 40, 60))
    picture.save(folder / "photo.png")
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

    def open_page(width=860, height=760) -> Page:
        phone = width < 500
        context = browser.new_context(viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: outside.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [address for address in outside if not address.startswith((url, "data:", "blob:"))] == []
    assert errors == []


def open_photo(page: Page, path: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(path)
    wait_for_editor(page, "#mask")


def wait_for_editor(page: Page, selector: str) -> None:
    """Until a picture is on the canvas, which arms the brush and shows its scale."""
    page.wait_for_selector(f"{selector} button[aria-label=Brush]")
    page.wait_for_function("name => /\\d+%/.test(document.querySelector(name).innerText)", arg=selector)
    expect(page.locator(f"{selector} button[aria-label='Clear canvas']")).to_be_enabled()


def on_screen(page: Page, selector: str, points) -> list[tuple[float, float]]:
    """Where the photo's points are: it stands in the middle of the canvas, scaled as the tool bar says."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(f"{selector} canvas").last.bounding_box()
    scale = int(re.search(r"(\d+)%", page.locator(selector).inner_text()).group(1)) / 100
    left, top = box["x"] + (box["width"] - WIDTH * scale) / 2, box["y"] + (box["height"] - HEIGHT * scale) / 2
    return [(left + x * scale, top + y * scale) for x, y in points]


def stroke(page: Page, selector: str, *points) -> None:
    """Draw with the mouse; again, as a person would, where the editor was still loading and dropped the stroke."""
    undo = page.locator(f"{selector} button[aria-label=Undo]")
    first, *others = on_screen(page, selector, points)
    for attempt in range(4):
        page.mouse.move(*first)
        page.mouse.down()
        for point in others:
            page.mouse.move(*point)
        page.mouse.up()
        try:
            expect(undo).to_be_enabled(timeout=PATIENCE / 4)
            break
        except AssertionError:
            if attempt == 3:
                raise


def take(page: Page, selector: str, tool: str) -> None:
    button = page.locator(f"{selector} button[aria-label={tool}]")
    button.click()
    expect(button).to_have_class(re.compile("highlight"))


def paint_hole(page: Page) -> None:
    left, top, right, bottom = HOLE
    stroke(page, "#mask", *((x, y) for y in (top + 8, (top + bottom) // 2, bottom - 8) for x in (left, right)))


def click_for_result(page: Page, button: str) -> np.ndarray:
    """Click, wait for the slider's new picture, and download the result."""
    old = page.locator("#slider img").last.get_attribute("src") if page.locator("#slider img").count() else ""
    page.locator(button).click()
    page.wait_for_function(
        "old => {const all = document.querySelectorAll('#slider img');"
        "return all.length > 1 && all[all.length - 1].src && all[all.length - 1].getAttribute('src') !== old}",
        arg=old,
    )
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename.endswith("_repaired.png")
    return np.asarray(Image.open(download.value.path()))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@needs_chromium
def test_paint_find_edit_complete(open_page, files, pipeline):
    page = open_page()
    open_photo(page, files / "photo.png")
    paint_hole(page)
    page.locator("#find").click()
    wait_for_editor(page, "#lines")
    unedited = click_for_result(page, "#complete")

    # Nobody touched the lines: they came back from the browser's canvas as they were.
    assert np.array_equal(pipeline.edges, pipeline.drawn)
    left, top, right, bottom = HOLE
    mask = pipeline.mask
    assert mask[top:bottom, left:right].all()
    assert not mask[: top - 30].any()
    assert not mask[bottom + 30 :].any()
    photo = pixels(files / "photo.png")
    assert unedited.shape == photo.shape
    assert np.array_equal(unedited[~mask], photo[~mask])

    # A line in the hole is drawn, others are erased.
    page.wait_for_selector("#lines button[aria-label=Brush]")
    take(page, "#lines", "Brush")
    stroke(page, "#lines", (200, 145), (280, 145))
    take(page, "#lines", "Erase")
    stroke(page, "#lines", (200, 175), (280, 175))
    edited = click_for_result(page, "#complete")

    assert (pipeline.edges[141:150, 210:270].max(axis=0) == 255).all()
    assert (pipeline.edges[173:178, 210:270] == 0).all()
    assert pipeline.drawn[173:178, 210:270].any()
    untouched = np.r_[0:130, 195:HEIGHT]
    assert np.array_equal(pipeline.edges[untouched], pipeline.drawn[untouched])
    assert np.array_equal(edited[~mask], photo[~mask])
    assert (edited[135:155, 200:280] != unedited[135:155, 200:280]).any()
    assert (edited[165:185, 200:280] != unedited[165:185, 200:280]).any()

    # A second round starts from the result.
    page.locator("#reuse").click()
    expect(page.locator("#slider")).to_have_count(0)
    expect(page.locator("#mask button[aria-label=Undo]")).to_be_disabled()
    wait_for_editor(page, "#mask")
    stroke(page, "#mask", (40, 40), (60, 40))
    again = click_for_result(page, "#erase")
    assert np.array_equal(again[100:], edited[100:])


@needs_chromium
def test_erase_object_with_an_uploaded_mask_and_change_it(open_page, files, pipeline):
    page = open_page()
    open_photo(page, files / "photo.png")
    page.locator("#mask-tools button").first.click()
    with page.expect_file_chooser() as chooser:
        page.locator("#upload-mask").click()
    with page.expect_request(re.compile("queue/join")):
        chooser.value.set_files(files / "mask.png")
    result = click_for_result(page, "#erase")  # at once; the editor has not even been sent the mask
    mask = pixels(files / "mask.png") > 0
    assert np.array_equal(pipeline.mask > 0, mask)
    assert np.array_equal(result[~mask], pixels(files / "photo.png")[~mask])
    assert (result[mask] != pixels(files / "photo.png")[mask]).any()

    # A stroke that is taken back leaves nothing; the mask's tools work one upon the other, however quickly clicked.
    stroke(page, "#mask", (40, 40), (60, 40))
    page.locator("#mask button[aria-label=Undo]").click()
    page.locator("#grow").click()
    click_for_result(page, "#erase")
    grown = grow(mask, 8)
    assert np.array_equal(pipeline.mask, grown)
    page.locator("#shrink").click()
    page.locator("#invert").click()
    click_for_result(page, "#erase")
    assert np.array_equal(pipeline.mask, ~grow(grown, -8))
    with page.expect_request(re.compile("queue/join")):
        page.locator("#mask button[aria-label='Clear canvas']").click()
    page.locator("#erase").click()
    expect(page.locator(".toast-body")).to_contain_text("Paint over something in the photo first.")


@needs_chromium
def test_sketched_lines_are_continued(open_page, files, pipeline):
    page = open_page()
    open_photo(page, files / "photo.png")
    paint_hole(page)
    page.locator("#sketch").click()
    wait_for_editor(page, "#lines")
    stroke(page, "#lines", (200, 150), (280, 150))
    with page.expect_response(re.compile("queue/join")):
        page.locator("#continue").click()
    expect(page.locator("#lines button[aria-label=Undo]")).to_be_disabled()
    sketched = np.asarray(pipeline.hints) == 255
    assert sketched[148:153, 210:270].any(axis=0).all()
    assert not sketched[:140].any()
    assert not sketched[160:].any()

    with page.expect_request(re.compile("queue/join")):
        page.locator("#lines button[aria-label='Clear canvas']").click()  # takes back what was drawn since, no more
    click_for_result(page, "#complete")
    assert np.array_equal(pipeline.edges, pipeline.drawn)
    assert (pipeline.edges[sketched] == 255).all()
    assert (pipeline.edges[pipeline.mask & ~sketched] > 0).any()


@needs_chromium
def test_an_example_is_repaired_at_once(open_page, pipeline):
    page = open_page()
    page.locator("#examples button").first.click()
    page.wait_for_selector("#slider img")
    with page.expect_download() as download:
        page.locator("#download").click()
    photo, mask = pixels(EXAMPLES / "cafe.jpg"), pixels(EXAMPLES / "cafe_mask.png") > 0
    result = np.asarray(Image.open(download.value.path()))
    assert np.array_equal(pipeline.mask > 0, mask)
    assert np.array_equal(result[~mask], photo[~mask])


@needs_chromium
def test_errors_are_toasts(open_page, files):
    page = open_page()
    page.locator("#photo input[type=file]").set_input_files(files / "text.png")
    expect(page.locator(".toast-body").last).to_contain_text("The photo is not an image in a known format.")


@needs_chromium
def test_who_is_turned_away_reads_why_and_may_try_again(open_page, files, url, demo):
    page = open_page()
    example = page.locator("#examples button").first
    api = f"{url}gradio_api/"
    with (files / "photo.png").open("rb") as photo, (files / "mask.png").open("rb") as mask:
        uploads = httpx.post(f"{api}upload", files=[("files", photo), ("files", mask)]).json()
    data = [*({"path": path, "meta": {"_type": "gradio.FileData"}} for path in uploads), 2, "auto", None]
    with demo.gate.turn(1):  # the model is taken, so that all others wait
        events, answer = [], httpx.post(f"{api}call/inpaint", json={"data": data})
        while answer.status_code == 200:
            events.append(answer.json()["event_id"])
            answer = httpx.post(f"{api}call/inpaint", json={"data": data})
        assert len(events) == demo.limits.max_waiting + 1
        example.click()
        expect(page.locator(".toast-body").last).to_contain_text(
            "This application is currently busy. Please try again."
        )
    for event in events:
        assert "event: complete" in httpx.get(f"{api}call/inpaint/{event}", timeout=PATIENCE).text
    example.click()
    page.wait_for_selector("#slider img")


@needs_chromium
def test_a_finger_on_a_phone(open_page, files, pipeline):
    page = open_page(390, 844)
    open_photo(page, files / "photo.png")
    touch = page.context.new_cdp_session(page)
    first, *others = on_screen(page, "#mask", [(x, 160) for x in range(180, 301, 10)])

    def send(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    send("touchStart", first)
    for point in others:
        send("touchMove", point)
    send("touchEnd")
    expect(page.locator("#mask button[aria-label=Undo]")).to_be_enabled()
    result = click_for_result(page, "#erase")
    assert result.shape == (HEIGHT, WIDTH, 3)
    assert pipeline.mask[160, 190:290].all()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def client(url):
    client = Client(url, verbose=False)
    yield client
    client.close()


def arguments(files: Path) -> list:
    return [handle_file(files / "photo.png"), handle_file(files / "mask.png")]


def test_the_api_is_typed_and_described(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/complete", "/generate_edges", "/inpaint"]
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
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403
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
    command = [sys.executable, "-m", "edgeconnect_hf.cli", "demo", "--port", str(port), "--max-megapixels", "7"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    server = subprocess.Popen(
        [*command, "--model", tmp_path / "tiny"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert next(line for line in server.stdout if "http" in line).strip().endswith(f"http://127.0.0.1:{port}")
        listening = [c.laddr for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening if address.port == port} == {"127.0.0.1"}
        components = httpx.get(f"http://127.0.0.1:{port}/config").json()["components"]
        (examples,) = (c["props"]["samples"] for c in components if c["props"].get("elem_id") == "examples")
        sizes = {len(httpx.get(picture["url"]).raise_for_status().content) for (picture,) in examples}
        assert sizes == {path.stat().st_size for path in EXAMPLES.glob("*.jpg")}
        assert "and 7 megapixels" in httpx.get(f"http://127.0.0.1:{port}/config").text
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


def test_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "edgeconnect_hf.demo.app")
    assert cli.main(["demo"]) == 2
    assert "`edgeconnect demo` needs Gradio: pip install 'edgeconnect-hf[demo]'." in capsys.readouterr().err

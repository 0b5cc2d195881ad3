"""Cost of the demo: time of the example photos, of a large photo, of eight calls at once, memory over fifty calls.

    python benchmarks/demo.py [--large] [--screenshot docs/demo.png] [--animation docs/demo.webp]

Starts the server in this process and calls its API: upload, repair, download. If Chromium is installed, it also clicks
each example on the page, in a new window, and waits for the result on the canvas; and it drops a photo of 12 megapixels
on the page, an example enlarged, and clicks an object in it. `--large` measures this alone. `--screenshot` and
`--animation` take the README's images instead: an example with its result and a line drawn.
"""

import argparse
import io
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import EXAMPLES, build_demo, launch

_LINE = ((0.43, 0.52), (0.57, 0.52))  # in shares of the photo's width and height


def resident_megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


def open_page(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 760})
    page.set_default_timeout(120_000)  # a busy machine is no failure
    page.goto(url)
    page.wait_for_function("() => document.querySelector('.ec')?.app")
    return page


def wait_for_result(page: Page) -> None:
    page.wait_for_function(
        "() => /^Repaired in [\\d.]+ seconds\\.$/.test(document.querySelector('.ec-status').textContent)"
    )


def click_example(page: Page, number: int) -> float:
    """Seconds from the click on an example to the result on the canvas."""
    start = time.perf_counter()
    page.locator(".ec-examples button").nth(number).click()
    wait_for_result(page)
    return time.perf_counter() - start


def make_photo(file: Path, seed: int, pixels: float = 12e6) -> tuple[float, float]:
    """Write the first example at so many pixels, with grain, as a JPEG. Returns a place on its object."""
    path = sorted(EXAMPLES.glob("*.jpg"))[0]
    with Image.open(path) as image, Image.open(path.with_name(f"{path.stem}_mask.png")) as mask:
        scale = (pixels / (image.width * image.height)) ** 0.5
        large = np.asarray(
            image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        )
        rows, columns = np.nonzero(np.asarray(mask))
    grain = np.random.default_rng(seed).normal(0, 3, large.shape)
    Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(file, quality=92)
    return scale * float(columns.mean()), scale * float(rows.mean())


def drop_large_photo(page: Page, photo: Path) -> tuple[float, float]:
    """Seconds from the drop of a photo until it is seen, and until the server has checked it."""
    page.evaluate(
        """() => {
          const input = Object.assign(document.createElement('input'), {type: 'file', id: 'large'});
          document.body.append(input);
          const status = document.querySelector('.ec-status'), page = document.querySelector('.ec');
          const frame = () => new Promise(requestAnimationFrame);
          const seconds = async (began, condition) => {
            while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
            await frame();
            await frame(); // the first one has been painted
            return (performance.now() - began) / 1000;
          };
          window.drop = () => {
            const data = new DataTransfer(), began = performance.now();
            data.items.add(input.files[0]);
            dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}));
            return Promise.all([
              seconds(began, () => page.dataset.state === 'open'),
              seconds(began, () => status.textContent.startsWith('The photo is open')),
            ]);
          };
        }"""
    )
    page.set_input_files("#large", photo)
    shown, checked = page.evaluate("drop()")
    return shown, checked


def drag(page: Page, tool: str, *points: tuple[float, float]) -> tuple[float, float]:
    """Seconds from the end of a stroke, or a click, to the first result, and to the final one with its texture."""
    page.locator(f"button[data-tool={tool}]").click()
    page.evaluate("document.querySelector('.ec-status').textContent = ''")
    places = page.evaluate(
        """(points) => {
          const {view} = document.querySelector('.ec').app, {left, top} = view.frame.getBoundingClientRect();
          return points.map(([x, y]) => [left + view.x + x * view.scale, top + view.y + y * view.scale]);
        }""",
        points,
    )
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[-1], steps=10)
    start = time.perf_counter()
    page.mouse.up()
    page.wait_for_function("document.querySelector('.ec-status').textContent.startsWith('Repaired in')")
    first = time.perf_counter() - start
    wait_for_result(page)
    return first, time.perf_counter() - start


def measure_large_photo(browser: Browser, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("| 12 megapixels | shown | checked | from a click to the first result | to the final one | load |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number in range(1, 6):
            photo = Path(folder) / f"{number}.jpg"  # each is new to the server
            x, y = make_photo(photo, seed=number)
            page = open_page(browser, url)
            times = (*drop_large_photo(page, photo), *drag(page, "select", (x, y)))
            page.close()
            row = " | ".join(f"{seconds:.2f} s" for seconds in times)
            print(f"| {number}, {photo.stat().st_size / 2**20:.1f} MB | {row} | {psutil.getloadavg()[0]:.1f} |")
    print()


def measure_strokes(browser: Browser, url: str) -> None:
    """A hole of 200x200 in a photo of 1280x720, then a straight line in it."""
    with tempfile.TemporaryDirectory() as folder:
        print("| 1280x720 | from a stroke to the first result | to the final one | load |\n| --- | --- | --- | --- |")
        for number in range(1, 6):
            photo = Path(folder) / f"{number}.jpg"
            make_photo(photo, seed=number, pixels=1280 * 720)
            page = open_page(browser, url)
            drop_large_photo(page, photo)
            for tool, points in {"rectangle": ((500, 250), (700, 450)), "line": ((520, 350), (680, 350))}.items():
                first, final = drag(page, tool, *points)
                print(f"| {tool} {number} | {first:.2f} s | {final:.2f} s | {psutil.getloadavg()[0]:.1f} |")
            page.close()
    print()


def take_images(page: Page, screenshot: Path | None, animation: Path | None) -> None:
    """The page with an example: opened, repaired, with its lines, with a line drawn, with its result."""
    frames = []

    def shoot(*_: object) -> None:
        with Image.open(io.BytesIO(page.screenshot())) as image:
            frames.append(
                image.convert("RGB").resize((960, image.height * 960 // image.width), Image.Resampling.LANCZOS)
            )

    shoot()
    click_example(page, 0)
    page.wait_for_timeout(300)
    shoot()
    page.locator("button[data-tool=line]").click()
    page.wait_for_timeout(300)
    shoot()
    page.evaluate("document.querySelector('.ec-status').textContent = ''")
    box = page.locator(".ec-photo").bounding_box()
    if box is None:
        raise RuntimeError("The photo is not visible.")
    start, end = ((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in _LINE)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=10)
    page.mouse.up()
    wait_for_result(page)
    page.wait_for_timeout(300)
    shoot()
    if screenshot:
        frames[-1].save(screenshot, optimize=True)
    page.locator("button[data-tool=hand]").click()
    page.wait_for_timeout(300)
    shoot()
    if animation:
        frames[0].save(animation, save_all=True, append_images=frames[1:], duration=1500, loop=0, quality=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="take this screenshot, measure nothing")
    parser.add_argument("--animation", type=Path, metavar="WEBP", help="make this animated picture, measure nothing")
    parser.add_argument("--large", action="store_true", help="measure the large photo alone")
    args = parser.parse_args()
    wants_images = args.screenshot or args.animation
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

    url = launch(build_demo(EdgeConnectPipeline.from_pretrained()), host="127.0.0.1", block=False)
    names = [path.stem for path in sorted(EXAMPLES.glob("*.jpg"))]
    if wants_images and not chromium:
        raise SystemExit("`--screenshot` and `--animation` need Chromium.")
    if chromium:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            if wants_images:
                take_images(open_page(browser, url), args.screenshot, args.animation)
                return
            measure_strokes(browser, url)
            measure_large_photo(browser, url)
            if args.large:
                return
            print("| example | from click to picture, median of 3 |\n| --- | --- |")
            for number, name in enumerate(names):
                seconds = statistics.median(click_example(open_page(browser, url), number) for _ in range(3))
                print(f"| {name} | {seconds:.2f} s |")
            print()
    client = Client(url, verbose=False)

    def inpaint(name: str, client: Client = client) -> float:
        start = time.perf_counter()
        photo, mask = handle_file(EXAMPLES / f"{name}.jpg"), handle_file(EXAMPLES / f"{name}_mask.png")
        client.predict(photo, mask, api_name="/inpaint")
        return time.perf_counter() - start

    print("| photo | from call to result, median of 5 |\n| --- | --- |")
    for name in names:
        inpaint(name)
        print(f"| {name} | {statistics.median(inpaint(name) for _ in range(5)):.2f} s |")

    clients = [Client(url, verbose=False) for _ in range(8)]  # one each: a session may have two jobs at a time
    start = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(inpaint, (names * 3)[:8], clients))
    print(f"\nEight calls at once: {time.perf_counter() - start:.1f} s.")

    memory = []
    for _ in range(5):
        memory.append(resident_megabytes())
        for _ in range(10):
            inpaint(names[0])
    memory.append(resident_megabytes())
    print(
        "Memory before, and after every ten of fifty calls: " + ", ".join(f"{value:.0f}" for value in memory) + " MB."
    )


if __name__ == "__main__":
    main()

"""Cost of the demo: time of the example photos, time of eight calls at once, memory over fifty calls.

    python benchmarks/demo.py [--screenshot docs/demo.png]

Starts the server in this process and calls its API: upload, repair, download. If Chromium is installed, it also clicks
each example on the page, in a new window, and waits for both images of the slider. `--screenshot` takes the README's
image instead: an example with its result and a line drawn.
"""

import argparse
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import EXAMPLES, build_demo, launch


def resident_megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


def drag(page: Page, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags the mouse between two points, given as shares of the element's width and height."""
    element = page.locator(selector).last
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    if box is None:
        raise RuntimeError(f"{selector!r} is not visible.")
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=10)
    page.mouse.up()


def click_example(browser: Browser, url: str, number: int, screenshot: Path | None = None) -> float:
    """Seconds from the click on an example to both images of the slider."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    example = page.locator("#examples button").nth(number)
    example.wait_for()
    page.wait_for_timeout(1000)  # until the page has settled
    start = time.perf_counter()
    example.click()
    page.wait_for_function(
        "() => {const images = [...document.querySelectorAll('#slider img')];"
        "return images.length > 1 && images.every(image => image.complete && image.naturalWidth)}"
    )
    seconds = time.perf_counter() - start
    if screenshot:
        page.wait_for_timeout(4000)  # until both editors show their images
        drag(page, "#lines canvas", (0.25, 0.52), (0.5, 0.52))
        drag(page, "#slider", (0.5, 0.5), (0.3, 0.5))
        page.mouse.move(0, 0)
        page.wait_for_timeout(1000)
        page.screenshot(path=screenshot, full_page=True)
        with Image.open(screenshot) as image:
            smaller = image.convert("RGB").resize((960, image.height * 960 // image.width), Image.Resampling.LANCZOS)
        smaller.save(screenshot, optimize=True)
    page.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="take this screenshot, measure nothing")
    screenshot = parser.parse_args().screenshot
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

    url = launch(build_demo(EdgeConnectPipeline.from_pretrained()), host="127.0.0.1", block=False)
    names = [path.stem for path in sorted(EXAMPLES.glob("*.jpg"))]
    if screenshot and not chromium:
        raise SystemExit("`--screenshot` needs Chromium.")
    if chromium:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            if screenshot:
                click_example(browser, url, 0, screenshot)
                return
            print("| example | from click to picture, median of 3 |\n| --- | --- |")
            for number, name in enumerate(names):
                seconds = statistics.median(click_example(browser, url, number) for _ in range(3))
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

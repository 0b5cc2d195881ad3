"""What the page's steps cost: time for the example photos, time of eight calls at once, memory over fifty.

    python benchmarks/demo.py

Starts the server in this process and calls its API as a program does: upload, work, download.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from gradio_client import Client, handle_file

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import build_demo, launch

EXAMPLES = Path(__file__).parent.parent / "space" / "examples"


def resident_megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


def main() -> None:
    url = launch(build_demo(EdgeConnectPipeline.from_pretrained()), host="127.0.0.1", block=False)
    client = Client(url, verbose=False)

    def inpaint(name: str) -> float:
        start = time.perf_counter()
        photo, mask = handle_file(EXAMPLES / f"{name}.jpg"), handle_file(EXAMPLES / f"{name}_mask.png")
        client.predict(photo, mask, api_name="/inpaint")
        return time.perf_counter() - start

    names = [path.stem for path in sorted(EXAMPLES.glob("*.jpg"))]
    print("| photo | from call to result, median of 5 |\n| --- | --- |")
    for name in names:
        inpaint(name)
        print(f"| {name} | {statistics.median(inpaint(name) for _ in range(5)):.2f} s |")

    start = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(inpaint, (names * 3)[:8]))
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

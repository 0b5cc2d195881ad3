"""Time saved by an editing session: a 4000x3000 photo with a hole of 300x200 pixels, edited line by line.

    python benchmarks/session.py [--repeats 5]

The first call opens the photo, draws the lines and completes; each later `complete` follows an edit in the hole. For
comparison: the pipeline's own `complete`, which opens the photo again, and an edit that changes no window.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline

ROOT = Path(__file__).resolve().parents[1]
SIZE = (4000, 3000)
HOLE = (1800, 1400, 2100, 1600)  # left, top, right, bottom


def seconds(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    pipe = EdgeConnectPipeline.from_pretrained()
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
    mask = Image.new("L", SIZE)
    mask.paste(255, HOLE)
    pipe(photo, mask)  # warms up

    first, opened, drawn, later, unchanged, anew = (list[float]() for _ in range(6))
    for _ in range(repeats):
        first.append(seconds(pipe, photo, mask))
        session = pipe.open(photo, mask)
        opened.append(seconds(pipe.open, photo, mask))
        drawn.append(seconds(session.generate_edges))
        lines = np.array(session.edges[0])
        session.complete()
        for row in (1450, 1500, 1550):
            lines[row, 1850:2050] = 255
            later.append(seconds(session.complete, lines))
        unchanged.append(seconds(session.complete, lines))
        anew.append(seconds(pipe.complete, photo, mask, lines))

    whole = statistics.median(first)
    print("| step | median | of the first call |\n| --- | --- | --- |")
    for name, times in (
        ("first call: open, draw, paint", first),
        ("`pipe.open`", opened),
        ("`session.generate_edges`", drawn),
        ("`session.complete` after an edit", later),
        ("`session.complete`, no line changed", unchanged),
        ("`pipe.complete` after an edit", anew),
    ):
        median = statistics.median(times)
        print(f"| {name} | {median:.2f} s | {100 * median / whole:.0f} % |")


if __name__ == "__main__":
    main()

"""What a large photo costs against a small one with the same hole, in time and memory.

python benchmarks/large_photos.py
"""

import argparse
import resource
import statistics
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import ROOT, Row, paper_size_pipeline, publish, time_in_turn, times_as_fast
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, canny
from edgeconnect_hf.cli import fastest_dtype

SIZES = ((256, 256), (2048, 2048), (4000, 3000))
HOLE = 200
DTYPE = fastest_dtype(torch.device("cpu"))


def centred_hole(size: tuple[int, int]) -> Image.Image:
    """A mask of `size` (width, height) with a square hole in the middle."""
    mask = Image.new("L", size)
    left, top = ((side - HOLE) // 2 for side in size)
    mask.paste(255, (left, top, left + HOLE, top + HOLE))
    return mask


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure_sizes(name: str, pipeline: EdgeConnectPipeline, repeats: int) -> list[Row]:
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    calls = {}
    for size in SIZES:
        calls[f"{size[0]}x{size[1]}"] = partial(pipeline, photo.resize(size), centred_hole(size))
    calls["256x256"]()
    before = resident_megabytes()
    calls["4000x3000"]()
    memory = {"4000x3000": peak_megabytes() - before}
    seconds = time_in_turn(calls, repeats)
    return [
        {
            "": f"{name}, {size}",
            "ms": 1000 * statistics.median(times),
            "times as long": 1 / times_as_fast(seconds["256x256"], times),
            "MB over the loaded pipeline": memory.get(size),
        }
        for size, times in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()

    bundled = EdgeConnectPipeline.from_pretrained(dtype=DTYPE)
    rows = measure_sizes("paper size", paper_size_pipeline(DTYPE), args.repeats)
    rows += measure_sizes("bundled model", bundled, args.repeats)
    gray = np.asarray(Image.open(ROOT / "examples" / "facade.jpg").convert("L").crop((200, 100, 456, 356)), np.float32)
    canny_seconds = time_in_turn({"": lambda: canny(gray / 255, np.zeros(gray.shape, bool))}, 200)[""]
    tables = {
        f"A hole of {HOLE}x{HOLE}, {DTYPE}; median of {args.repeats}": rows,
        "Canny": [{"": "256x256, median of 200", "ms": 1000 * statistics.median(canny_seconds)}],
    }
    publish("large_photos", tables)


if __name__ == "__main__":
    main()

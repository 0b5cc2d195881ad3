"""Time and memory of a large photo against a small one with the same hole.

python benchmarks/large_photos.py
"""

import argparse
import re
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measuring import (
    ROOT,
    Call,
    Clock,
    Row,
    add_cpu_time,
    choose_clock,
    paper_size_pipeline,
    publish,
    time_in_turn,
    times_as_fast,
)
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, canny
from edgeconnect_hf.cli.device import fastest_dtype

SIZES = ((256, 256), (2048, 2048), (4000, 3000))
HOLE = 200
PAPER_SIZE = "paper size"
DTYPE = fastest_dtype(torch.device("cpu"))


def centred_hole(size: tuple[int, int]) -> Image.Image:
    """A mask of `size` (width, height) with a square hole in the middle."""
    mask = Image.new("L", size)
    left, top = ((side - HOLE) // 2 for side in size)
    mask.paste(255, (left, top, left + HOLE, top + HOLE))
    return mask


def resident_megabytes(peak: bool = False) -> float:
    """Memory of the process, or its peak since `forget_peak`."""
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)" if peak else r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def make_pipeline(name: str) -> EdgeConnectPipeline:
    return paper_size_pipeline(DTYPE) if name == PAPER_SIZE else EdgeConnectPipeline.from_pretrained(dtype=DTYPE)


def make_calls(pipeline: EdgeConnectPipeline) -> dict[str, Call]:
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    return {f"{size[0]}x{size[1]}": partial(pipeline, photo.resize(size), centred_hole(size)) for size in SIZES}


def measure_memory(name: str) -> float:
    """Megabytes of the largest image beside the pipeline. Run it in a new process, which has no free memory yet."""
    calls = make_calls(make_pipeline(name))
    calls["256x256"]()
    before = resident_megabytes()
    forget_peak()
    calls["4000x3000"]()
    return resident_megabytes(peak=True) - before


def measure_sizes(name: str, repeats: int, clock: Clock) -> list[Row]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as new_process:
        memory = {"4000x3000": new_process.submit(measure_memory, name).result()}
    seconds = time_in_turn(make_calls(make_pipeline(name)), repeats, clock)
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
    add_cpu_time(parser)
    args = parser.parse_args()
    clock, remark = choose_clock(args.cpu_time)

    rows = [row for name in (PAPER_SIZE, "bundled model") for row in measure_sizes(name, args.repeats, clock)]
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("L").crop((200, 100, 456, 356))
    gray = np.divide(np.asarray(photo), 255, dtype=np.float32)
    canny_seconds = time_in_turn({"": lambda: canny(gray, np.zeros(gray.shape, bool))}, 200, clock)[""]
    tables = {
        f"A hole of {HOLE}x{HOLE}, {DTYPE}; median of {args.repeats}{remark}": rows,
        "Canny": [{"": "256x256, median of 200", "ms": 1000 * statistics.median(canny_seconds)}],
    }
    publish("large_photos", tables)


if __name__ == "__main__":
    main()

"""Many images, large images, large holes: speed and memory of a folder, time against size, with a plot.

    python benchmarks/scale.py [--images 1000]

The command line repairs the folder in one process, then in two that share it. Needs the extras `train` (matplotlib) and
`dev` (psutil).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import psutil
import torch
from measuring import RESULTS, ROOT, Row, publish, time_in_turn
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.cli.device import fastest_dtype

SIDES = (256, 512, 1024, 2048, 4096)  # of images with a hole of 100x100
HOLES = (25, 50, 100, 200, 400, 800)  # sides of holes in an image of 2048x2048
MEMORY_SAMPLES = 5
SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # marks of the plot


def square_hole(side: int, hole: int) -> Image.Image:
    mask = Image.new("L", (side, side))
    corner = (side - hole) // 2
    mask.paste(255, (corner, corner, corner + hole, corner + hole))
    return mask


def write_folder(folder: Path, number: int) -> None:
    """Random 256x256 crops of the example photo, and one mask for all."""
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    random = np.random.default_rng(0)
    folder.mkdir()
    for i in range(number):
        left, top = int(random.integers(photo.width - 256)), int(random.integers(photo.height - 256))
        photo.crop((left, top, left + 256, top + 256)).save(folder / f"{i:04}.jpg", quality=95)
    square_hole(256, 100).save(folder.with_suffix(".png"))


def repair_folder(folder: Path, number: int, processes: int) -> Row:
    """Runs the command line on the folder; memory is its largest process's, after each sixth of the images."""
    output = folder.with_name(f"repaired-{processes}")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] * (processes > 1)
    command: list[str | Path] = [
        sys.executable,
        *launcher,
        "-m",
        "edgeconnect_hf.cli",
        "inpaint",
        folder,
        folder.with_suffix(".png"),
    ]
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    start = time.perf_counter()
    command += ["-o", output]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        memory: list[float] = []
        while process.poll() is None:
            done = len(list(output.glob("*.png"))) if output.exists() else 0
            if len(memory) < MEMORY_SAMPLES and done >= number * (len(memory) + 1) // (MEMORY_SAMPLES + 1):
                family = (root, *root.children(recursive=True))
                memory.append(max(member.memory_info().rss for member in family) / 2**20)
            time.sleep(0.05)
    if process.returncode or len(list(output.glob("*.png"))) != number:
        raise RuntimeError(f"the command line failed with {process.returncode}.")
    seconds = time.perf_counter() - start
    return {
        "processes": f"{processes}, {threads} threads each",
        "seconds, start included": seconds,
        "pictures/s": number / seconds,
        "MB of a process along the run": ", ".join(f"{megabytes:.0f}" for megabytes in memory),
    }


def time_sizes(pipeline: EdgeConnectPipeline, pairs: dict[str, tuple[int, int]], repeats: int) -> list[Row]:
    """Milliseconds for each `(side, hole)` and strategy, without the original strategy on huge images."""
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    calls = {}
    for name, (side, hole) in pairs.items():
        picture, mask = photo.resize((side, side)), square_hole(side, hole)
        for strategy in ("auto", "crop", "original"):
            if (side if strategy == "original" else hole) <= 1024:
                calls[f"{name} {strategy}"] = partial(pipeline, picture, mask, strategy=strategy)
    seconds = time_in_turn(calls, repeats)
    return [
        {"": name}
        | {
            f"{strategy}, ms": 1000 * statistics.median(seconds[f"{name} {strategy}"])
            if f"{name} {strategy}" in seconds
            else None
            for strategy in ("auto", "crop", "original")
        }
        for name in pairs
    ]


def plot(panels: dict[str, tuple[tuple[int, ...], list[Row]]], path: Path) -> None:
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4), sharey=True, layout="constrained")
    for axis, (label, (sides, rows)) in zip(axes, panels.items(), strict=True):
        for strategy, marker in (("original", "s"), ("crop", "^"), ("auto", "o")):
            milliseconds = [row[f"{strategy}, ms"] for row in rows]
            seconds = [np.nan if value is None else value / 1000 for value in milliseconds]
            axis.plot(sides, seconds, marker=marker, label=strategy)
        axis.set(xlabel=label, xscale="log", yscale="log")
        axis.set_xticks(sides, labels=map(str, sides), minor=False)
        axis.minorticks_off()
        axis.set_yticks(SECONDS, labels=map(str, SECONDS))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds a picture")
    axes[0].legend(title="strategy")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000, help="images in the folder")
    parser.add_argument("--repeats", type=int, default=3, help="calls of each size")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        write_folder(folder, args.pictures)
        folders = [repair_folder(folder, args.pictures, processes) for processes in (1, 2)]
    dtype = fastest_dtype(torch.device("cpu"))
    pipeline = EdgeConnectPipeline.from_pretrained(dtype=dtype)
    sizes = time_sizes(pipeline, {f"{side}x{side}": (side, 100) for side in SIDES}, args.repeats)
    holes = time_sizes(pipeline, {f"{hole}x{hole}": (2048, hole) for hole in HOLES}, args.repeats)
    RESULTS.mkdir(exist_ok=True)
    panels = {
        "side of the picture, hole 100x100": (SIDES, sizes),
        "side of the hole, picture 2048x2048": (HOLES, holes),
    }
    plot(panels, RESULTS / "scale.png")
    publish(
        "scale",
        {
            f"A folder of {args.pictures} pictures of 256x256, hole 100x100, bundled model": folders,
            f"A hole of 100x100 in pictures of several sizes, bundled model, {dtype}; median of {args.repeats}": sizes,
            f"Holes in a picture of 2048x2048, bundled model, {dtype}; median of {args.repeats}": holes,
        },
    )


if __name__ == "__main__":
    main()

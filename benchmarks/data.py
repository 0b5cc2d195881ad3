"""Speed of making training samples: `python benchmarks/data.py --train_data_dir FOLDER` prints a Markdown table.

The target is 100 samples per second and worker at 256x256: decode, crop, Canny, mask.
"""

import argparse
import itertools
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # `training` is not installed

import cv2
import numpy as np
import torch

from edgeconnect_hf.edges import canny
from training.config import TrainingConfig
from training.data.loader import make_train_loader
from training.data.masks import irregular_mask
from training.data.rows import load_rows
from training.data.samples import SampleMaker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_data_dir", required=True, metavar="FOLDER", help="folder of photos")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--min_crop_scale", type=float, default=0.5)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=10.0, help="per row of the table")
    arguments = parser.parse_args()
    config = TrainingConfig(
        train_data_dir=arguments.train_data_dir,
        resolution=arguments.resolution,
        min_crop_scale=arguments.min_crop_scale,
        max_train_steps=1,
    )
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # a worker has one thread

    print(f"{describe_machine()}; {arguments.train_data_dir} at {config.resolution}x{config.resolution}\n")
    print("| one sample, in one thread | CPU milliseconds |\n|---|---:|")
    for name, step in sample_steps(config).items():
        print(f"| {name} | {measure_cpu_milliseconds(step, arguments.seconds):.2f} |", flush=True)
    print("\n| loader | samples/s | a worker |\n|---|---:|---:|")
    for workers in arguments.workers:
        rate = measure_loader(config, workers, arguments.seconds)
        name = f"workers: {workers}" if workers else "in the training process"
        print(f"| {name} | {rate:.0f} | {rate / max(1, workers):.0f} |", flush=True)


def describe_machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(": ")[1] for line in info.read_text().splitlines() if "model name" in line), cpu)
    return f"{cpu}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"


def sample_steps(config: TrainingConfig) -> dict[str, Callable[[int], Any]]:
    """The timed steps, each a function of a running number."""
    rows = load_rows(config, config.split)
    make_sample = SampleMaker(config)
    gray = make_sample(rows[0], np.random.default_rng(0))["gray"][0].numpy()  # [S,S]
    return {
        "row, read from disk": lambda number: rows[number % len(rows)],
        "whole sample": lambda number: make_sample(rows[number % len(rows)], np.random.default_rng(number)),
        "of which Canny": lambda number: canny(gray),
        "an irregular mask": lambda number: irregular_mask(config.resolution, np.random.default_rng(number)),
    }


def measure_cpu_milliseconds(step: Callable[[int], Any], seconds: float) -> float:
    """Mean CPU time of `step`, which unlike wall time excludes other processes."""
    step(0)
    end, start = time.perf_counter() + seconds, time.process_time()
    count = 0
    while time.perf_counter() < end:
        step(count)
        count += 1
    return (time.process_time() - start) / count * 1000


def measure_loader(config: TrainingConfig, workers: int, seconds: float) -> float:
    """Samples per second of wall time, after the workers have started."""
    config.dataloader_num_workers = workers
    batches = iter(make_train_loader(config, 1, 0, 0))
    for _ in itertools.islice(batches, 4 * max(1, workers)):
        pass
    start = time.perf_counter()
    count = 0
    while time.perf_counter() < start + seconds:
        count += len(next(batches)["image"])
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

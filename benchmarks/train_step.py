"""Time of an update of the completion stage, against the published order of operations in fp32.

    python benchmarks/train_step.py

Discriminator, generator, VGG19 (random weights) and both optimizers, by default at the size of the paper. All keep
freed memory, as `train.py` does. The floor is the time of
the update's operations at the speed of a single 3x3 convolution, measured in the same run and dtype.
"""

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from measuring import (
    Call,
    Row,
    add_cpu_time,
    choose_clock,
    convolution_speed,
    count_operations,
    profile_shares,
    publish,
    time_in_turn,
    times_as_fast,
)
from PIL import Image
from published import PublishedCompletionStep
from safetensors.torch import save_file

from training.config import TrainingConfig
from training.data.loader import Batch
from training.memory import keep_freed_memory
from training.trainer import Trainer
from training.vgg import load_vgg

BASELINE = "published order, fp32"
VARIANTS: dict[str, dict[str, Any]] = {
    "this package, fp32": {"mixed_precision": "no"},
    "this package, bf16": {"mixed_precision": "bf16"},
    "this package, bf16, compiled": {"mixed_precision": "bf16", "torch_compile": True},
}
VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
VGG_NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def write_inputs(folder: Path, resolution: int, depth: int = len(VGG_NUMBERS)) -> None:
    """Writes an image of noise and the first `depth` convolutions of a VGG19 with random weights."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    Image.fromarray(rng.integers(256, size=(resolution, resolution, 3), dtype=np.uint8)).save(folder / "pictures/0.png")
    state = {}
    for number, (in_channels, channels) in itertools.islice(
        zip(VGG_NUMBERS, itertools.pairwise(VGG_CHANNELS), strict=True), depth
    ):
        state[f"features.{number}.weight"] = torch.randn(channels, in_channels, 3, 3) * (2 / 9 / in_channels) ** 0.5
        state[f"features.{number}.bias"] = torch.zeros(channels)
    save_file(state, folder / "vgg.safetensors")


def repeat(batch: Batch) -> Generator[Batch, None, None]:
    while True:
        yield batch


def make_trainer(folder: Path, arguments: argparse.Namespace, variant: str) -> Trainer:
    AcceleratorState._reset_state(reset_partial_state=True)  # it keeps one precision per process
    config = TrainingConfig(
        stage="completion",
        train_data_dir=str(folder / "pictures"),
        validation_data_dir=str(folder / "pictures"),
        output_dir=str(folder / variant),
        vgg_weights=str(folder / "vgg.safetensors"),
        base_channels=arguments.base_channels,
        discriminator_channels=arguments.base_channels,
        num_residual_blocks=arguments.num_residual_blocks,
        resolution=arguments.resolution,
        train_batch_size=arguments.batch_size,
        max_train_steps=1,
        report_to="none",
        **VARIANTS[variant],
    )
    trainer = Trainer(config)
    trainer.batches = repeat(next(trainer.batches))  # loading has a benchmark of its own
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base_channels", type=int, default=64, help="channels of the first layers of G2 and D")
    parser.add_argument("--num_residual_blocks", type=int, default=8, help="residual blocks of G2")
    parser.add_argument("--resolution", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--batch_size", type=int, default=8, help="images per update")
    parser.add_argument("--repeats", type=int, default=3, help="updates timed")
    parser.add_argument("--compile", action="store_true", help="time the compiled update too")
    add_cpu_time(parser)
    arguments = parser.parse_args()
    clock, remark = choose_clock(arguments.cpu_time)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, arguments.resolution)
        variants = [variant for variant in VARIANTS if arguments.compile or "compiled" not in variant]
        trainers = {variant: make_trainer(folder, arguments, variant) for variant in variants}
        vgg = load_vgg(str(folder / "vgg.safetensors"), normalize=False)
        published = PublishedCompletionStep(vgg, arguments.base_channels)
    batch = next(trainers[variants[0]].batches)
    calls: dict[str, Call] = {BASELINE: partial(published, {name: part.contiguous() for name, part in batch.items()})}
    calls |= {variant: trainer._update for variant, trainer in trainers.items()}

    operations = count_operations(calls[BASELINE])
    speeds = {dtype: convolution_speed(dtype, clock) for dtype in (torch.float32, torch.bfloat16)}
    seconds = time_in_turn(calls, arguments.repeats, clock)
    rows: list[Row] = []
    for name, times in seconds.items():
        median = statistics.median(times)
        floor = operations / speeds[torch.bfloat16 if "bf16" in name else torch.float32]
        row = {"": name, "seconds": median, "times as fast": times_as_fast(seconds[BASELINE], times)}
        rows.append(row | {"floor, seconds": floor, "of the time, the floor is": f"{100 * floor / median:.0f} %"})
    profiles = [
        {"share of the time": name} | profile_shares(call, 1) for name, call in calls.items() if "compiled" not in name
    ]
    size, depth = f"{arguments.resolution}x{arguments.resolution}", arguments.num_residual_blocks
    title = (
        f"An update of the completion stage, {arguments.base_channels} channels, {depth} blocks, {size}, "
        f"batch {arguments.batch_size}; median of {arguments.repeats}{remark}"
    )
    publish("train_step", {title: rows, "Where the time goes": profiles})


if __name__ == "__main__":
    main()

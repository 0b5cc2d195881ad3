"""How long an update of the completion stage takes: bf16 with channels last against fp32 as PyTorch lays it out.

`python benchmarks/train_step.py` times discriminator, generator, VGG19 (random weights) and both optimisers at the size
of the paper, unless told otherwise, and prints a Markdown table and what the machine has. Nothing is downloaded.
"""

import argparse
import itertools
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import save_file

from training.config import TrainingConfig
from training.trainer import Trainer

VARIANTS = {
    "fp32, contiguous": {"mixed_precision": "no", "channels_last": False},
    "fp32, channels last": {"mixed_precision": "no", "channels_last": True},
    "bf16, contiguous": {"mixed_precision": "bf16", "channels_last": False},
    "bf16, channels last": {"mixed_precision": "bf16", "channels_last": True},
}
VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
VGG_NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def write_inputs(folder: Path, resolution: int) -> None:
    """One picture of noise and a VGG19 with random weights."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    Image.fromarray(rng.integers(256, size=(resolution, resolution, 3), dtype=np.uint8)).save(folder / "pictures/0.png")
    state = {}
    for number, (in_channels, channels) in zip(VGG_NUMBERS, itertools.pairwise(VGG_CHANNELS), strict=True):
        state[f"features.{number}.weight"] = torch.randn(channels, in_channels, 3, 3) * (2 / 9 / in_channels) ** 0.5
        state[f"features.{number}.bias"] = torch.zeros(channels)
    save_file(state, folder / "vgg.safetensors")


def time_steps(folder: Path, arguments: argparse.Namespace, variant: str) -> list[float]:
    """Seconds of each update, after one that is not counted."""
    AcceleratorState._reset_state(reset_partial_state=True)  # it settles on one precision per process
    config = TrainingConfig(
        stage="completion",
        train_data_dir=str(folder / "pictures"),
        validation_data_dir=str(folder / "pictures"),
        output_dir=str(folder / variant),
        vgg_weights=str(folder / "vgg.safetensors"),
        vgg_normalize=True,
        base_channels=arguments.base_channels,
        num_residual_blocks=arguments.num_residual_blocks,
        resolution=arguments.resolution,
        train_batch_size=arguments.batch_size,
        max_train_steps=1,
        report_to="none",
        **VARIANTS[variant],
    )
    trainer = Trainer(config)
    trainer.batches = itertools.repeat(next(trainer.batches))  # the data path has a benchmark of its own
    seconds = []
    for _ in range(arguments.steps + 1):
        start = time.perf_counter()
        _, _, terms = trainer._update()
        sum(terms.values()).item()  # waits for a GPU to finish
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def describe_machine() -> str:
    """Processor, the instructions that decide about bf16, threads, GPU, PyTorch."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    flags = set(named.get("flags", "").split())
    has = ", ".join(f"{name} {'yes' if name in flags else 'no'}" for name in ("amx_bf16", "avx512_bf16", "avx512f"))
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    processor = named.get("model name", platform.processor() or platform.machine())
    return f"{processor} ({has}), {torch.get_num_threads()} threads, {gpu}, PyTorch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--base_channels", type=int, default=64, help="channels of G2's first layer")
    parser.add_argument("--num_residual_blocks", type=int, default=8, help="residual blocks of G2")
    parser.add_argument("--resolution", type=int, default=256, help="side of the pictures in pixels")
    parser.add_argument("--batch_size", type=int, default=8, help="pictures per update")
    parser.add_argument("--steps", type=int, default=5, help="updates timed")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), help="what to time")
    arguments = parser.parse_args()
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), arguments.resolution)
        for variant in arguments.variants:
            medians[variant] = statistics.median(time_steps(Path(folder), arguments, variant))
    print(f"\n{describe_machine()}\n")
    print(
        f"Completion stage, {arguments.base_channels} channels, {arguments.num_residual_blocks} blocks, "
        f"{arguments.resolution}x{arguments.resolution}, batch {arguments.batch_size}, median of {arguments.steps}\n"
    )
    print("| | seconds per update | times as fast |\n|---|---:|---:|")
    slowest = medians[arguments.variants[0]]
    for variant, seconds in medians.items():
        print(f"| {variant} | {seconds:.2f} | {slowest / seconds:.2f} |")


if __name__ == "__main__":
    main()

"""Tiny training runs for the tests: drawn pictures, a four-channel VGG19, settings that take milliseconds a step."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.config import TrainingConfig
from training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
VGG_NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16)  # torchvision's, of VGG19's first eight convolutions


def draw_pictures(folder: Path, count: int = 8) -> Path:
    """PNG pictures of 48x48 pixels with boxes and discs in flat colours, so that Canny finds lines."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        picture = np.full((48, 48, 3), rng.integers(256, size=3), np.uint8)
        for _ in range(4):
            x, y, size = (int(value) for value in rng.integers((0, 0, 6), (40, 40, 24)))
            colour = [int(value) for value in rng.integers(256, size=3)]
            cv2.rectangle(picture, (x, y), (x + size, y + size), colour, -1)
            cv2.circle(picture, (y, x), size // 2, colour[::-1], -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def draw_vgg(path: Path, channels: int = 4) -> Path:
    """A narrow VGG19 down to conv3_4."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for number in VGG_NUMBERS:
        shape = (channels, 3 if number == 0 else channels, 3, 3)
        state[f"features.{number}.weight"] = torch.randn(shape, generator=generator) * 0.3
        state[f"features.{number}.bias"] = torch.randn(channels, generator=generator) * 0.1
    save_file(state, path)
    return path


def tiny_settings(data: Path, output_dir: Path, **overrides: Any) -> dict[str, Any]:
    """Settings of a run on what `data` holds: `pictures/` and `vgg.safetensors`."""
    return {
        "train_data_dir": str(data / "pictures"),
        "vgg_weights": str(data / "vgg.safetensors"),
        "output_dir": str(output_dir),
        "base_channels": 4,
        "num_residual_blocks": 1,
        "discriminator_channels": 4,
        "resolution": 32,
        "train_batch_size": 2,
        "num_validation_images": 2,
        "max_train_steps": 6,
        "checkpointing_steps": 1000,
        "logging_steps": 1,
        "seed": 1,
        **overrides,
    }


def run(data: Path, output_dir: Path, **overrides: Any) -> Trainer:
    """Trains in this process and returns the trainer."""
    trainer = Trainer(TrainingConfig(**tiny_settings(data, output_dir, **overrides)))
    trainer.run()
    return trainer


def flags(settings: dict[str, Any]) -> list[str]:
    """`training/train.py` and its command line."""
    return [str(ROOT / "training" / "train.py"), *(f"--{name}={value}" for name, value in settings.items())]


def start(arguments: list[str], home: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts Python in a process of its own that leaves this machine's caches alone.

    Args:
        arguments: what follows `python`.
        home: folder for the process's caches.
        environment: further environment variables.
    """
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),  # sums come out the same bit for bit
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Waits for a process that must end well; returns its output."""
    try:
        output, _ = process.communicate(timeout=120)  # for what takes ten on an idle machine
    finally:
        process.kill()  # does nothing to one that has ended
    assert process.returncode == 0, output
    return output


def final_weights(output_dir: Path) -> dict[str, torch.Tensor]:
    """Everything that a finished run wrote as weights, by file and name."""
    files = sorted(output_dir.glob("*_*or/*.safetensors"))
    return {f"{file.parent.name}/{name}": tensor for file in files for name, tensor in load_file(file).items()}


def assert_same_weights(one: Path, other: Path) -> None:
    expected, got = final_weights(one), final_weights(other)
    assert expected
    assert expected.keys() == got.keys()
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []


def logged(output_dir: Path) -> dict[str, list[float]]:
    """What a run logged to tensorboard: values by name, in order."""
    events = EventAccumulator(str(output_dir / "logs" / "edgeconnect_hf"))
    events.Reload()
    return {name: [event.value for event in events.Scalars(name)] for name in events.Tags()["scalars"]}

"""What a run shows of itself: progress bar, logged values, validation grids."""

import logging
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm.auto import tqdm

from edgeconnect_hf.hub.card import VALIDATION_GRID
from training.checkpoints.state import Progress
from training.config import TrainingConfig, without_local_paths
from training.stages import Stage
from training.watch import Watch

_GRID_ROWS = 16
_TITLE_HEIGHT, _NAME_WIDTH = 16, 96  # pixels
_NAME_LENGTH = 16  # characters

logger = logging.getLogger(__name__)


def check_tracker(report_to: str) -> None:
    """Raises a `ValueError` if the tracker is not installed: accelerate would silently log nothing."""
    if report_to != "none" and find_spec(report_to) is None:
        raise ValueError(f"`report_to` is {report_to!r}, which is not installed.")


class Logs:
    """The logs of a run.

    Args:
        accelerator (`Accelerator`): of the run, with its trackers.
        config (`TrainingConfig`): the run's settings.
        progress (`Progress`): of the run; the last logged values are kept in it.
    """

    def __init__(self, accelerator: Accelerator, config: TrainingConfig, progress: Progress):
        self.accelerator = accelerator
        self.config = config
        self.progress = progress
        self.logged_at, self.logged_samples = time.monotonic(), progress.samples
        self.first_step, self.first_minutes = progress.global_step, progress.minutes
        self.losses: list[Mapping[str, float]] = []  # since the last entry
        self.watch = Watch(config, progress.global_step)
        self.bar: tqdm[None] | None = None

    def start(self) -> None:
        """Opens the trackers and the progress bar."""
        processes, batch = self.accelerator.num_processes, self.config.train_batch_size
        accumulated = self.accelerator.gradient_accumulation_steps
        total = processes * batch * accumulated
        logger.info(f"{total} images per update: processes {processes}, batch {batch}, accumulated {accumulated}.")
        settings = without_local_paths(self.config).items()  # trackers show them to others
        plain = {name: value for name, value in settings if isinstance(value, int | float | str)}
        self.accelerator.init_trackers("edgeconnect_hf", config=plain)
        self.logged_at = time.monotonic()
        self.bar = tqdm(
            desc=self.config.stage,
            initial=self.progress.global_step,
            total=self.config.max_train_steps,
            disable=not self.accelerator.is_main_process,
        )

    def advance(self, losses: Mapping[str, float]) -> None:
        """Takes the losses of an update, and moves the progress bar."""
        self.losses.append(losses)
        self.watch.see_losses(losses)
        if self.bar is not None:
            self.bar.update()

    def log_update(self, metrics: Mapping[str, float], learning_rate: float) -> None:
        """Logs metrics of an update by name, and means since the last entry: of the losses, and the speed."""
        speed = (self.progress.samples - self.logged_samples) / (time.monotonic() - self.logged_at)
        self.logged_at, self.logged_samples = time.monotonic(), self.progress.samples
        names = dict.fromkeys(name for each in self.losses for name in each)  # `r1` is not of every update
        losses = {name: statistics.fmean(each[name] for each in self.losses if name in each) for name in names}
        self.losses = []
        self.watch.see_metrics(self.progress.global_step, metrics)
        shown = {**losses, **metrics, "pictures_per_second": speed}
        if self.bar is not None:
            self.bar.set_postfix({"left": self._time_left()} | {name: f"{value:.3g}" for name, value in shown.items()})
        self.accelerator.log({**shown, "learning_rate": learning_rate}, step=self.progress.global_step)
        self.progress.logged |= shown

    def _time_left(self) -> str:
        """Until the limit, of updates or of minutes, that the run reaches first at its speed so far."""
        progress, config = self.progress, self.config
        left = [] if config.max_train_minutes is None else [config.max_train_minutes - progress.minutes]
        if config.max_train_steps is not None:
            minutes_a_step = (progress.minutes - self.first_minutes) / (progress.global_step - self.first_step)
            left.append((config.max_train_steps - progress.global_step) * minutes_a_step)
        return tqdm.format_interval(60 * max(0, min(left)))

    def log_validation(
        self,
        batch: Mapping[str, Tensor],
        predicted: Mapping[str, Tensor],
        stage: Stage,
        names: Sequence[str],
        scores: Mapping[str, float],
    ) -> None:
        """Writes and logs the grid of the first validation images, and logs the scores of all. On the main process.

        Args:
            batch (`Mapping[str, torch.Tensor]`): all validation samples.
            predicted (`Mapping[str, torch.Tensor]`): what `stage` predicts of them.
            stage (`Stage`): names the grid's columns.
            names (`Sequence[str]`): of the samples, for the grid's rows.
            scores (`Mapping[str, float]`): by name.
        """
        step, output_dir = self.progress.global_step, Path(self.config.output_dir)
        pixels = draw_grid(stage.grid_columns(batch, predicted), names)
        (output_dir / "validation").mkdir(parents=True, exist_ok=True)
        for path in (output_dir / "validation" / f"step-{step:07d}.png", output_dir / VALIDATION_GRID):
            Image.fromarray(pixels).save(path)
        metrics = {f"validation_{name}": value for name, value in scores.items()}
        self.progress.logged |= metrics
        self.accelerator.log(metrics, step=step)
        for tracker in self.accelerator.trackers:
            layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"validation": pixels[None]}, step=step, **layout)

    def finish(self) -> None:
        """Closes the progress bar and the trackers."""
        if self.bar is not None:
            self.bar.close()
        for tracker in self.accelerator.trackers:
            tracker.finish()


def join_batches(batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Batches `[N,…]` as one."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def draw_grid(columns: Mapping[str, Tensor], names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """The first images of `columns` side by side, each column under its title, each row beside its name.

    Args:
        columns (`Mapping[str, torch.Tensor]`): by title, `[N,1,S,S]` or `[N,3,S,S]` in [0,1].
        names (`Sequence[str]`): one for each row; long ones are shortened in the middle.

    Returns:
        `[H,W,3]`.
    """
    rows = torch.cat([images[:_GRID_ROWS].expand(-1, 3, -1, -1) for images in columns.values()], dim=3)  # [N,3,S,5S]
    grid = torch.cat([*rows], dim=1)  # [3,N*S,5S]
    images = Image.fromarray((grid.permute(1, 2, 0).float().cpu().numpy() * 255).round().astype(np.uint8))
    page = Image.new("RGB", (_NAME_WIDTH + images.width, _TITLE_HEIGHT + images.height), "white")
    draw = ImageDraw.Draw(page)
    for number, title in enumerate(columns):
        draw.text((_NAME_WIDTH + number * images.width // len(columns) + 2, 2), title, "black")
    for number, name in enumerate(names[: len(rows)]):
        draw.text((2, _TITLE_HEIGHT + number * images.height // len(rows) + 2), shorten(name), "black")
    page.paste(images, (_NAME_WIDTH, _TITLE_HEIGHT))
    return np.array(page)


def shorten(name: str) -> str:
    """A name that is not too long for the grid, without its middle if need be, of letters that Pillow's font has."""
    if len(name) > _NAME_LENGTH:
        name = f"{name[: _NAME_LENGTH // 2 - 1]}..{name[-_NAME_LENGTH // 2 + 1 :]}"
    return re.sub(r"[^\x20-\x7e\xa0-\xff]", "?", name)

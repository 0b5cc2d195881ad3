"""The one loop for all stages: update, log, validate, save, resume, publish."""

import dataclasses
import logging
import math
import os
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from edgeconnect_hf.hub.card import VALIDATION_GRID
from training.checkpoints import choose_checkpoint, find_latest, partial_folder, remove_old, remove_partial, seal
from training.config import TrainingConfig, save_config
from training.data import TrainLoader, make_train_loader, make_validation_batches
from training.networks import inherit_settings, make_networks, save_networks
from training.player import Player
from training.publish import push, write_card
from training.stages import STAGES
from training.state import Progress, RunState

logger = logging.getLogger(__name__)


class NonFiniteError(RuntimeError):
    """A loss or a weight is infinite or not a number; nothing was saved since it was finite."""


class Trainer:
    """Trains one stage: sets everything up, then `run` does the rest.

    Args:
        config (`TrainingConfig`): the settings; their `stage` is edge, completion or joint.

    Raises:
        ValueError: networks, data or a checkpoint that the settings name are not there.
        FileExistsError: `output_dir` holds checkpoints, and `resume_from_checkpoint` is not given.
    """

    def __init__(self, config: TrainingConfig):
        self.config = config = inherit_settings(config)
        self.output_dir = Path(config.output_dir)
        if config.report_to != "none" and find_spec(config.report_to) is None:  # accelerate would log nothing then
            raise ValueError(f"`report_to` is {config.report_to!r}, which is not installed.")
        self.must_stop = False  # set by SIGTERM
        self.old_handler = signal.signal(signal.SIGTERM, lambda *_: setattr(self, "must_stop", True))
        self.accelerator = Accelerator(
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            log_with=None if config.report_to == "none" else config.report_to,
            project_dir=self.output_dir / "logs",
        )
        if self.accelerator.num_processes != int(os.environ.get("WORLD_SIZE", "1")):
            raise ValueError(
                f"{os.environ['WORLD_SIZE']} processes were started, but accelerate found "
                f"{self.accelerator.num_processes}; on a machine without a GPU, set ACCELERATE_USE_CPU=true."
            )
        checkpoint = choose_checkpoint(self.output_dir, config.resume_from_checkpoint)

        # 1. Networks, optimisers and schedules, the same in every process.
        set_seed(config.seed)
        prepared: dict[str, nn.Module] = {}
        self.stage = STAGES[config.stage](prepared, config)
        trained = (*self.stage.generators, *self.stage.discriminators)
        self.networks = make_networks(config, trained)  # bare; `prepared` may wrap them for several processes
        for name, network in self.networks.items():
            if config.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if config.torch_compile:
                network.compile()
            prepared[name] = self.accelerator.prepare_model(network, evaluation_mode=name not in trained)
        self.trained = {name: prepared[name] for name in trained}
        rate = config.joint_learning_rate if config.stage == "joint" else config.learning_rate
        self.generator = Player(self.accelerator, self._parameters(self.stage.generators), rate, config)
        rate *= config.discriminator_learning_rate_factor
        judges = self._parameters(self.stage.discriminators)
        self.discriminator = Player(self.accelerator, judges, rate, config) if judges else None
        self.ema = EMAModel(self.generator.parameters, decay=config.ema_decay) if config.use_ema else None

        # 2. What a checkpoint holds.
        players = {"generator": self.generator, "discriminator": self.discriminator}
        self.state = RunState(
            self.accelerator,
            {name: self.networks[name] for name in trained},
            {name: player for name, player in players.items() if player is not None},
            self.ema,
        )
        if checkpoint is not None:
            self.state.read(checkpoint)
            logger.info("Continuing from %s.", checkpoint)
        self.saved_step = None if checkpoint is None else self.progress.global_step
        if self.accelerator.is_main_process:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            remove_partial(self.output_dir)

        # 3. Data, from where the checkpoint left off.
        self.batches = self._read_batches(self._make_loader())
        self.validation_batches: list[dict[str, Tensor]] = []
        if self.accelerator.is_main_process:
            self.validation_batches = [self._place(batch) for batch in make_validation_batches(config)]
            repeatable = dataclasses.replace(config, resume_from_checkpoint=None)
            save_config(repeatable, self.output_dir / "training_config.yaml")

    @property
    def progress(self) -> Progress:
        return self.state.progress

    def run(self) -> bool:
        """Trains to the end and writes the result to `output_dir`; or, after SIGTERM, a checkpoint only.

        Returns:
            Whether it may go on, to a next stage: False after SIGTERM, wherever that came.

        Raises:
            NonFiniteError: a loss or a weight is no longer finite.
            PushError: the result is in `output_dir`, but the Hub did not take it.
        """
        self._start_logs()
        try:
            is_finished = self._train()
            if is_finished:
                self._save_result()
            is_terminated = self._is_terminated()
            if is_finished and self.config.push_to_hub and self.accelerator.is_main_process:
                logger.info("Pushed: %s", push(self.output_dir, self.config))
            return not is_terminated
        finally:
            self.batches.close()  # its workers end, before a next stage starts its own
            for tracker in self.accelerator.trackers:
                tracker.finish()
            signal.signal(signal.SIGTERM, self.old_handler)

    def _train(self) -> bool:
        """The loop, down to the last checkpoint. Returns whether it came to its end, not to SIGTERM."""
        config, progress = self.config, self.progress
        bar = tqdm(
            desc=config.stage,
            initial=progress.global_step,
            total=config.max_train_steps,
            disable=not self.accelerator.is_main_process,
        )
        last_step = math.inf if config.max_train_steps is None else config.max_train_steps
        last_minute = math.inf if config.max_train_minutes is None else config.max_train_minutes
        start = time.monotonic() - 60 * progress.minutes
        logged_at, logged_samples = time.monotonic(), progress.samples
        terminated, out_of_time = False, progress.minutes >= last_minute
        while progress.global_step < last_step and not (terminated or out_of_time):
            batch, predicted, terms = self._update()
            progress.minutes = (time.monotonic() - start) / 60
            losses, terminated, out_of_time = self._agree(terms, self.must_stop, progress.minutes >= last_minute)
            self._check_finite(losses)
            bar.update()
            if progress.global_step % config.logging_steps == 0:
                speed = (progress.samples - logged_samples) / (time.monotonic() - logged_at)
                logged_at, logged_samples = time.monotonic(), progress.samples
                shown = {**losses, **self.stage.metrics(batch, predicted), "pictures_per_second": speed}
                bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()})
                rate = {"learning_rate": self.generator.schedule.get_last_lr()[0]}
                self.accelerator.log({**shown, **rate}, step=progress.global_step)
                progress.logged |= shown
            if progress.global_step % config.validation_steps == 0:
                self._validate()
            if progress.global_step % config.checkpointing_steps == 0:
                self._save_checkpoint()
        bar.close()
        self._save_checkpoint()
        if not terminated and progress.global_step % config.validation_steps:  # else it has just been done
            self._validate()
        return not terminated

    def _update(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """One update of the discriminators, then one of the generators.

        Returns:
            The batch, what was predicted of it, and the losses of both sides by name (the last, when accumulating).
        """
        for _ in range(self.accelerator.gradient_accumulation_steps):  # `accelerate launch` may have its say
            batch = next(self.batches)
            mask_mean = self.accelerator.reduce(batch["mask"].mean(), "mean")  # over all processes
            with self.accelerator.accumulate(*self.trained.values()):
                predicted = self.stage.predict(batch)
                # Phase 1: the discriminators, on what the generators made, detached.
                discriminator_terms = self.stage.discriminator_terms(batch, predicted)
                if self.discriminator is not None:
                    self.discriminator.update(torch.stack([*discriminator_terms.values()]).sum())
                # Phase 2: the generators, judged by the updated discriminators.
                generator_terms = self.stage.generator_terms(batch, predicted, mask_mean)
                weighted = [self.stage.weights[name] * term for name, term in generator_terms.items()]
                self.generator.update(torch.stack(weighted).sum())
            self.progress.samples += self.config.train_batch_size * self.accelerator.num_processes
        if self.ema is not None:
            self.ema.step(self.generator.parameters)
        self.progress.global_step += 1
        return batch, predicted, {**generator_terms, **discriminator_terms}

    def _agree(
        self, terms: dict[str, Tensor], terminated: bool, out_of_time: bool
    ) -> tuple[dict[str, float], bool, bool]:
        """The losses averaged over all processes, and what any process wants all to do."""
        flags = torch.tensor([terminated, out_of_time], device=self.accelerator.device)
        mine = torch.stack([*(term.detach().float() for term in terms.values()), *flags])
        *losses, terminated_share, out_of_time_share = self.accelerator.reduce(mine, "mean").tolist()
        return dict(zip(terms, losses, strict=True)), terminated_share > 0, out_of_time_share > 0

    def _is_terminated(self) -> bool:
        """Whether any process has had a SIGTERM."""
        flag = torch.tensor(float(self.must_stop), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item())

    def _check_finite(self, losses: dict[str, float]) -> None:
        bad = [f"`{name}` is {value}" for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            good = find_latest(self.output_dir)
            raise NonFiniteError(
                f"{', '.join(bad)} at update {self.progress.global_step} of the {self.config.stage} stage: stopped. "
                f"The last good checkpoint is {good or 'not yet written'}. "
                "A smaller learning rate, `max_grad_norm`, or bf16 instead of fp16 may help."
            )

    # Data and logs.

    def _make_loader(self) -> TrainLoader:
        accelerator = self.accelerator
        return make_train_loader(
            self.config,
            accelerator.num_processes,
            accelerator.process_index,
            self.progress.samples,
            device=accelerator.device,
        )

    def _read_batches(self, loader: TrainLoader) -> Generator[dict[str, Tensor], None, None]:
        for batch in loader:
            yield self._place(batch)

    def _place(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        memory_format = torch.channels_last if self.config.channels_last else torch.contiguous_format
        device = self.accelerator.device
        return {name: tensor.to(device, memory_format=memory_format) for name, tensor in batch.items()}

    def _start_logs(self) -> None:
        processes, batch = self.accelerator.num_processes, self.config.train_batch_size
        accumulated = self.accelerator.gradient_accumulation_steps
        pictures = processes * batch * accumulated
        logger.info(f"{pictures} pictures an update: processes {processes}, batch {batch}, accumulated {accumulated}.")
        settings = {name: value for name, value in vars(self.config).items() if isinstance(value, int | float | str)}
        self.accelerator.init_trackers("edgeconnect_hf", config=settings)

    @torch.no_grad()
    def _validate(self) -> None:
        """Writes the grid of the fixed validation pictures and logs their metrics. On the main process."""
        if not self.accelerator.is_main_process:
            return
        step = self.progress.global_step
        stage = STAGES[self.config.stage](self.networks, self.config)  # bare networks need no other process
        with self._published_weights():
            predictions = [stage.predict(batch) for batch in self.validation_batches]
        batch, predicted = _joined(self.validation_batches), _joined(predictions)
        columns = [picture.expand(-1, 3, -1, -1) for picture in stage.pictures(batch, predicted)]
        grid = torch.cat([*torch.cat(columns, dim=3)], dim=1)  # [N,3,S,5S] to [3,N*S,5S]
        pixels = (grid.permute(1, 2, 0).float().cpu().numpy() * 255).round().astype(np.uint8)
        folder = self.output_dir / "validation"
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / f"step-{step:07d}.png", self.output_dir / VALIDATION_GRID):
            Image.fromarray(pixels).save(path)
        metrics = {f"validation_{name}": value for name, value in stage.metrics(batch, predicted).items()}
        self.progress.logged |= metrics
        self.accelerator.log(metrics, step=step)
        for tracker in self.accelerator.trackers:
            layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"validation": pixels[None]}, step=step, **layout)

    @contextmanager
    def _published_weights(self) -> Iterator[None]:
        """The generators as they are published: in evaluation mode, and averaged if `use_ema`."""
        for name in self.stage.generators:
            self.networks[name].eval()
        if self.ema is not None:
            self.ema.store(self.generator.parameters)
            self.ema.copy_to(self.generator.parameters)
        try:
            yield
        finally:
            if self.ema is not None:
                self.ema.restore(self.generator.parameters)
            for name in self.stage.generators:
                self.networks[name].train()

    # Checkpoints and result.

    def _save_checkpoint(self) -> None:
        """`checkpoint-N`, unless that has just been written. Called by all processes."""
        step = self.progress.global_step
        if step == self.saved_step:
            return
        for tensors in self.state.tensors().values():
            for name, tensor in tensors.items():
                self._check_finite({} if torch.isfinite(tensor).all() else {name: math.nan})
        self.state.write(partial_folder(self.output_dir, step))
        if self.accelerator.is_main_process:
            seal(self.output_dir, step)
            if self.config.checkpoints_total_limit is not None:
                remove_old(self.output_dir, step, self.config.checkpoints_total_limit)
        self.accelerator.wait_for_everyone()
        self.saved_step = step

    def _save_result(self) -> None:
        """The pipeline folder and its card."""
        progress = self.progress
        if self.accelerator.is_main_process:
            with self._published_weights():
                save_networks(self.networks, self.output_dir, match_colours=bool(self.config.match_colours))
            write_card(
                self.output_dir,
                self.config,
                step=progress.global_step,
                samples=progress.samples,
                minutes=progress.minutes,
                logged=progress.logged,
            )
        self.accelerator.wait_for_everyone()  # the next stage reads it

    def _parameters(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        return [parameter for name in names for parameter in self.networks[name].parameters()]


def _joined(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Batches `[N,…]` to one."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

"""The one training loop of all stages: update, log, validate, save, resume, publish."""

import dataclasses
import logging
import math
import os
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from tqdm.contrib.logging import logging_redirect_tqdm

from training.checkpoints.folders import choose_checkpoint, find_latest, remove_partial
from training.checkpoints.state import Progress, RunState
from training.config import TrainingConfig, save_config
from training.data.loader import Batch, make_train_loader, make_validation_batches
from training.ema import make_ema, published_weights
from training.judging import r1_term
from training.logs import Logs, check_tracker, join_batches
from training.networks import inherit_settings, make_networks, pipeline_settings, save_networks
from training.optimizer import ScheduledAdam
from training.publish import push, write_card
from training.stages import STAGES
from training.termination import TerminationRequest
from training.validation import Validation
from training.vgg import VGG19Features

R1_INTERVAL = 16  # updates; nothing is lost by a step 16 times as large (Karras et al., 2020)

logger = logging.getLogger(__name__)


class NonFiniteError(RuntimeError):
    """A loss or a weight is infinite or not a number; nothing was saved since it was finite."""


class Trainer:
    """Trains one stage: the constructor sets everything up, `run` trains and writes the result.

    Args:
        config (`TrainingConfig`): the settings; their `stage` is edge, completion or joint.

    Raises:
        ValueError: networks, data or a checkpoint that the settings name do not exist.
        FileExistsError: `output_dir` holds checkpoints, and `resume_from_checkpoint` is not given.
    """

    def __init__(self, config: TrainingConfig):
        self.config = inherit_settings(config)
        self.output_dir = Path(config.output_dir)
        check_tracker(config.report_to)
        self.saved_step: int | None = None  # of the newest checkpoint
        self.termination = TerminationRequest()  # until `run` ends
        try:
            self._set_up()
        except BaseException:
            self.termination.restore()
            raise

    @property
    def progress(self) -> Progress:
        return self.state.progress

    def run(self) -> bool:
        """Trains to the end and writes the result to `output_dir`; after SIGTERM, writes a checkpoint only.

        Returns:
            Whether a next stage may follow: False after SIGTERM, whenever it arrived.

        Raises:
            NonFiniteError: a loss or a weight is no longer finite.
            PushError: the push failed; the result is in `output_dir`.
        """
        try:
            with logging_redirect_tqdm():  # lines stand above the progress bar
                self.logs.start()
                is_finished = self._train()
                if is_finished:
                    self._save_result()
                is_terminated = self._is_terminated()
                if is_finished and self.config.push_to_hub and self.accelerator.is_main_process:
                    logger.info("Pushed: %s", push(self.output_dir, self.config))
                return not is_terminated
        finally:
            self.batches.close()  # ends its workers, before a next stage starts its own
            self.logs.finish()
            self.termination.restore()

    def _train(self) -> bool:
        """The loop, down to the last checkpoint. Returns whether it was completed, not terminated."""
        config, progress = self.config, self.progress
        last_step = math.inf if config.max_train_steps is None else config.max_train_steps
        last_minute = math.inf if config.max_train_minutes is None else config.max_train_minutes
        checkpoint_minutes = math.inf if config.checkpointing_minutes is None else config.checkpointing_minutes
        start, saved_minutes = time.monotonic() - 60 * progress.minutes, progress.minutes
        terminated = False
        while progress.global_step < last_step and progress.minutes < last_minute and not terminated:
            batch, predicted, terms = self._update()
            minutes = (time.monotonic() - start) / 60
            losses = self._average({**terms, "minutes": minutes, "terminated": self.termination.is_received})
            progress.minutes, terminated = losses.pop("minutes"), losses.pop("terminated") > 0
            self._check_finite(losses)
            self.logs.advance(losses)
            if progress.global_step % config.logging_steps == 0:
                metrics = self._average(self.stage.metrics(batch, predicted))
                self.logs.log_update(metrics, self.generator_optimizer.learning_rate)
            if progress.global_step % config.validation_steps == 0:
                self._validate()
            is_due = progress.minutes - saved_minutes >= checkpoint_minutes
            if is_due or progress.global_step % config.checkpointing_steps == 0:
                self._save_checkpoint()
                saved_minutes = progress.minutes
        self._save_checkpoint()
        if not terminated:
            self._validate()
        return not terminated

    def _update(self) -> tuple[Batch, dict[str, Tensor], dict[str, Tensor]]:
        """One update of the discriminators, then one of the generators.

        Several batches to accumulate do what one large batch does: the updated discriminators judge all of them, and
        each spectral norm takes one step of its power iteration. To save memory, they are predicted anew for phase 2.
        With `published_update`, the generators are judged before the discriminators' step.

        Returns:
            The samples, the predictions, and the losses of both sides by name.
        """
        count = self.accelerator.gradient_accumulation_steps  # `accelerate launch` may override the setting
        batches = [next(self.batches) for _ in range(count)]
        shares = torch.stack([batch["mask"].mean() for batch in batches])
        mask_mean = self.accelerator.reduce(shares.mean(), "mean")  # over all processes
        has_judges = self.discriminator_optimizer is not None
        judged_first = has_judges and self.config.published_update
        is_regularised = self.config.r1_gamma > 0 and self.progress.global_step % R1_INTERVAL == 0
        predictions: list[dict[str, Tensor]] = []
        terms: list[dict[str, Tensor]] = [{} for _ in batches]
        generator_terms: dict[str, Tensor] = {}
        # Phase 1: the discriminators, on the detached predictions.
        if self.discriminator_optimizer is not None:
            for number, batch in enumerate(batches):
                self._set_training(number == 0)
                with self.accelerator.accumulate(*(self.trained[name] for name in self.stage.discriminators)):
                    with torch.set_grad_enabled(count == 1):
                        predictions.append(self.stage.predict(batch))
                    terms[number] |= self.stage.discriminator_terms(batch, predictions[number])
                    if judged_first:
                        generator_terms = self.stage.generator_terms(batch, predictions[number], mask_mean)
                    loss = torch.stack([*terms[number].values()]).sum()
                    if is_regularised:
                        terms[number]["r1"] = self._r1(batch)
                        loss = loss + R1_INTERVAL * self.config.r1_gamma * terms[number]["r1"]
                    self.discriminator_optimizer.update(loss, self.progress.minutes)
        # Phase 2: the generators, by default judged by the updated discriminators.
        for number, batch in enumerate(batches):
            self._set_training(number == 0 and not (has_judges and count > 1))
            with self.accelerator.accumulate(*(self.trained[name] for name in self.stage.generators)):
                if count > 1 or not has_judges:
                    predictions[number : number + 1] = [self.stage.predict(batch)]
                if not judged_first:
                    generator_terms = self.stage.generator_terms(batch, predictions[number], mask_mean)
                weighted = [self.stage.weights[name] * term for name, term in generator_terms.items()]
                self.generator_optimizer.update(torch.stack(weighted).sum(), self.progress.minutes)
            terms[number] = {name: term.detach() for name, term in {**generator_terms, **terms[number]}.items()}
            predictions[number] = {name: tensor.detach() for name, tensor in predictions[number].items()}
        self._set_training(True)
        if self.ema is not None:
            self.ema.step(self.generator_optimizer.parameters)
        self.progress.samples += count * self.config.train_batch_size * self.accelerator.num_processes
        self.progress.global_step += 1
        means = {name: torch.stack([each[name] for each in terms]).mean() for name in terms[0]}
        return join_batches(batches), join_batches(predictions), means

    def _r1(self, batch: Batch) -> Tensor:
        """R1 of all discriminators."""
        real_inputs = self.stage.real_inputs(batch).items()
        return torch.stack([r1_term(self.networks[name], real) for name, real in real_inputs]).sum()

    def _set_training(self, is_training: bool) -> None:
        """The mode of the trained networks, which decides whether their spectral norms take a step."""
        for network in self.trained.values():
            network.train(is_training)

    def _average(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """The means of `values` over all processes."""
        mine = torch.stack(
            [torch.as_tensor(value).to(self.accelerator.device, torch.float32) for value in values.values()]
        )
        return dict(zip(values, self.accelerator.reduce(mine, "mean").tolist(), strict=True))

    def _is_terminated(self) -> bool:
        """Whether any process has received SIGTERM."""
        flag = torch.tensor(float(self.termination.is_received), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item())

    def _check_finite(self, values: dict[str, float]) -> None:
        bad = [f"`{name}` is {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            good = find_latest(self.output_dir)
            raise NonFiniteError(
                f"{', '.join(bad)} at update {self.progress.global_step} of the {self.config.stage} stage: stopped. "
                f"The last good checkpoint is {good or 'not yet written'}. "
                "A smaller learning rate, `max_grad_norm`, or bf16 instead of fp16 may help."
            )

    def _validate(self) -> None:
        """Measures the weights to be published, on the main process."""
        if self.validation is not None:
            self.validation.run(self.progress.global_step)

    def _save_checkpoint(self) -> None:
        """Writes `checkpoint-N` unless it has just been written. Called by all processes."""
        if self.progress.global_step == self.saved_step:
            return
        bad = self.state.find_non_finite()
        self._check_finite({} if bad is None else {bad: math.nan})
        self.state.save(self.output_dir, self.config.checkpoints_total_limit)
        self.saved_step = self.progress.global_step

    def _save_result(self) -> None:
        """Writes the card and the pipeline folder, whose model_index.json marks the run as finished."""
        if self.validation is not None:
            progress = self.progress
            write_card(
                self.output_dir,
                self.config,
                step=progress.global_step,
                samples=progress.samples,
                minutes=progress.minutes,
                logged=progress.logged,
            )
            with published_weights(self.generators, self.ema):
                save_networks(self.networks, self.output_dir, **pipeline_settings(self.config))
            self.validation.say_best()
        self.accelerator.wait_for_everyone()  # the next stage reads it

    # Setting up.

    def _set_up(self) -> None:
        config = self.config
        self.accelerator = _make_accelerator(config)
        checkpoint = choose_checkpoint(self.output_dir, config.resume_from_checkpoint)

        # 1. Networks and optimizers, the same in every process.
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
            if isinstance(network, VGG19Features) and self.accelerator.mixed_precision == "bf16":
                network.layers.to(torch.bfloat16)  # as under autocast, but its large features stay as they are
                prepared[name] = network.to(self.accelerator.device)
            else:
                prepared[name] = self.accelerator.prepare_model(network, evaluation_mode=name not in trained)
        self.trained = {name: prepared[name] for name in trained}
        self.generators = [self.networks[name] for name in self.stage.generators]
        rate = config.joint_learning_rate if config.stage == "joint" else config.learning_rate
        self.generator_optimizer = ScheduledAdam(
            self.accelerator, self._parameters(self.stage.generators), rate, config
        )
        rate *= config.discriminator_learning_rate_factor
        of_discriminators = self._parameters(self.stage.discriminators)
        self.discriminator_optimizer = (
            ScheduledAdam(self.accelerator, of_discriminators, rate, config) if of_discriminators else None
        )
        self.ema = make_ema(self.generator_optimizer.parameters, config)

        # 2. The state, from the checkpoint if there is one.
        optimizers = {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}
        self.state = RunState(
            self.accelerator,
            {name: self.networks[name] for name in trained},
            {name: optimizer for name, optimizer in optimizers.items() if optimizer is not None},
            self.ema,
        )
        if checkpoint is not None:
            self.state.read(checkpoint)
            logger.info("Continuing from %s.", checkpoint)
        self.saved_step = None if checkpoint is None else self.progress.global_step

        # 3. Data, from where the checkpoint left off; logs. The folder is made once nothing is missing.
        processes, index = self.accelerator.num_processes, self.accelerator.process_index
        device, samples = self.accelerator.device, self.progress.samples
        self.batches = self._place(make_train_loader(config, processes, index, samples, device=device))
        self.logs = Logs(self.accelerator, config, self.progress)
        self.validation: Validation | None = None
        if self.accelerator.is_main_process:
            batches, names = make_validation_batches(config)
            to_validate = [*self._place(batches)]
            self.output_dir.mkdir(parents=True, exist_ok=True)
            remove_partial(self.output_dir)
            self.validation = Validation(
                config, self.networks, self.ema, to_validate, names, self.logs, is_resumed=checkpoint is not None
            )
            repeatable = dataclasses.replace(config, resume_from_checkpoint=None)
            save_config(repeatable, self.output_dir / "training_config.yaml")

    def _place(self, batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        """`batches` on the device, in the networks' memory format."""
        memory_format = torch.channels_last if self.config.channels_last else torch.contiguous_format
        device = self.accelerator.device
        for batch in batches:
            yield {name: tensor.to(device, memory_format=memory_format) for name, tensor in batch.items()}

    def _parameters(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        return [parameter for name in names for parameter in self.networks[name].parameters()]


def _make_accelerator(config: TrainingConfig) -> Accelerator:
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        log_with=None if config.report_to == "none" else config.report_to,
        project_dir=Path(config.output_dir) / "logs",
    )
    if accelerator.num_processes != int(os.environ.get("WORLD_SIZE", "1")):
        raise ValueError(
            f"{os.environ['WORLD_SIZE']} processes were started, but accelerate found {accelerator.num_processes}; "
            "on a machine without a GPU, set ACCELERATE_USE_CPU=true."
        )
    if config.published_update and accelerator.gradient_accumulation_steps > 1:  # set by `accelerate launch`
        raise ValueError(
            f"`accelerate launch` set gradient accumulation to {accelerator.gradient_accumulation_steps}, which "
            "`published_update` does not have: expected 1."
        )
    if accelerator.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError("`mixed_precision` is 'fp16', which needs a GPU: expected no or, where it is fast, bf16.")
    return accelerator

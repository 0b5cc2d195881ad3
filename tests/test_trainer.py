"""The training loop: resuming bit for bit, torn checkpoints, what is written, what stops it."""

import copy
import dataclasses
import io
import json
import logging
import math
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close
from training_runs import assert_same_weights, final_weights, logged, run, tiny_settings

from edgeconnect_hf import EdgeConnectPipeline
from training.checkpoints.folders import find_checkpoints
from training.config import CompletionLossWeights, EdgeLossWeights, TrainingConfig
from training.discriminator import PatchDiscriminator
from training.judging import r1_term
from training.logs import draw_grid, shorten
from training.optimizer import ScheduledAdam, learning_rate_factor
from training.stages import EdgeStage
from training.trainer import NonFiniteError, Trainer
from training.validation import f1_by_hole

STAGES = ("edge", "completion", "joint")


pytestmark = pytest.mark.usefixtures("_own_cache_and_one_thread")


@pytest.fixture(scope="module")
def data(training_data) -> Path:
    return training_data


@pytest.fixture(scope="module")
def results(data, tmp_path_factory) -> dict[str, Path]:
    """The three stages, run one after the other without a break."""
    folder = tmp_path_factory.mktemp("results")
    previous = None
    for stage in STAGES:
        run(data, folder / stage, stage=stage, pretrained_model_name_or_path=previous, use_ema=True)
        previous = str(folder / stage)
    return {stage: folder / stage for stage in STAGES}


class KilledError(Exception):
    """Stands for whatever ends a run between two updates."""


def run_until(step: int, data: Path, output_dir: Path, **overrides) -> None:
    """A run that breaks off after `step` updates, without a word to anyone."""
    trainer = Trainer(TrainingConfig(**tiny_settings(data, output_dir, **overrides)))
    update = trainer._update

    def breaking():
        if trainer.progress.global_step == step:
            raise KilledError
        return update()

    trainer._update = breaking  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        trainer.run()


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_ends_with_the_same_weights(data, results, tmp_path, stage):
    start_from = {"edge": None, "completion": results["edge"], "joint": results["completion"]}[stage]
    settings = {"stage": stage, "pretrained_model_name_or_path": start_from and str(start_from), "use_ema": True}
    run_until(5, data, tmp_path, checkpointing_steps=4, **settings)
    trainer = Trainer(TrainingConfig(**tiny_settings(data, tmp_path, resume_from_checkpoint="latest", **settings)))
    assert trainer.progress.global_step == 4
    assert trainer.run()
    assert_same_weights(results[stage], tmp_path)


def test_a_torn_checkpoint_is_skipped(data, results, tmp_path, caplog):
    run_until(5, data, tmp_path, checkpointing_steps=2, use_ema=True)
    optimizer = tmp_path / "checkpoint-4" / "generator_adam.safetensors"
    optimizer.write_bytes(optimizer.read_bytes()[:-1])
    trainer = run(data, tmp_path, resume_from_checkpoint="latest", use_ema=True)
    assert "checkpoint-4 is torn" in caplog.text
    assert trainer.progress.global_step == 6
    assert_same_weights(results["edge"], tmp_path)


def test_a_run_turned_back_writes_its_checkpoints_anew(data, tmp_path):
    run(data, tmp_path, checkpointing_steps=2)
    later = tmp_path / "checkpoint-6" / "edge_generator.safetensors"
    before = later.read_bytes()
    turned_back = str(tmp_path / "checkpoint-2")
    run(data, tmp_path, resume_from_checkpoint=turned_back, max_grad_norm=1e-3, checkpoints_total_limit=1)
    assert later.read_bytes() != before
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-6"]


def test_a_resume_with_other_settings_is_refused_and_newer_checkpoints_are_named(data, tmp_path, caplog):
    run(data, tmp_path, checkpointing_steps=3)
    first = str(tmp_path / "checkpoint-3")
    settings = (tmp_path / "training_config.yaml").read_text()
    with pytest.raises(ValueError, match="another `use_ema` than True"):
        run(data, tmp_path, resume_from_checkpoint=first, use_ema=True)
    with pytest.raises(ValueError, match="of a run with another edge_generator: `base_channels`"):
        run(data, tmp_path, resume_from_checkpoint=first, base_channels=8)
    assert (tmp_path / "training_config.yaml").read_text() == settings
    run(data, tmp_path, resume_from_checkpoint=first, max_train_steps=4)
    assert "['checkpoint-6'] are newer and are kept" in caplog.text


def test_a_resumed_run_takes_the_rates_it_is_given(data, tmp_path):
    settings = {"lr_drop_step": 4, "use_ema": True}
    run(data, tmp_path, max_train_steps=3, **settings)
    settings |= {"learning_rate": 2e-3, "adam_beta1": 0.5, "ema_decay": 0.5, "discriminator_learning_rate_factor": 0.2}
    trainer = run(data, tmp_path, resume_from_checkpoint="latest", **settings)
    assert logged(tmp_path)["learning_rate"] == pytest.approx([1e-4, 1e-4, 1e-4, 2e-4, 2e-4, 2e-4])
    for optimizer, rate in ((trainer.generator_optimizer, 2e-4), (trainer.discriminator_optimizer, 4e-5)):
        (group,) = optimizer.optimizer.param_groups
        assert group["lr"] == pytest.approx(rate)
        assert group["betas"] == (0.5, 0.9)
    assert trainer.ema.decay == 0.5


def test_sigterm_writes_a_checkpoint_and_the_rest_can_follow(data, results, tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    settings = {"use_ema": True}
    trainer = Trainer(TrainingConfig(**tiny_settings(data, tmp_path, **settings)))
    os.kill(os.getpid(), signal.SIGTERM)
    assert not trainer.run()
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-1"]
    assert not (tmp_path / "model_index.json").exists()
    assert signal.getsignal(signal.SIGTERM) is handler
    run(data, tmp_path, resume_from_checkpoint="latest", **settings)
    assert_same_weights(results["edge"], tmp_path)


def test_a_trainer_that_cannot_be_made_leaves_the_handler_of_sigterm_alone(data, tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(FileNotFoundError, match="vgg_weights"):
        run(data, tmp_path, stage="completion", vgg_weights=str(tmp_path / "gone.safetensors"))
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_loss_that_is_no_number_stops_the_run_and_saves_nothing(data, tmp_path):
    trainer = Trainer(TrainingConfig(**tiny_settings(data, tmp_path, checkpointing_steps=2)))
    update = trainer._update

    def poisoned():
        if trainer.progress.global_step == 2:
            trainer.networks["edge_generator"].conv_out.bias.data.fill_(torch.nan)
        return update()

    trainer._update = poisoned  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError, match=r"`adversarial` is nan.* at update 3 of the edge stage.*checkpoint-2"):
        trainer.run()
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-2"]


def test_weights_that_are_no_numbers_are_not_saved(data, tmp_path):
    trainer = Trainer(TrainingConfig(**tiny_settings(data, tmp_path)))
    trainer.networks["edge_generator"].conv_out.bias.data.fill_(torch.inf)
    with pytest.raises(NonFiniteError, match=r"conv_out\.bias"):
        trainer._save_checkpoint()
    assert find_checkpoints(tmp_path) == []


def test_the_result_is_a_pipeline_with_what_it_knows_so_far(results):
    edge, joint = (EdgeConnectPipeline.from_pretrained(results[stage]) for stage in ("edge", "joint"))
    assert edge.completion_generator is None
    assert not edge.edge_generator.config.use_spectral_norm
    assert edge.edge_generator.config.sample_size == 32
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    output = joint(image, mask, output_type="pt")
    assert torch.equal(output.images * (1 - mask), image * (1 - mask))
    assert not torch.equal(output.images, image)
    for stage, beside in (("edge", {"edge"}), ("joint", {"edge", "completion"})):
        assert {path.name for path in results[stage].glob("*_discriminator")} == {f"{n}_discriminator" for n in beside}


def test_the_card_and_the_settings_lie_beside_the_weights(results):
    card = (results["joint"] / "README.md").read_text()
    assert "`pictures`: 6 updates, 12 images of 32x32" in card
    assert "| style |" in card
    assert "| validation_psnr |" in card
    assert "![validation grid](validation.png)" in card
    assert str(results["joint"].parent) not in card  # no folders of this machine
    settings = (results["joint"] / "training_config.yaml").read_text()
    assert "stage: joint" in settings
    assert "resume_from_checkpoint: null" in settings  # it repeats the run
    assert (results["joint"] / "validation" / "step-0000006.png").exists()


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("edge", {"adversarial", "feature_matching", "discriminator", "precision", "recall"}),
        ("completion", {"l1", "adversarial", "perceptual", "style", "discriminator", "psnr"}),
    ],
)
def test_losses_and_metrics_are_logged_by_name(results, stage, names):
    values = logged(results[stage])
    assert names <= values.keys()
    assert all(len(values[name]) == 6 for name in names)


def test_checkpoints_are_limited(data, tmp_path):
    run(data, tmp_path, checkpointing_steps=2, checkpoints_total_limit=1)
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-6"]
    with pytest.raises(FileExistsError, match="resume_from_checkpoint latest"):
        run(data, tmp_path)


def test_learning_rate_drops_and_time_runs_out(data, tmp_path):
    trainer = run(data, tmp_path, lr_drop_step=3)
    assert logged(tmp_path)["learning_rate"] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-5, 1e-5])
    assert trainer.discriminator_optimizer.learning_rate == pytest.approx(1e-6)
    trainer = run(data, tmp_path / "short", max_train_steps=None, max_train_minutes=0.001)
    assert trainer.progress.global_step >= 1
    assert (tmp_path / "short" / "model_index.json").exists()


def test_without_adversary_along_a_cosine(data, tmp_path):
    settings = {"edge_loss_weights": EdgeLossWeights(0, 0, cross_entropy=1), "lr_scheduler": "cosine"}
    trainer = run(data, tmp_path / "whole", **settings)
    assert trainer.discriminator_optimizer is None
    assert not list((tmp_path / "whole").glob("*_discriminator"))
    rates = [1e-4 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(1, 7)]
    assert logged(tmp_path / "whole")["learning_rate"] == pytest.approx(rates, rel=1e-6, abs=1e-12)  # logged in float32


def test_a_cosine_follows_the_limit_that_comes_first():
    config = TrainingConfig(train_data_dir="photos", max_train_steps=100, max_train_minutes=10.0, lr_scheduler="cosine")
    factors = [learning_rate_factor(step, minutes, config) for step, minutes in ((0, 0), (50, 1), (10, 5), (50, 12))]
    assert factors == pytest.approx([1, 0.5, 0.5, 0])
    by_time = dataclasses.replace(config, max_train_steps=None)
    assert learning_rate_factor(10**6, 5, by_time) == pytest.approx(0.5)


def test_a_run_by_the_clock_ends_at_the_foot_of_its_cosine(data, tmp_path):
    run(data, tmp_path, max_train_steps=None, max_train_minutes=0.02, lr_scheduler="cosine")
    rates = logged(tmp_path)["learning_rate"]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.5e-4
    # An update sets the rate by the minutes before it: the last one began within them, a few updates from their end.
    assert rates[-1] < 0.5e-4


@pytest.mark.usefixtures("_fresh_accelerator_state")
@pytest.mark.parametrize(("precision", "dtype"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_vgg_keeps_its_features_in_the_runs_precision(data, tmp_path, precision, dtype):
    trainer = Trainer(TrainingConfig(**tiny_settings(data, tmp_path, stage="completion", mixed_precision=precision)))
    vgg = trainer.stage.networks["vgg"]
    features = vgg(torch.rand(1, 3, 32, 32, requires_grad=True))
    assert {each.dtype for each in features.values()} == {dtype}
    features["relu1_1"].sum().backward()
    assert next(vgg.parameters()).grad is None
    trainer.batches.close()
    trainer.termination.restore()


def test_a_checkpoint_is_due_by_minutes_too(data, tmp_path):
    run(data, tmp_path, max_train_steps=3, checkpointing_minutes=1e-9, report_to="none")
    assert [path.name for path in find_checkpoints(tmp_path)] == [f"checkpoint-{step}" for step in (1, 2, 3)]


def test_losses_are_logged_as_means(data, tmp_path):
    each, means = (tmp_path / name for name in ("each", "means"))
    run(data, each, logging_steps=1)
    run(data, means, logging_steps=3)
    for name in ("adversarial", "discriminator"):
        values = logged(each)[name]
        assert logged(means)[name] == pytest.approx([sum(values[:3]) / 3, sum(values[3:]) / 3], rel=1e-6)  # float32


@pytest.fixture
def scores(monkeypatch):
    """F1 of one validation after the other, instead of what is measured."""
    upcoming: list[float] = []
    monkeypatch.setattr(EdgeStage, "scores", lambda *_: {"f1": upcoming.pop(0)})
    return upcoming


def test_the_best_weights_are_kept_and_named(data, scores, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="training.validation")
    settings = {"validation_steps": 2, "checkpointing_steps": 4, "use_ema": True, "report_to": "none"}
    scores += [0.1, 0.5, 0.2, 0.1]
    run(data, tmp_path / "run", **settings)
    best = tmp_path / "run" / "best"
    assert (
        f"after update 4 were better than the last: validation f1 0.5, at the end 0.2. They are in {best}"
        in caplog.text
    )
    run(data, tmp_path / "four", **{**settings, "max_train_steps": 4, "validation_steps": 100})
    assert_same_generator(best, tmp_path / "four")
    assert EdgeConnectPipeline.from_pretrained(best).edge_generator is not None
    score = json.loads((best / "score.json").read_text())
    by_hole = {name for name in score if name.startswith("f1_hole_")}
    assert by_hole
    assert {name: value for name, value in score.items() if name not in by_hole} == {"step": 4, "f1": 0.5}
    scores += [0.4, 0.6]  # a longer run: what was best counts
    for length in (7, 8):
        run(data, tmp_path / "run", **{**settings, "max_train_steps": length, "resume_from_checkpoint": "latest"})
        assert json.loads((best / "score.json").read_text())["step"] == {7: 4, 8: 8}[length]
    assert "The last weights are the best: validation f1 0.6." in caplog.text


def test_f1_is_told_by_the_size_of_the_hole():
    mask, edges = torch.zeros(3, 1, 20, 20), torch.zeros(3, 1, 20, 20)
    edges[..., 10, :] = 1
    mask[:2, ..., :5] = 1  # 25 %
    mask[2, ..., :11] = 1  # 55 %
    drawn = edges.clone()
    drawn[1] = 0  # of the two small holes, one is filled
    scores = f1_by_hole({"edges": edges, "mask": mask}, {"pred_edges": drawn})
    assert scores == pytest.approx({"f1_hole_20_30": 2 * 5 / (5 + 10), "f1_hole_50_60": 1.0})


def assert_same_generator(one: Path, other: Path) -> None:
    weights = [load_file(folder / "edge_generator" / "diffusion_pytorch_model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_grid_has_titles_and_no_more_than_sixteen_rows():
    columns = {"masked": torch.ones(20, 3, 64, 64), "lines": torch.zeros(20, 1, 64, 64)}
    pixels = draw_grid(columns, [str(number) for number in range(19)] + ["W" * 99])
    assert pixels.shape == (16 + 16 * 64, 96 + 2 * 64, 3)
    assert [(pixels[:16, start : start + 64] < 128).any() for start in (96, 160)] == [True, True]
    assert all((pixels[start : start + 16, :96] < 128).any() for start in range(16, 16 + 16 * 64, 64))
    assert (pixels[16:, 96:160] == 255).all()
    assert (pixels[16:, 160:] == 0).all()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("0123456789abcdef", "0123456789abcdef"),
        ("IMG_20240517_183045_portrait", "IMG_202..ortrait"),
        ("maison près du pont", "maison ..du pont"),
        ("家\n", "??"),
    ],
)
def test_a_long_name_loses_its_middle_and_a_strange_one_its_letters(name, shown):
    assert shorten(name) == shown
    images = {"a": torch.ones(1, 1, 32, 32)}
    assert (draw_grid(images, [name])[16:, 96:] == 255).all()  # none is drawn over an image


def test_what_tensorboard_shows_holds_no_folder_of_this_machine(data, results):
    for stage, folder in results.items():
        files = [path for path in (folder / "logs").rglob("*") if path.is_file()]
        written = b"".join(path.read_bytes() for path in files)
        assert len(files) >= 3  # losses and images; settings; settings as YAML
        for place in (data, folder, folder.parent):
            assert str(place).encode() not in written
        assert b"train_data_dir" in written
        assert b"pictures" in written
        events = EventAccumulator(str(folder / "logs" / "edgeconnect_hf"))
        events.Reload()
        assert events.Tags()["images"] == ["validation"]
        (image,) = events.Images("validation")
        shown = Image.open(io.BytesIO(image.encoded_image_string))
        assert np.array_equal(shown, Image.open(folder / "validation.png")), stage


def test_the_card_is_there_before_the_mark_of_a_finished_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr("training.trainer.save_networks", lambda *_, **__: raise_killed())
    with pytest.raises(KilledError):
        run(data, tmp_path, max_train_steps=1)
    assert (tmp_path / "README.md").exists()


def raise_killed() -> None:
    raise KilledError


@pytest.fixture
def _fresh_accelerator_state():
    AcceleratorState._reset_state(reset_partial_state=True)  # it settles on one precision per process
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_fresh_accelerator_state")
def test_accumulation_clipping_and_bf16_train(data, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="training.logs")
    trainer = run(
        data,
        tmp_path,
        gradient_accumulation_steps=2,
        max_grad_norm=0.1,
        mixed_precision="bf16",
        max_train_steps=2,
        edge_loss_weights=EdgeLossWeights(cross_entropy=1),
        r1_gamma=1.0,
    )
    wrapped = trainer.networks["edge_discriminator"]
    plain = PatchDiscriminator(2, channels=4)
    plain.load_state_dict(wrapped.state_dict())
    plain.to(memory_format=torch.channels_last)  # another layout adds up in another order
    real = torch.rand(2, 2, 32, 32)
    assert torch.equal(r1_term(wrapped, real), r1_term(plain, real))  # in float32
    assert not torch.equal(wrapped(real)[0], plain(real)[0])
    assert "4 images per update: processes 1, batch 2, accumulated 2." in caplog.text
    assert trainer.progress.samples == 8
    assert all(torch.isfinite(weight).all() for weight in final_weights(tmp_path).values())


@pytest.mark.usefixtures("_fresh_accelerator_state")
def test_fp16_on_a_cpu_is_refused_by_name(data, tmp_path):
    with pytest.raises(ValueError, match="`mixed_precision` is 'fp16', which needs a GPU"):
        run(data, tmp_path, mixed_precision="fp16")
    assert not tmp_path.joinpath("logs").exists()


@pytest.mark.usefixtures("_fresh_accelerator_state")
@pytest.mark.parametrize(
    "settings",
    [
        {"edge_loss_weights": EdgeLossWeights(1, 10, 1)},
        {"edge_loss_weights": EdgeLossWeights(0, 0, 1)},
        {
            "stage": "completion",
            "match_colours": True,
            "completion_loss_weights": CompletionLossWeights(feature_matching=1),
            "r1_gamma": 1.0,
        },
    ],
    ids=["edge", "no discriminator", "completion"],
)
def test_accumulated_batches_are_one_large_batch(data, tmp_path, monkeypatch, settings):
    monkeypatch.setattr("torch.optim.Adam", lambda weights, lr, betas: torch.optim.SGD(weights, lr))  # shows gradients
    moved: list[dict[str, torch.Tensor]] = []
    for size in (8, 2):
        accumulated = {"train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        AcceleratorState._reset_state(reset_partial_state=True)
        trainer = Trainer(
            TrainingConfig(**tiny_settings(data, tmp_path / str(size), learning_rate=0.1, **settings, **accumulated))
        )
        before = {name: tensor.clone() for name, tensor in all_weights(trainer).items()}
        for _ in range(2):
            trainer._update()
        moved.append({name: tensor - before[name] for name, tensor in all_weights(trainer).items()})
        trainer.termination.restore()
    for name, large in moved[0].items():
        # Sums in another order: float32 keeps 7 digits, of which two updates of some dozen layers lose three.
        assert_close(moved[1][name], large, rtol=0, atol=1e-4 * large.abs().max().item() + 1e-8, msg=name)


def all_weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Weights, and vectors of the spectral norms, of everything that is trained."""
    return {
        f"{name}.{key}": tensor
        for name in trainer.trained
        for key, tensor in trainer.networks[name].state_dict().items()
    }


def test_r1_is_added_every_16_updates_at_16_times_its_weight(data, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.optim.Adam", lambda weights, lr, betas: torch.optim.SGD(weights, lr))  # shows gradients
    judges: dict[float, PatchDiscriminator] = {}
    for gamma in (0.0, 0.5):
        settings = tiny_settings(data, tmp_path / str(gamma), learning_rate=1.0, r1_gamma=gamma, report_to="none")
        trainer = Trainer(TrainingConfig(**settings))
        trainer.termination.restore()
        judge = trainer.networks["edge_discriminator"]
        start = [weight.detach().clone() for weight in judge.parameters()]
        batch, _, terms = trainer._update()
        judges[gamma] = judge
    expected = copy.deepcopy(judge)  # its spectral norms have taken their step
    for weight, first in zip(expected.parameters(), start, strict=True):
        weight.data.copy_(first)
    penalty = r1_term(expected, trainer.stage.real_inputs(batch)["edge_discriminator"])
    assert_close(terms["r1"], penalty)
    penalty.backward()
    trios = zip(judges[0.0].parameters(), judge.parameters(), expected.parameters(), strict=True)
    for plain, weight, first in trios:
        # Relative to the largest: what is left of a difference of two sums in float32.
        wanted = -0.1 * 16 * 0.5 * first.grad
        assert_close(weight - plain, wanted, rtol=0, atol=1e-4 * wanted.abs().max().item() + 1e-7)
    assert "r1" not in trainer._update()[2]
    trainer.progress.global_step = 16
    assert "r1" in trainer._update()[2]


def test_r1_of_negative_weight_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match=r"`r1_gamma` is -1.0, expected a number from 0"):
        TrainingConfig(**tiny_settings(data, tmp_path, r1_gamma=-1.0))


def test_r1_of_weight_nearly_0_changes_no_bit(data, results, tmp_path, monkeypatch):
    """What computes it takes no step of the spectral norms and draws no random number; at 0 it is not computed."""
    monkeypatch.setattr("training.trainer.R1_INTERVAL", 2)
    run(data, tmp_path / "nearly", r1_gamma=1e-30, use_ema=True)
    assert_same_weights(results["edge"], tmp_path / "nearly")
    assert len(logged(tmp_path / "nearly")["r1"]) == 3
    assert "r1" not in logged(results["edge"])


def test_with_r1_too_a_resumed_run_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    monkeypatch.setattr("training.trainer.R1_INTERVAL", 2)
    settings = {"r1_gamma": 1.0, "logging_steps": 3}
    run(data, tmp_path / "whole", **settings)
    run_until(4, data, tmp_path / "killed", checkpointing_steps=3, **settings)
    run(data, tmp_path / "killed", resume_from_checkpoint="latest", **settings)
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert logged(tmp_path / "killed")["r1"] == logged(tmp_path / "whole")["r1"]


@pytest.mark.usefixtures("_fresh_accelerator_state")
def test_clipping_one_side_leaves_the_gradients_of_the_other_alone(monkeypatch):
    """As in fp16 on a GPU: losses scaled by 1024, two batches an update, D updated before G."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    monkeypatch.setattr(Accelerator, "mixed_precision", property(lambda _: "fp16"))
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", init_scale=1024)
    monkeypatch.setattr("torch.optim.Adam", lambda weights, lr, betas: torch.optim.SGD(weights, lr))  # shows gradients
    config = TrainingConfig(train_data_dir="photos", max_train_steps=1, max_grad_norm=1e9)  # nothing to clip
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizers = [ScheduledAdam(accelerator, [weight], 1.0, config) for weight in weights]
    for gradient in (3, 5):
        with accelerator.accumulate():
            for optimizer, weight in zip(optimizers, weights, strict=True):
                optimizer.update(gradient * weight.sum())
    assert [weight.item() for weight in weights] == [-4, -4]  # small whole numbers come out exact


def test_the_average_is_published_when_asked_for(data, results, tmp_path):
    run(data, tmp_path)
    live, average = final_weights(tmp_path), final_weights(results["edge"])
    assert torch.equal(
        live["edge_discriminator/convs.0.parametrizations.weight.original"],
        average["edge_discriminator/convs.0.parametrizations.weight.original"],
    )
    assert not torch.equal(live["edge_generator/conv_out.weight"], average["edge_generator/conv_out.weight"])


def test_colours_matched_in_training_are_matched_by_the_pipeline(data, results, tmp_path):
    settings = {"stage": "completion", "edge_source": "mixed", "match_colours": True, "max_train_steps": 1}
    run(data, tmp_path, pretrained_model_name_or_path=str(results["edge"]), **settings)
    assert EdgeConnectPipeline.from_pretrained(tmp_path).config.match_colours


def test_validation_figures_do_not_depend_on_the_batch(data, results, tmp_path):
    settings = {"stage": "joint", "pretrained_model_name_or_path": str(results["completion"]), "max_train_steps": 1}
    figures = []
    for size in (1, 2, 4):  # the last batch is smaller
        trainer = Trainer(
            TrainingConfig(
                **tiny_settings(
                    data, tmp_path / str(size), num_validation_images=3, **{**settings, "train_batch_size": size}
                )
            )
        )
        trainer._validate()
        figures.append([trainer.progress.logged[f"validation_{name}"] for name in ("psnr", "precision", "recall")])
    assert figures[1] == pytest.approx(figures[0], rel=1e-4)  # sums in another order; the pictures differ by decibels
    assert figures[2] == pytest.approx(figures[0], rel=1e-4)


def test_joint_stage_keeps_the_edge_losses_on_request(data, results, tmp_path):
    start_from = str(results["completion"])
    settings = {"stage": "joint", "pretrained_model_name_or_path": start_from, "max_train_steps": 1}
    run(data, tmp_path, keep_edge_losses=True, **settings)
    values = logged(tmp_path)
    assert {"l1", "edge_adversarial", "edge_feature_matching", "edge_discriminator"} <= values.keys()


def test_a_stage_says_what_it_starts_from(data, tmp_path):
    with pytest.raises(ValueError, match="no completion_generator and no edge_generator"):
        run(data, tmp_path, stage="joint")
    with pytest.raises(ValueError, match="no edge_generator"):
        run(data, tmp_path, stage="completion", edge_source="generated")
    with pytest.raises(ValueError, match="checkpoint-9"):
        run(data, tmp_path, resume_from_checkpoint=str(tmp_path / "checkpoint-9"))


def test_a_logger_that_is_not_installed_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr("training.logs.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="`report_to` is 'wandb'"):
        run(data, tmp_path, report_to="wandb")


def test_no_worker_outlives_the_run(data, tmp_path):
    trainer = run(data, tmp_path / "run", max_train_steps=1, dataloader_num_workers=1)
    assert trainer.progress.global_step == 1
    assert multiprocessing.active_children() == []

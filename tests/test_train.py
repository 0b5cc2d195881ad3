"""`training/train.py` as people run it: in processes of its own, killed, continued, in pairs, and to the Hub."""

import contextlib
import dataclasses
import logging
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub
from huggingface_hub import snapshot_download
from training_runs import (
    ROOT,
    assert_same_weights,
    final_weights,
    finish,
    flags,
    logged,
    run,
    start,
    tiny_settings,
)

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.hub import PushError
from training.checkpoints.folders import find_checkpoints, find_latest
from training.config import TrainingConfig
from training.flags import parse_training_config
from training.train import train
from training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("_own_cache_and_one_thread")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def data(training_data) -> Path:
    return training_data


def wait_for_checkpoint(output_dir: Path, process: subprocess.Popen[str], count: int = 1) -> None:
    until = time.monotonic() + 120
    while len(find_checkpoints(output_dir)) < count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.01)


def write_phases(recipe: Path) -> Path:
    """A recipe: G1 by cross-entropy alone, G1 against D1, G2."""
    recipe.write_text("""phases:
- {edge_loss_weights: {adversarial: 0, feature_matching: 0, cross_entropy: 1}}
- {adversarial_loss: hinge, learning_rate: 1.0e-3}
- {stage: completion, edge_source: mixed, completion_loss_weights: {style: 0}}
""")
    return recipe


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["edge", "completion", "joint"])
def test_killed_at_a_random_moment_and_resumed_it_ends_with_the_same_weights(data, home, tmp_path, stage):
    settings = {"stage": stage, "max_train_steps": 40, "checkpointing_steps": 10}
    if stage == "joint":
        run(data, tmp_path / "edge", stage="edge")
        run(data, tmp_path / "before", stage="completion", pretrained_model_name_or_path=str(tmp_path / "edge"))
        settings["pretrained_model_name_or_path"] = str(tmp_path / "before")
    process = start(flags(tiny_settings(data, tmp_path / "killed", **settings)), home)
    wait_for_checkpoint(tmp_path / "killed", process)
    time.sleep(random.uniform(0, 0.5))
    process.kill()  # SIGKILL: nothing can be tidied up
    process.communicate()
    assert not (tmp_path / "killed" / "model_index.json").exists()
    print(f"killed after {find_checkpoints(tmp_path / 'killed')[-1].name}")
    run(data, tmp_path / "killed", resume_from_checkpoint="latest", **settings)
    run(data, tmp_path / "whole", **settings)
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_killed_at_ten_random_moments_a_phased_training_ends_with_the_same_weights(data, home, tmp_path):
    settings = {"max_train_steps": 30, "checkpointing_steps": 5, "use_ema": True}
    recipe = write_phases(tmp_path / "recipe.yaml")
    for name in ("whole", "killed"):
        command = [*flags(tiny_settings(data, tmp_path / name, **settings)), f"--recipe={recipe}"]
        if name == "killed":
            for _ in range(10):
                process = start([*command, "--resume_from_checkpoint=latest"], home)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(random.uniform(6, 12))  # it takes about 5 to begin
                process.kill()
                process.communicate()
            command.append("--resume_from_checkpoint=latest")
        finish(start(command, home))
    for folder in ("phase-1", "phase-2", "phase-3", "."):
        assert_same_weights(tmp_path / "whole" / folder, tmp_path / "killed" / folder)


def test_sigterm_then_the_rest_then_the_hub(data, home, tmp_path, monkeypatch):
    """A run is told to stop, another finishes and pushes, and the model is pulled from the Hub."""
    output_dir = tmp_path / "run"
    settings = tiny_settings(data, output_dir, max_train_steps=400, checkpointing_steps=5)
    process = start(flags(settings), home)
    wait_for_checkpoint(output_dir, process)
    process.send_signal(signal.SIGTERM)
    finish(process)
    stopped = find_latest(output_dir)
    assert stopped is not None
    step = int(stopped.name.removeprefix("checkpoint-"))
    assert not (output_dir / "model_index.json").exists()

    with FakeHub() as hub:
        on_hub = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        settings |= {"resume_from_checkpoint": "latest", "push_to_hub": True, "hub_model_id": "tester/tiny"}
        settings["push_validation_pictures"] = True
        finish(start(flags({**settings, "max_train_steps": step + 1}), home, **on_hub))
        repo = hub.repos["models", "tester/tiny"]
        files = set(repo["commits"][repo["refs"]["main"]])
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        pulled = snapshot_download("tester/tiny", endpoint=hub.url, token="hf_test", cache_dir=tmp_path / "cache")
    pipeline = EdgeConnectPipeline.from_pretrained(pulled)
    assert files == {
        "README.md",
        "model_index.json",
        "validation.png",
        "edge_generator/config.json",
        "edge_generator/diffusion_pytorch_model.safetensors",
        "edge_discriminator/config.json",
        "edge_discriminator/model.safetensors",
        "edge_discriminator/README.md",
    }
    weight = final_weights(output_dir)["edge_generator/conv_out.weight"]
    assert torch.equal(pipeline.edge_generator.conv_out.weight, weight)
    assert pipeline.completion_generator is None


def test_a_push_that_fails_leaves_the_model_and_says_how_to_push_it(data, tmp_path):
    with pytest.raises(PushError, match=r"(?s)'tester/tiny/more' failed.*edgeconnect push .* tester/tiny/more"):
        run(data, tmp_path, max_train_steps=1, push_to_hub=True, hub_model_id="tester/tiny/more")  # no such name
    assert EdgeConnectPipeline.from_pretrained(tmp_path).edge_generator is not None


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "updates"), [("completion", 8), ("all", 20)])
def test_two_processes_follow_one(data, home, tmp_path, stage, updates):
    """Some updates of each stage: one process with batches of 4, two with batches of 2.

    The learning rate is a tenth of the usual one: at 1e-4, Adam without momentum enlarges the rounding of differently
    ordered sums about threefold a step, and the first five steps agree to 1e-7 before that shows.
    """
    settings = {"stage": stage, "max_train_steps": updates, "checkpointing_steps": 1000, "learning_rate": 1e-5}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    pair = start([*launcher, *flags(tiny_settings(data, tmp_path / "two", train_batch_size=2, **settings))], home)
    train(TrainingConfig(**tiny_settings(data, tmp_path / "one", train_batch_size=4, **settings)))
    finish(pair)
    for folder in ("edge", "completion", ".") if stage == "all" else (".",):
        one, two = logged(tmp_path / "one" / folder), logged(tmp_path / "two" / folder)
        names = one.keys() & {"psnr", "l1", "adversarial", "feature_matching", "perceptual", "style", "discriminator"}
        assert len(names) >= 3
        for name in names:
            assert len(one[name]) == updates
            assert two[name] == pytest.approx(one[name], rel=1e-4), f"{folder} {name}"


R1_IN_TWO_PROCESSES = """
import copy, sys
import torch
from accelerate import Accelerator
sys.path.insert(0, "ROOT")
from training.discriminator import PatchDiscriminator
from training.judging import Judging, r1_term

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
torch.manual_seed(0)
discriminator = PatchDiscriminator(2, channels=4)
alone = copy.deepcopy(discriminator)
wrapped = accelerator.prepare_model(discriminator)
assert wrapped is not discriminator and accelerator.num_processes == 2
real, fake = torch.rand(8, 2, 32, 32), torch.rand(8, 2, 32, 32)
judging = Judging({}, "hinge")
for number in range(2):
    wrapped.train(number == 0)
    first = 4 * accelerator.process_index + 2 * number
    part = slice(first, first + 2)
    with accelerator.accumulate(wrapped):
        loss = judging.discriminator_term(wrapped, real[part], fake[part]) + 8 * r1_term(discriminator, real[part])
        accelerator.backward(loss)
(judging.discriminator_term(alone, real, fake) + 8 * r1_term(alone, real)).backward()
for got, expected in zip(discriminator.parameters(), alone.parameters(), strict=True):
    # Sums in another order: float32 keeps 7 digits, of which a second derivative of five layers loses one or two.
    torch.testing.assert_close(got.grad, expected.grad, rtol=0, atol=1e-5 * expected.grad.abs().max().item())
accelerator.end_training()
"""


@pytest.mark.slow
def test_r1_in_two_processes_and_two_batches_has_the_gradient_of_one_large_batch(home, tmp_path):
    (tmp_path / "r1.py").write_text(R1_IN_TWO_PROCESSES.replace("ROOT", str(ROOT)))
    finish(start(["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(tmp_path / "r1.py")], home))


def test_sigterm_after_a_stage_keeps_the_next_from_beginning(data, tmp_path, monkeypatch):
    save_result = Trainer._save_result

    def told_to_stop(trainer):
        os.kill(os.getpid(), signal.SIGTERM)
        save_result(trainer)

    monkeypatch.setattr(Trainer, "_save_result", told_to_stop)
    train(TrainingConfig(**tiny_settings(data, tmp_path, stage="all", max_train_steps=1)))
    assert (tmp_path / "edge" / "model_index.json").exists()
    assert not (tmp_path / "completion").exists()


def test_all_stages_continue_where_they_were(data, tmp_path, caplog):
    settings = tiny_settings(data, tmp_path, stage="all", max_train_steps=1)
    train(TrainingConfig(**settings))
    before = final_weights(tmp_path)
    for folder in ("completion", "."):  # as if the second stage had not ended yet
        (tmp_path / folder / "model_index.json").unlink()
    shutil.rmtree(tmp_path / "checkpoint-1")
    edge = (tmp_path / "edge" / "model_index.json").stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        train(TrainingConfig(**settings, resume_from_checkpoint="latest"))
    assert f"The edge stage is finished in {tmp_path / 'edge'}: skipped." in caplog.text
    assert (tmp_path / "edge" / "model_index.json").stat().st_mtime_ns == edge
    after = final_weights(tmp_path)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.fixture
def phases(data, tmp_path):
    """The settings of three phases of two updates each, resumed where the folder has checkpoints."""

    def make(name: str, **overrides) -> list[TrainingConfig]:
        settings = tiny_settings(data, tmp_path / name, max_train_steps=2, use_ema=True, report_to="none", **overrides)
        recipe = write_phases(tmp_path / "recipe.yaml")
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        return parse_training_config([*arguments, f"--recipe={recipe}"])

    return make


def test_phases_follow_each_other_and_a_killed_one_is_resumed(phases, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="training.train")
    train(*phases("whole"))
    folder = tmp_path / "whole"
    assert [path.name for path in (folder / "phase-1").glob("*_*or")] == ["edge_generator"]  # no discriminator
    result = {f"{network}_{kind}" for network in ("edge", "completion") for kind in ("generator", "discriminator")}
    assert {path.name for path in folder.glob("*_*or")} == result
    assert_same_weights(folder, folder / "phase-3")
    first, second, third = (final_weights(folder / f"phase-{number}") for number in (1, 2, 3))
    name = "edge_generator/conv_in.weight"
    assert not torch.equal(first[name], second[name])
    assert torch.equal(second[name], third[name])  # G1 is only used there
    for result in (folder, folder / "best"):
        assert EdgeConnectPipeline.from_pretrained(result).completion_generator is not None
    assert "phase-2" in (folder / "training_config.yaml").read_text()  # what the last phase started from

    # Killed as the first phase writes its result, as the third begins, and after the third.
    for moment in (
        "training.trainer.save_networks",
        "training.stages.CompletionStage.predict",
        "training.train.copy_result",
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(moment, killed)
            with pytest.raises(KilledError):
                train(*phases("killed", resume_from_checkpoint="latest"))
        assert not (tmp_path / "killed" / "model_index.json").exists()
    train(*phases("killed", resume_from_checkpoint="latest"))
    assert "Phase 1 of 3 is finished in" in caplog.text
    assert_same_weights(folder, tmp_path / "killed")


def killed(*_, **__):
    raise KilledError


class KilledError(Exception):
    """Stands for whatever ends a training between two lines."""


def test_the_last_phase_can_be_extended_and_another_one_follow(phases, data, tmp_path):
    whole = phases("run", checkpointing_steps=1)
    train(*whole[:2])
    before = (tmp_path / "run" / "phase-1" / "model_index.json").stat().st_mtime_ns
    longer = [dataclasses.replace(phase, max_train_steps=3, resume_from_checkpoint="latest") for phase in whole]
    train(*longer[:2])
    assert find_latest(tmp_path / "run" / "phase-1") == tmp_path / "run" / "phase-1" / "checkpoint-2"
    assert find_latest(tmp_path / "run" / "phase-2") == tmp_path / "run" / "phase-2" / "checkpoint-3"
    train(*longer)
    assert (tmp_path / "run" / "phase-1" / "model_index.json").stat().st_mtime_ns == before
    assert EdgeConnectPipeline.from_pretrained(tmp_path / "run").completion_generator is not None


def test_a_push_that_a_kill_cut_off_is_done_again(data, tmp_path, monkeypatch):
    settings = tiny_settings(data, tmp_path, stage="all", max_train_steps=1, push_to_hub=True, report_to="none")
    monkeypatch.setattr("training.trainer.push", killed)
    with pytest.raises(KilledError):
        train(TrainingConfig(**settings))
    pushed: list[Path] = []
    monkeypatch.setattr("training.trainer.push", lambda output_dir, _: pushed.append(output_dir))
    train(TrainingConfig(**settings, resume_from_checkpoint="latest"))
    assert pushed == [tmp_path]


def test_what_a_later_phase_lacks_is_said_before_the_first(phases, tmp_path):
    edge, _, completion = phases("run")
    with pytest.raises(ValueError, match=r"Phase 1 of 2 needs edge_generator, which neither"):
        train(completion, edge)
    with pytest.raises(FileNotFoundError, match="vgg_weights"):
        train(edge, dataclasses.replace(completion, vgg_weights=str(tmp_path / "gone.safetensors")))
    (tmp_path / "run" / "phase-2" / "checkpoint-1").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="phase-2"):
        train(edge, completion)
    assert not (tmp_path / "run" / "phase-1").exists()

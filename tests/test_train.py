"""`training/train.py` as people run it: in processes of its own, killed, continued, in pairs, and to the Hub."""

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
from training_runs import (
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
from training.train import train
from training.trainer import Trainer

LOAD_AND_PRINT = """
from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.hub import PushError
pipe = EdgeConnectPipeline.from_pretrained("tester/tiny")
print(pipe.edge_generator.conv_out.weight.double().sum().item(), pipe.completion_generator)
"""


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


def test_sigterm_then_the_rest_then_the_hub(data, home, tmp_path):
    """A run is told to stop, another finishes and pushes, a fresh process loads the model from the Hub."""
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
        loaded = finish(start(["-c", LOAD_AND_PRINT], tmp_path / "fresh home", **on_hub))
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
    assert loaded.split()[-2:] == [str(weight.double().sum().item()), "None"]


def test_a_push_that_fails_leaves_the_model_and_says_how_to_push_it(data, tmp_path):
    with pytest.raises(PushError, match=r"(?s)'tester/tiny/more' failed.*edgeconnect push .* tester/tiny/more"):
        run(data, tmp_path, max_train_steps=1, push_to_hub=True, hub_model_id="tester/tiny/more")  # no such name
    assert EdgeConnectPipeline.from_pretrained(tmp_path).edge_generator is not None


@pytest.mark.parametrize(("stage", "updates"), [("completion", 8), pytest.param("all", 20, marks=pytest.mark.slow)])
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
        names = one.keys() & {"l1", "adversarial", "feature_matching", "perceptual", "style", "discriminator"}
        assert len(names) >= 3
        for name in names:
            assert len(one[name]) == updates
            assert two[name] == pytest.approx(one[name], rel=1e-4), f"{folder} {name}"


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

"""The state of a run, written to a checkpoint and read back: moments, rates, fp16's scale, random numbers."""

import random

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel

from training.checkpoints.folders import partial_folder, seal
from training.checkpoints.state import RunState
from training.config import TrainingConfig
from training.optimizer import ScheduledAdam


@pytest.fixture(autouse=True)
def _fresh_accelerator_state():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def make_state(scale: float | None = None) -> RunState:
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    accelerator.scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale)
    network = torch.nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    config = TrainingConfig(train_data_dir="photos", max_train_steps=8, lr_scheduler="cosine", learning_rate=0.1)
    optimizer = ScheduledAdam(accelerator, [*network.parameters()], 0.1, config)
    return RunState(accelerator, {"network": network}, {"generator": optimizer}, EMAModel(network.parameters()))


def update(state: RunState, count: int) -> None:
    network, optimizer = state.networks["network"], state.optimizers["generator"]
    for _ in range(count):
        image = torch.rand(1, 2, 8, 8)
        optimizer.update(network(image).square().sum())
        state.ema.step(network.parameters())
        state.progress.global_step += 1


def write(state: RunState, output_dir) -> None:
    state.write(partial_folder(output_dir, state.progress.global_step))
    seal(output_dir, state.progress.global_step)


@pytest.mark.parametrize("before", [0, 3])
def test_it_continues_bit_for_bit(tmp_path, before):
    state = make_state()
    update(state, before)
    state.progress.samples, state.progress.minutes, state.progress.logged = 24, 1.5, {"l1": 0.1, "psnr": float("inf")}
    write(state, tmp_path)
    update(state, 3)
    after = {file: {name: tensor.clone() for name, tensor in held.items()} for file, held in state.tensors().items()}

    other = make_state()
    other.read(tmp_path / f"checkpoint-{before}")
    assert other.progress.samples == 24
    assert (other.progress.minutes, other.progress.logged) == (1.5, {"l1": 0.1, "psnr": float("inf")})
    update(other, 3)
    for file, held in other.tensors().items():
        for name, tensor in held.items():
            assert torch.equal(tensor, after[file][name]), (file, name)
    (rates, other_rates) = ([g["lr"] for g in s.optimizers["generator"].optimizer.param_groups] for s in (state, other))
    assert rates == other_rates
    assert other.ema.cur_decay_value == state.ema.cur_decay_value
    (moments,) = (held.optimizer.state[held.parameters[0]] for held in other.optimizers.values())
    assert moments["exp_avg"].is_contiguous(memory_format=torch.channels_last)  # as the weights are


def test_the_scale_of_fp16_is_kept(tmp_path):
    state = make_state(scale=1024.0)
    loss = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([loss], lr=1.0)
    for factor in (1.0, float("inf")):  # one step that holds, one that overflows and halves the scale
        state.accelerator.scaler.scale(factor * loss).sum().backward()
        state.accelerator.scaler.step(optimizer)
        state.accelerator.scaler.update()
    write(state, tmp_path)
    other = make_state(scale=65536.0)
    other.read(tmp_path / "checkpoint-0")
    assert other.accelerator.scaler.state_dict() == state.accelerator.scaler.state_dict()
    assert other.accelerator.scaler.get_scale() == 512


@pytest.mark.parametrize(("written", "read"), [(None, 1024.0), (1024.0, None)])
def test_another_precision_holds_from_there_on(tmp_path, written, read):
    write(make_state(written), tmp_path)
    other = make_state(read)
    other.read(tmp_path / "checkpoint-0")
    assert read is None or other.accelerator.scaler.get_scale() == read


def test_each_process_has_its_own_random_numbers(tmp_path, monkeypatch):
    def draw():
        return random.random(), random.gauss(0, 1), np.random.normal(), torch.rand(1).item(), torch.randn(1).item()

    state = make_state()
    draw()  # of the normal numbers, which come in pairs, one is left
    write(state, tmp_path)
    expected = draw()
    make_state().read(tmp_path / "checkpoint-0")
    assert draw() == expected

    other = make_state()
    monkeypatch.setattr(Accelerator, "process_index", property(lambda _: 1))  # the run had one process, now it has two
    torch.manual_seed(7)
    own = draw()
    torch.manual_seed(7)
    other.read(tmp_path / "checkpoint-0")
    assert torch.rand(1).item() == own[3]

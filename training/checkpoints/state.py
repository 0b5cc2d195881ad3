"""What a run needs to continue bit for bit, and its files in a checkpoint: JSON and safetensors, nothing executable.

state.json                     progress of the run, and the loss scale of fp16
<network>.safetensors          weights of a trained network
generator_adam.safetensors     Adam's moments of the generators
discriminator_adam.safetensors Adam's moments of the discriminators
ema.safetensors                the moving average, with `use_ema`
random_<process>.json          the random generators of each process
"""

import dataclasses
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from training.checkpoints.files import read_json, read_tensors, write_json, write_tensors
from training.checkpoints.folders import checkpoint_step, partial_folder, remove_old, seal, sealed_files
from training.checkpoints.random_state import get_random_state, set_random_state
from training.optimizer import ScheduledAdam

_SCALE = ("scale", "_growth_tracker")  # the values that GradScaler changes; the others are settings
_NAME = re.compile(r"state\.json|random_[0-9]+\.json|[a-z_]+\.safetensors")
_LARGEST = 2**53  # whole number that every JSON reader represents exactly


@dataclass
class Progress:
    """Progress of a run."""

    global_step: int = 0
    """Updates."""
    samples: int = 0
    """Images seen by all processes together."""
    minutes: float = 0.0
    """Training time over all resumed runs."""
    logged: dict[str, float] = field(default_factory=dict)
    """The last losses and metrics by name."""


class RunState:
    """The live state of a run, written to a checkpoint and read back.

    Learning rates and the warm-up of the moving average are not part of it: settings and progress give them.

    Args:
        accelerator (`Accelerator`): of the run.
        networks (`Mapping[str, nn.Module]`): the trained networks, unwrapped, so that another number of processes can
            continue from them.
        optimizers (`Mapping[str, ScheduledAdam]`): of the generators and, if there are any, the discriminators.
        ema (`EMAModel`, *optional*): the moving average.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, ScheduledAdam],
        ema: EMAModel | None,
    ):
        self.accelerator = accelerator
        self.networks = networks
        self.optimizers = optimizers
        self.ema = ema
        self.progress = Progress()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All tensors themselves, not copies, by file and name."""
        tensors: dict[str, dict[str, Tensor]] = {name: net.state_dict() for name, net in self.networks.items()}
        tensors |= {f"{name}_adam": optimizer.moments() for name, optimizer in self.optimizers.items()}
        if self.ema is not None:
            tensors["ema"] = {str(number): average for number, average in enumerate(self.ema.shadow_params)}
        return tensors

    def find_non_finite(self) -> str | None:
        """The name of a tensor with a value that is infinite or not a number; None if there is none."""
        named = (pair for tensors in self.tensors().values() for pair in tensors.items())
        return next((name for name, tensor in named if not torch.isfinite(tensor).all()), None)

    def save(self, output_dir: Path, limit: int | None = None) -> None:
        """Writes `checkpoint-N`, and removes old ones beyond `limit`. Called by all processes."""
        step = self.progress.global_step
        self.write(partial_folder(output_dir, step))
        if self.accelerator.is_main_process:
            seal(output_dir, step)
            if limit is not None:
                remove_old(output_dir, step, limit)
        self.accelerator.wait_for_everyone()

    def write(self, folder: Path) -> None:
        """Creates `folder` and writes the files. Called by all processes: each writes its own random state."""
        if self.accelerator.is_main_process:
            folder.mkdir()
            scaler = self.accelerator.scaler
            scale = None if scaler is None else {name: scaler.state_dict()[name] for name in _SCALE}
            write_json(folder / "state.json", {**dataclasses.asdict(self.progress), "scaler": scale})
            for name, tensors in self.tensors().items():
                write_tensors(folder / f"{name}.safetensors", tensors)
        self.accelerator.wait_for_everyone()
        write_json(folder / self._random_file, get_random_state(self.accelerator.device))
        self.accelerator.wait_for_everyone()

    @torch.no_grad()
    def read(self, checkpoint: Path) -> None:
        """Restores the state of `checkpoint`. A process without a random state in it keeps its own.

        Raises:
            ValueError: a file is missing, unknown, or does not match this run; the message names it.
        """
        files = self._check_files(checkpoint)
        path = checkpoint / "state.json"
        self.progress, scale = _to_progress(read_json(path), checkpoint_step(checkpoint), path)
        for name, tensors in self.tensors().items():
            for key, tensor in read_tensors(checkpoint / f"{name}.safetensors", tensors).items():
                tensors[key].copy_(tensor)
        for optimizer in self.optimizers.values():
            optimizer.go_to(self.progress.global_step, self.progress.minutes)
        if self.ema is not None:
            self.ema.optimization_step = self.progress.global_step
        scaler = self.accelerator.scaler
        if scaler is not None and scale is not None:  # no scale: the run switched to fp16 and starts with its own
            scaler.load_state_dict({**scaler.state_dict(), **scale})
        if self._random_file in files:
            path = checkpoint / self._random_file
            state = read_json(path)
            try:
                set_random_state(state, self.accelerator.device)
            except ValueError as error:
                raise ValueError(f"{str(path)!r} cannot be used: {error}") from error

    @property
    def _random_file(self) -> str:
        return f"random_{self.accelerator.process_index}.json"

    def _check_files(self, checkpoint: Path) -> set[str]:
        """The names of a checkpoint's files, checked against what this run would write."""
        files = set(sealed_files(checkpoint))
        if "state.json" not in files:
            raise ValueError(
                f"{str(checkpoint)!r} has no state.json: it is of an earlier version, which pickled its state, and "
                "pickles are not read. Finish that run with the version that started it and start from its result with "
                "`--pretrained_model_name_or_path`, or start over in another `output_dir`."
            )
        if strays := sorted(name for name in files if not _NAME.fullmatch(name)):
            raise ValueError(f"{str(checkpoint)!r} holds {reprlib.repr(strays)}, which no run of this version writes.")
        found = {name for name in files if not re.fullmatch(r"random_[1-9][0-9]*\.json", name)}
        expected = {"state.json", "random_0.json", *(f"{name}.safetensors" for name in self.tensors())}
        if found != expected:
            raise ValueError(
                f"{str(checkpoint)!r} is of a run of another `stage`, of a run with another `use_ema` than "
                f"{self.ema is not None}, or with losses that need another discriminator: it holds {sorted(found)}, "
                f"expected {sorted(expected)}. It stays as it is."
            )
        return files


def _to_progress(values: Any, step: int, path: Path) -> tuple[Progress, dict[str, Any] | None]:
    """The content of state.json: the progress, and the loss scale of fp16 if there is one."""
    wanted = {setting.name for setting in dataclasses.fields(Progress)} | {"scaler"}
    if not isinstance(values, dict) or values.keys() != wanted:
        raise ValueError(f"{str(path)!r} must hold an object with the keys {sorted(wanted)} and no others.")
    scale = values.pop("scaler")
    logged = values["logged"]
    checks = {
        "global_step": (_is_count(values["global_step"]) and values["global_step"] == step, f"{step}, as its folder"),
        "samples": (_is_count(values["samples"]), "a whole number"),
        "minutes": (_is_amount(values["minutes"]), "a number from 0"),
        "logged": (
            isinstance(logged, dict) and all(name.isidentifier() and type(logged[name]) is float for name in logged),
            "numbers by name",
        ),
    }
    for name, (is_right, expected) in checks.items():
        if not is_right:
            raise ValueError(f"{str(path)!r} has {reprlib.repr(values[name])} as `{name}`, expected {expected}.")
    if scale is not None and not (
        isinstance(scale, dict)
        and scale.keys() == set(_SCALE)
        and _is_amount(scale["scale"])
        and _is_count(scale["_growth_tracker"])
    ):
        raise ValueError(f"{str(path)!r} has {reprlib.repr(scale)} as `scaler`, expected null or {_SCALE}.")
    return Progress(**values), scale


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_amount(value: Any) -> bool:
    return type(value) is float and 0 <= value < math.inf

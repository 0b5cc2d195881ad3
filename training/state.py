"""What a run needs to continue bit for bit, and its files in a checkpoint: JSON and safetensors, nothing that executes.

state.json              how far the run has come, and the scale of fp16's losses
<network>.safetensors   weights of a network that is trained
<player>_adam.safetensors   Adam's moments of a side of the game
ema.safetensors         the moving average, with `use_ema`
random_<process>.json   the random generators of each process
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

from training.checked_files import read_json, read_tensors, write_json, write_tensors
from training.checkpoints import checkpoint_step, sealed_files
from training.player import Player
from training.random_state import get_random_state, set_random_state

_SCALE = ("scale", "_growth_tracker")  # what GradScaler changes; the rest are its settings
_NAME = re.compile(r"state\.json|random_[0-9]+\.json|[a-z_]+\.safetensors")
_LARGEST = 2**53  # whole number that every reader of JSON takes for what it is


@dataclass
class Progress:
    """How far a run has come."""

    global_step: int = 0
    """Updates."""
    samples: int = 0
    """Pictures, seen by all processes together."""
    minutes: float = 0.0
    """Over all resumed runs."""
    logged: dict[str, float] = field(default_factory=dict)
    """The last losses and metrics by name."""


class RunState:
    """The live state of a run, to be written to a checkpoint and read back.

    The learning rates and the average's warm-up are not part of it: they follow from the settings and `global_step`.

    Args:
        accelerator (`Accelerator`): of the run.
        networks (`Mapping[str, nn.Module]`): the trained ones, free of what wraps them, so that another number of
            processes can continue from them.
        players (`Mapping[str, Player]`): those that take part.
        ema (`EMAModel`, *optional*): the moving average.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        networks: Mapping[str, nn.Module],
        players: Mapping[str, Player],
        ema: EMAModel | None,
    ):
        self.accelerator = accelerator
        self.networks = networks
        self.players = players
        self.ema = ema
        self.progress = Progress()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All tensors, not copies of them, by file and name."""
        tensors: dict[str, dict[str, Tensor]] = {name: net.state_dict() for name, net in self.networks.items()}
        tensors |= {f"{name}_adam": player.moments() for name, player in self.players.items()}
        if self.ema is not None:
            tensors["ema"] = {str(number): average for number, average in enumerate(self.ema.shadow_params)}
        return tensors

    def write(self, folder: Path) -> None:
        """Makes `folder` and writes the files. Called by all processes: each writes its own random state."""
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
        """Takes the state from `checkpoint`. A process that the checkpoint does not know keeps its random state.

        Raises:
            ValueError: a file is missing, not one of a checkpoint, or holds what this run cannot have; it is named.
        """
        files = self._check_files(checkpoint)
        path = checkpoint / "state.json"
        self.progress, scale = _to_progress(read_json(path), checkpoint_step(checkpoint), path)
        for name, tensors in self.tensors().items():
            for key, tensor in read_tensors(checkpoint / f"{name}.safetensors", tensors).items():
                tensors[key].copy_(tensor)
        for player in self.players.values():
            player.go_to(self.progress.global_step)
        if self.ema is not None:
            self.ema.optimization_step = self.progress.global_step
        scaler = self.accelerator.scaler
        if scaler is not None and scale is not None:  # without one, a run that has turned to fp16 begins with its own
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
        """The names of a checkpoint's files, if they are those of this run."""
        files = set(sealed_files(checkpoint))
        if "state.json" not in files:
            raise ValueError(
                f"{str(checkpoint)!r} has no state.json: it is of an earlier version, which pickled its state, and "
                "pickles are not read. Finish that run with the version that began it and start from its result with "
                "`--pretrained_model_name_or_path`, or begin anew in another `output_dir`."
            )
        if strays := sorted(name for name in files if not _NAME.fullmatch(name)):
            raise ValueError(f"{str(checkpoint)!r} holds {reprlib.repr(strays)}, which no run of this version writes.")
        found = {name for name in files if not re.fullmatch(r"random_[1-9][0-9]*\.json", name)}
        expected = {"state.json", "random_0.json", *(f"{name}.safetensors" for name in self.tensors())}
        if found != expected:
            raise ValueError(
                f"{str(checkpoint)!r} is of a run with another `use_ema` than {self.ema is not None}, or with losses "
                f"that need another discriminator: it holds {sorted(found)}, expected {sorted(expected)}."
            )
        return files


def _to_progress(values: Any, step: int, path: Path) -> tuple[Progress, dict[str, Any] | None]:
    """What state.json holds: the progress, and the scale of fp16's losses if there is one."""
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

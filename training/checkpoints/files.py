"""JSON and safetensors files from untrusted sources: read as data, checked, never executed."""

import json
import reprlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

MAX_JSON_BYTES = 2**20  # ours take 25 KB


def is_regular(path: Path) -> bool:
    """Whether `path` is a plain file: not a folder, link, device, or pipe, on which reading would block."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError for a null byte in the name
        return False


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file, of any type.

    Raises:
        ValueError: the file is missing, too large, a link, or not JSON.
    """
    try:
        if not is_regular(path):
            raise ValueError("it is not a regular file")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"it is larger than {MAX_JSON_BYTES} bytes")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as JSON: {error}.") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Args:
        path (`Path`): the file.
        expected (`Mapping[str, torch.Tensor]`): float32 tensors with the names and shapes that the file must hold.

    Raises:
        ValueError: the file is missing, not a safetensors file, holds other tensors, or one that is not finite.
    """
    if not is_regular(path):
        raise ValueError(f"{str(path)!r} is not a regular file.")
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # tensors are not read yet
            for name in sorted(slices.keys() | expected.keys()):
                found = (slices[name].get_dtype(), *slices[name].get_shape()) if name in slices else None
                wanted = ("F32", *expected[name].shape) if name in expected else None
                if found != wanted:
                    raise ValueError(
                        f"{str(path)!r} is of a run with another {path.stem}: `base_channels`, `num_residual_blocks` "
                        "and `pretrained_model_name_or_path` must be as before (its settings are in "
                        f"training_config.yaml). It holds {reprlib.repr(name)} as {found}, expected {wanted}."
                    )
            tensors = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as safetensors: {error}") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{str(path)!r} holds {name!r} with values that are infinite or not a number.")
    return tensors

"""The state of a process's random generators as JSON values, and back."""

import base64
import random
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MERSENNE_WORDS = 624  # in the state of all three CPU generators


def get_random_state(device: torch.device) -> dict[str, Any]:
    """The state of Python's, NumPy's and PyTorch's generators, including `device`'s, in JSON types."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached_gauss = np.random.get_state()
    state = {
        "python": [version, list(words), gauss],
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, cached_gauss],
        "torch": _to_text(torch.get_rng_state()),
    }
    if device.type != "cpu":
        state[device.type] = _to_text(torch.get_device_module(device).get_rng_state())
    return state


def set_random_state(state: Any, device: torch.device) -> None:
    """Sets all generators. A device of a type that is not in `state` keeps its own.

    Raises:
        ValueError: `state` is not a result of `get_random_state`.
    """
    try:
        version, words, gauss = state["python"]
        name, keys, position, has_gauss, cached_gauss = state["numpy"]
        of_torch = _to_tensor(state["torch"])
        # The setters do not check positions: NumPy and PyTorch would read beyond the end of their words.
        _, left, _, following = struct.unpack_from("<QiiQ", of_torch.numpy().tobytes())
        if not 0 <= position <= _MERSENNE_WORDS or not 0 <= following <= _MERSENNE_WORDS + 1 - left:
            raise ValueError(f"a position lies beyond its {_MERSENNE_WORDS} words")
        if not isinstance(gauss, float | None):
            raise ValueError(f"Python's next normal number has type {type(gauss).__name__}, expected float or None")
        random.setstate((version, tuple(words), gauss))
        np.random.set_state((name, np.array(keys, np.uint32), int(position), int(has_gauss), float(cached_gauss)))
        torch.set_rng_state(of_torch)
        if device.type in state:
            torch.get_device_module(device).set_rng_state(_to_tensor(state[device.type]))
    except (LookupError, OverflowError, RuntimeError, struct.error, TypeError, ValueError) as error:
        raise ValueError(f"not a state of random generators: {error}") from error


def _to_text(state: Tensor) -> str:
    return base64.b64encode(state.cpu().numpy().tobytes()).decode()


def _to_tensor(text: str) -> Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text, validate=True)), dtype=torch.uint8)

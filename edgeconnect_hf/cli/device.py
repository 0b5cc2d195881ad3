"""`--device`, `--dtype` and `--model`: choose the device and the precision, load the pipeline."""

import gc
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..digests import file_digest
from .errors import one_line

if TYPE_CHECKING:
    import torch

    from ..pipeline import EdgeConnectPipeline

# By name on the command line: the name in torch, which is imported only when needed.
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}

_OF_A_MODEL = ("*.json", "*/*.json", "*/*.safetensors")  # the files of a folder that make a model what it is


class Model:
    """The model of a command; its pipeline is loaded when it is first asked for.

    Args:
        name, device, dtype: `--model`, `--device` and `--dtype`, as in `load_pipeline`.
    """

    def __init__(self, name: str | None, device: str = "auto", dtype: str = "auto"):
        self.name, self.device, self.dtype = name, device, dtype

    @cached_property
    def pipeline(self) -> "EdgeConnectPipeline":
        """The pipeline, on its device."""
        return load_pipeline(self.name, self.device, self.dtype)

    @cached_property
    def digest(self) -> str:
        """A digest of weights and configuration: the same for a copy, another one after an update of any kind."""
        folder = self._folder
        parts = sorted(path for pattern in _OF_A_MODEL for path in folder.glob(pattern))
        lines = [f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in parts]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def _folder(self) -> Path:
        if self.name is not None and Path(self.name).is_dir():
            return Path(self.name)
        from ..loading import BUNDLED_MODEL

        if self.name is None:
            return BUNDLED_MODEL
        from huggingface_hub import try_to_load_from_cache

        _ = self.pipeline  # brings the Hub's present revision into the cache
        return Path(str(try_to_load_from_cache(self.name, "model_index.json"))).parent


def load_pipeline(model: str | None, device: str = "auto", dtype: str = "auto") -> "EdgeConnectPipeline":
    """Load a pipeline for the command line.

    Args:
        model (`str`, *optional*): `--model`, a folder or a model on the Hub; by default the bundled one.
        device (`str`): `--device`; `"auto"` is CUDA, then MPS, then the CPU.
        dtype (`str`): `--dtype`; `"auto"` is `fastest_dtype`, any other a key of `DTYPES`.
    """
    with _without_collector():
        import torch

        from ..pipeline import EdgeConnectPipeline

    silence_diffusers()
    torch_device = _torch_device(device)
    with _blame("--device", device):
        torch.zeros(1).to(torch_device).cpu()  # the way back as well: "meta" accepts a tensor and returns none
        chosen_dtype = fastest_dtype(torch_device) if dtype == "auto" else torch_dtype(dtype)
    with _blame("--model", model):
        pipeline = EdgeConnectPipeline.from_pretrained(model, dtype=chosen_dtype)
    with _blame("--device", device):
        pipeline.to(torch_device)
    return pipeline


@contextmanager
def _without_collector() -> Iterator[None]:
    """For imports: what they make stays, and looking for garbage among it takes over a quarter of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _blame(argument: str, value: str | None) -> Iterator[None]:
    """Turn what torch raises for a missing device or for weights of other shapes into a `ValueError`."""
    try:
        yield
    except (RuntimeError, AssertionError, ModuleNotFoundError) as error:
        raise ValueError(f"`{argument}` {value!r} cannot be used: {one_line(error)}") from error


def fastest_dtype(device: "torch.device") -> "torch.dtype":
    """The fastest dtype on `device`.

    On CUDA, bf16 from Ampere on and fp16 before it. On a CPU with AMX or AVX512-BF16, bf16 if a convolution is clearly
    faster in it. Otherwise fp32.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    has_bf16 = device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    # Measured, as bf16 doubles the speed of AMD's Zen 4 but halves that of Intel's Xeons without AMX.
    if has_bf16 and _convolution_seconds(torch.bfloat16) < 0.8 * _convolution_seconds(torch.float32):
        return torch.bfloat16
    return torch.float32


def torch_dtype(name: str) -> "torch.dtype":
    """The dtype of a key of `DTYPES`."""
    import torch

    return getattr(torch, DTYPES[name])


def silence_diffusers() -> None:
    """Turn off diffusers' progress bars and warnings."""
    from diffusers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _torch_device(name: str) -> "torch.device":
    import torch

    if name != "auto":
        try:
            return torch.device(name)
        except RuntimeError:
            raise ValueError(
                f"`--device` must be auto or a PyTorch device such as cpu, cuda, cuda:1 or mps: got {name!r}."
            ) from None
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _convolution_seconds(dtype: "torch.dtype") -> float:
    """CPU time of a convolution like those of the generators, the best of five runs by one thread.

    The wall clock, and threads that wait for each other, would decide by what else the machine does.
    """
    import torch

    convolution: torch.nn.Module = torch.nn.Conv2d(128, 128, 3, padding=1, dtype=dtype)
    convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = torch.zeros(1, 128, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    is_fine = time.get_clock_info("thread_time").resolution < 1e-4  # not on Windows
    clock = time.thread_time if is_fine else time.perf_counter
    seconds, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(5):
                start = clock()
                convolution(features)
                seconds.append(clock() - start)
    finally:
        torch.set_num_threads(threads)
    return min(seconds)

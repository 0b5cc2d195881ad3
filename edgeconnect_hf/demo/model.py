"""A pipeline as the demo runs it: in turn, within the time limits, with its errors shown to the visitor."""

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..pipeline import EdgeConnectPipeline
from ..windows import find_windows
from .canvas import Bools, Bytes
from .jobs import Gate, check_current_job
from .limits import Limits
from .refusals import as_refusals, refusal

_TRIAL_SIDE = 256  # pixels of the square on which the speed is measured


class Model:
    """A pipeline behind the gate.

    Args:
        pipeline (`EdgeConnectPipeline`): the pipeline.
        gate (`Gate`): admits one job at a time.
        limits (`Limits`): `max_job_seconds` and `time_limit` are used.
    """

    def __init__(self, pipeline: EdgeConnectPipeline, gate: Gate, limits: Limits):
        self.pipeline, self.gate, self.limits = pipeline, gate, limits
        self.seconds_per_pixel: float | None = None  # of one half of the pipeline, measured at the first job
        self._measuring = threading.Lock()
        self._call = _on_gpu(self._call_pipeline, limits.time_limit)

    @contextmanager
    def turn(self, mask: Bools, strategy: str, halves: int = 1) -> Iterator[None]:
        """Hold the model for one half of the pipeline, or for both.

        Args:
            mask (`np.ndarray`): `[H,W]` bool, True in the hole.
            strategy (`str`): where to work, as in the pipeline.
            halves (`int`): 2 for drawing and completing.

        Raises:
            gr.Error: it would take longer than `max_job_seconds`, or the wait is too long.
        """
        seconds = halves * self._estimate(mask, strategy)
        if seconds > self.limits.max_job_seconds:
            raise refusal(
                f"This would take about {seconds:.0f} seconds here; up to {self.limits.max_job_seconds:g} are allowed. "
                "Try a smaller hole, or the strategy 'auto'."
            )
        with self.gate.turn(seconds):
            yield

    def generate_edges(self, photo: Image.Image, mask: Bools, **options: Any) -> Bytes:
        """`EdgeConnectPipeline.generate_edges` for one photo: `[H,W]` uint8, 255 on a line."""
        return np.asarray(self._run("generate_edges", photo, mask, **options))

    def complete(self, photo: Image.Image, mask: Any, edges: Any, **options: Any) -> Image.Image:
        """`EdgeConnectPipeline.complete` for one photo."""
        return self._run("complete", photo, mask, edges, **options)

    def _estimate(self, mask: Bools, strategy: str) -> float:
        """Seconds that one half of the pipeline takes; proportional to the pixels it works on."""
        network = self.pipeline.completion_generator or self.pipeline.edge_generator
        windows = find_windows(mask, strategy, network.config.sample_size)
        pixels = sum(height * width for height, width in (window.work_size for window in windows))
        return pixels * self._measure() if pixels else 0

    def _measure(self) -> float:
        """Seconds per pixel of one half of the pipeline."""
        with self._measuring:
            if self.seconds_per_pixel is None:
                mask = np.zeros((_TRIAL_SIDE, _TRIAL_SIDE), np.uint8)
                mask[::2] = 255
                picture, times = Image.fromarray(mask), []
                with self.gate.turn(1):
                    for _ in range(2):  # the first warms up
                        start = time.monotonic()
                        self.complete(picture, mask, picture, strategy="original")
                        times.append(time.monotonic() - start)
                self.seconds_per_pixel = min(times) / mask.size
            return self.seconds_per_pixel

    def _run(self, method: str, *pictures: Any, **options: Any) -> Image.Image:
        with as_refusals():
            return self._call(method, pictures, options)

    def _call_pipeline(self, method: str, pictures: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with _stoppable(self.pipeline):
            return getattr(self.pipeline, method)(*pictures, **options)[0]


@contextmanager
def _stoppable(pipeline: EdgeConnectPipeline) -> Iterator[None]:
    """Let a job end at the next layer of the networks."""
    networks = [network for network in pipeline.components.values() if isinstance(network, torch.nn.Module)]
    hooks = [layer.register_forward_pre_hook(check_current_job) for network in networks for layer in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _on_gpu(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """On ZeroGPU hardware, where `spaces` is installed, hold a GPU during the call; elsewhere, return `function`."""
    if importlib.util.find_spec("spaces") is None:
        return function
    import spaces

    return spaces.GPU(duration=int(seconds))(function)

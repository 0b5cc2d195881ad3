"""A pipeline as the demo runs it: in turn, within the time limits, with its errors shown to the visitor."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import torch
from PIL import Image

from ..pipeline import EdgeConnectPipeline
from ..pipeline_output import EdgeConnectPipelineOutput
from ..proposals import MAX_PROPOSALS
from ..serving.jobs import Gate, check_current_job, on_gpu
from ..serving.limits import Limits
from ..serving.refusals import as_refusals, refusal
from ..session import EditSession
from ..windows import find_windows
from .planes import Bools, Bytes

_TRIAL_SIDE = 256  # pixels of the square on which the speed is measured
_MAX_OPEN = 4  # photos that stay open between two strokes; the least recently used goes first


@dataclass
class Drawing:
    """What a person did to a line map, and the colours they laid into the hole."""

    drawn: Bools  # [H,W], True where they drew
    erased: Bools  # [H,W], True where they erased
    kept: Bytes | None = None  # [H,W], 255 on a line: the hole's lines to keep; None: draw them anew
    colours: Bytes | None = None  # [H,W,4], RGBA

    def hints(self, mask: Bools) -> Bytes:
        """`[H,W]` uint8: their lines in the hole, for the edge generator to continue."""
        return (self.drawn & mask).astype(np.uint8) * np.uint8(255)

    def over(self, edges: Bytes) -> Bytes:
        """A line map with what they drew and erased."""
        return np.where(self.drawn, np.uint8(255), np.where(self.erased, np.uint8(0), edges))


@dataclass
class Opened:
    """A photo between two strokes."""

    photo: Image.Image
    session: EditSession
    mask: Bools
    settings: Hashable
    hints: Bytes | None = None  # that `edges` were drawn with
    edges: Bytes | None = None

    def draw(self, drawing: Drawing) -> Bytes:
        """The line map `[H,W]`: the edge generator's or those kept, with what was drawn and erased."""
        hints = drawing.hints(self.mask)
        is_new = self.hints is None or not np.array_equal(hints, self.hints)
        if self.edges is None or (drawing.kept is None and is_new):
            self.edges, self.hints = np.asarray(self.session.generate_edges(edge_hints=hints)[0]), hints
        return drawing.over(self.edges if drawing.kept is None else np.where(self.mask, drawing.kept, self.edges))

    def repair(self, drawing: Drawing, is_draft: bool) -> EdgeConnectPipelineOutput:
        """Photo and lines; a draft is without `match_texture`, which takes as long as the networks."""
        lines = self.draw(drawing)
        images = self.session.complete(lines, drawing.colours, False if is_draft else None)
        return EdgeConnectPipelineOutput(images, [lines])

    def propose(self, drawing: Drawing) -> list[Bytes]:
        """Several line maps, the same ones each time."""
        random = torch.Generator().manual_seed(0)
        proposed = self.session.generate_edges(
            edge_hints=drawing.hints(self.mask), num_proposals=MAX_PROPOSALS, generator=random
        )
        return [drawing.over(np.asarray(edges)) for (edges,) in proposed]


class Model:
    """A pipeline behind the gate.

    Args:
        gate (`Gate`): admits one job at a time.
        limits (`Limits`): `max_job_seconds` and `time_limit` are used.
    """

    def __init__(self, pipeline: EdgeConnectPipeline, gate: Gate, limits: Limits):
        self.pipeline, self.gate, self.limits = pipeline, gate, limits
        self.seconds_per_pixel: float | None = None  # of one half of the pipeline, measured at the first job
        self._measuring = threading.Lock()
        self._opened: dict[str, Opened] = {}  # by the photo's path, newest last; one that is in use is taken out
        # A GPU may be another process's: arguments and results are such that they can be pickled.
        self.run = on_gpu(self._run, limits.time_limit)
        self._edit = on_gpu(self._edit_photo, limits.time_limit)

    def warm_up(self) -> None:
        """Measure the speed before the first visitor comes. A GPU that is lent for single calls is not asked for it."""
        if self.run == self._run:
            with contextlib.suppress(gr.Error):
                self._measure()

    @contextmanager
    def turn(self, mask: Bools, strategy: str, halves: int = 1) -> Iterator[None]:
        """Hold the model for one half of the pipeline, or for several; its errors about arguments are refusals.

        Args:
            mask (`np.ndarray`): `[H,W]` bool, True in the hole.
            strategy (`str`): where to work, as in the pipeline.
            halves (`int`): 2 for drawing and completing.

        Raises:
            gr.Error: it would take longer than `max_job_seconds`, or the wait is too long.
        """
        seconds = halves * self._estimate(mask, strategy)
        if seconds > self.limits.max_job_seconds:  # or the machine was busy when it was measured
            seconds = halves * self._estimate(mask, strategy, anew=True)
        if seconds > self.limits.max_job_seconds:
            raise refusal(
                f"This would take about {seconds:.0f} seconds here; up to {self.limits.max_job_seconds:g} are allowed. "
                "Try a smaller hole, or the strategy 'auto'."
            )
        with self.gate.turn(seconds), as_refusals():
            yield

    def edit(
        self, act: Callable[..., Any], path: str, read: Callable[[], Any], mask: Bools, *arguments: Any, **settings: Any
    ) -> Any:
        """What a method of `Opened` returns, for a photo that stays open from the last stroke where there was one.

        Args:
            act: the method.
            path (`str`): of the photo, its name between two strokes.
            read: reads it.
            mask (`np.ndarray`): `[H,W]` bool, True in the hole.
            arguments: of the method.
            settings: of `EdgeConnectPipeline.open`.
        """
        photo = None if path in self._opened else read()
        return self._edit(act, path, photo, mask, settings, arguments)

    def _estimate(self, mask: Bools, strategy: str, anew: bool = False) -> float:
        """Seconds that one half of the pipeline takes; proportional to the pixels it works on."""
        network = self.pipeline.completion_generator or self.pipeline.edge_generator
        windows = find_windows(mask, strategy, network.config.sample_size)
        pixels = sum(height * width for height, width in (window.work_size for window in windows))
        return pixels * self._measure(anew) if pixels else 0

    def _measure(self, anew: bool = False) -> float:
        """Seconds per pixel of one half of the pipeline, at the best."""
        with self._measuring:
            if self.seconds_per_pixel is None or anew:
                mask = np.zeros((_TRIAL_SIDE, _TRIAL_SIDE), np.uint8)
                mask[::2] = 255
                picture, times = Image.fromarray(mask), []
                with self.gate.turn(1), as_refusals():
                    for _ in range(2):  # the first warms up
                        start = time.monotonic()
                        self.run(EdgeConnectPipeline.complete, picture, mask, picture, strategy="original")
                        times.append(time.monotonic() - start)
                self.seconds_per_pixel = min(min(times) / mask.size, self.seconds_per_pixel or math.inf)
            return self.seconds_per_pixel

    def _run(self, act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What a method of the pipeline returns, or a refusal once the job must end."""
        with _stoppable(self.pipeline):
            return act(self.pipeline, *arguments, **options)

    def _edit_photo(
        self, act: Callable[..., Any], path: str, photo: Any, mask: Bools, settings: dict[str, Any], arguments: Any
    ) -> Any:
        # Out of reach for others; after an error it stays so, as a thread that was given up may be at work on it.
        opened, key = self._opened.pop(path, None), tuple(settings.items())
        if opened is None or opened.settings != key or not np.array_equal(opened.mask, mask):
            photo = opened.photo if opened is not None else photo
            opened = Opened(photo, self.pipeline.open(photo, mask, **settings), mask, key)
        with _stoppable(self.pipeline):
            result = act(opened, *arguments)
        self._opened[path] = opened
        while len(self._opened) > _MAX_OPEN:
            self._opened.pop(next(iter(self._opened)), None)
        return result


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

"""What the pipeline returns."""

from dataclasses import dataclass
from typing import Any

from diffusers.utils.outputs import BaseOutput


@dataclass
class EdgeConnectPipelineOutput(BaseOutput):
    """What the pipeline returns.

    Args:
        images: the repaired pictures: a list of PIL pictures, `[N,H,W,C]` float32 array, or `[N,C,H,W]` float32 tensor.
        edges: the lines they were painted from, white on black, of the same size: a list of PIL pictures of mode L,
            `[N,H,W,1]` array, or `[N,1,H,W]` tensor. Black where no line was needed, far from the holes.
    """

    images: Any
    edges: Any

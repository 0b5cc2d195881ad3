"""The methods that are compared: the pipeline with several kinds of lines, and OpenCV's two methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from training.evaluation.holes import Example

_OPENCV_RADIUS = 3  # pixels, as in OpenCV's samples


@dataclass(frozen=True)
class Repair:
    """The result of a method.

    Args:
        image (`np.ndarray`): `[S,S,3]` uint8 RGB.
        lines (`np.ndarray`, *optional*): `[S,S]` uint8, G1's lines in the hole and the known ones around it.
    """

    image: npt.NDArray[np.uint8]
    lines: npt.NDArray[np.uint8] | None = None


Method: TypeAlias = Callable[[Example], Repair]

# Further arguments of the pipeline.
MODEL_METHODS: dict[str, Callable[[Example], dict[str, Any]]] = {
    "model": lambda example: {},
    "true_edges": lambda example: {"edges": Image.fromarray(example.edges)},
    "no_edges": lambda example: {"edges": Image.fromarray(np.zeros_like(example.edges))},
    "unblended_edges": lambda example: {"blend_edges": False},
    "line_segments": lambda example: {"known_edges": Image.fromarray(line_segments(example.image))},
    "edge_hints": lambda example: {"edge_hints": Image.fromarray(example.hints)},
}
OPENCV_METHODS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}
METHODS = (*MODEL_METHODS, *OPENCV_METHODS)


def check_methods(methods: Sequence[str]) -> None:
    """Raises a `ValueError` if `methods` is empty or holds an unknown name."""
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ValueError(f"`methods` names {', '.join(unknown) or 'nothing'}, expected some of {', '.join(METHODS)}.")


def pipeline_method(pipeline: EdgeConnectPipeline, name: str, sigma: float) -> Method:
    """One of `MODEL_METHODS`, run on the whole image.

    Args:
        pipeline (`EdgeConnectPipeline`): the model.
        name (`str`): of the method.
        sigma (`float`): Canny's, of the known lines.
    """

    def repair(example: Example) -> Repair:
        arguments: dict[str, Any] = {"strategy": "original", **MODEL_METHODS[name](example)}
        draws = "edges" not in arguments
        if draws:
            arguments["sigma"] = sigma
        result = pipeline(Image.fromarray(example.image), Image.fromarray(example.mask), **arguments)
        return Repair(np.asarray(result.images[0]), np.asarray(result.edges[0]) if draws else None)

    return repair


def opencv_method(name: str) -> Method:
    """One of `OPENCV_METHODS`."""

    def repair(example: Example) -> Repair:
        hole = example.mask.astype(np.uint8)
        image = cv2.inpaint(example.image, hole, _OPENCV_RADIUS, OPENCV_METHODS[name])
        return Repair(np.asarray(image, np.uint8))

    return repair


def line_segments(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The lines of OpenCV's line segment detector, one pixel wide.

    Args:
        image (`np.ndarray`): `[S,S,3]` uint8 RGB.

    Returns:
        `[S,S]` uint8, values {0,255}.
    """
    segments = cv2.createLineSegmentDetector().detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]  # [K,1,4] x y x y
    lines = np.zeros(image.shape[:2], np.uint8)
    if segments is not None:
        cv2.polylines(lines, list(segments.reshape(-1, 2, 2).round().astype(np.int32)), isClosed=False, color=255)
    return lines

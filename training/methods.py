"""The ways to fill a hole that are compared: the pipeline, fed with various lines, and OpenCV's two methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from training.examples import Example

_OPENCV_RADIUS = 3  # pixels around each one that OpenCV's methods look at; its own samples use 3


@dataclass(frozen=True)
class Repair:
    """What a method made of an example.

    Args:
        picture (`np.ndarray`): `[S,S,3]` uint8 RGB.
        lines (`np.ndarray`, *optional*): `[S,S]` uint8, G1's lines in the hole and the known ones around it.
    """

    picture: npt.NDArray[np.uint8]
    lines: npt.NDArray[np.uint8] | None = None


Method: TypeAlias = Callable[[Example], Repair]

# What the pipeline is given beside picture and mask.
MODEL_METHODS: dict[str, Callable[[Example], dict[str, Any]]] = {
    "model": lambda example: {},
    "true_edges": lambda example: {"edges": Image.fromarray(example.edges)},
    "no_edges": lambda example: {"edges": Image.fromarray(np.zeros_like(example.edges))},
    "unblended_edges": lambda example: {"blend_edges": False},
    "line_segments": lambda example: {"known_edges": Image.fromarray(line_segments(example.picture))},
    "edge_hints": lambda example: {"edge_hints": Image.fromarray(example.hints)},
}
OPENCV_METHODS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}
METHODS = (*MODEL_METHODS, *OPENCV_METHODS)


def check_methods(methods: Sequence[str]) -> None:
    """Raises a `ValueError` that names the methods which there are not, or that there is none."""
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ValueError(f"`methods` names {', '.join(unknown) or 'nothing'}; of {', '.join(METHODS)} some fit.")


def pipeline_method(pipeline: EdgeConnectPipeline, name: str, sigma: float) -> Method:
    """One of `MODEL_METHODS`, working on the whole picture.

    Args:
        pipeline (`EdgeConnectPipeline`): the model.
        name (`str`): which.
        sigma (`float`): Canny's, of the known lines.
    """

    def repair(example: Example) -> Repair:
        arguments = MODEL_METHODS[name](example)
        result = pipeline(
            Image.fromarray(example.picture),
            Image.fromarray(example.mask),
            strategy="original",
            **({} if "edges" in arguments else {"sigma": sigma}),
            **arguments,
        )
        drawn = None if "edges" in arguments else np.asarray(result.edges[0])
        return Repair(np.asarray(result.images[0]), drawn)

    return repair


def opencv_method(name: str) -> Method:
    """One of `OPENCV_METHODS`."""

    def repair(example: Example) -> Repair:
        hole = example.mask.astype(np.uint8)
        return Repair(cv2.inpaint(example.picture, hole, _OPENCV_RADIUS, OPENCV_METHODS[name]))

    return repair


def line_segments(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The lines of OpenCV's line segment detector, a pixel wide, in place of Canny's.

    Args:
        picture (`np.ndarray`): `[S,S,3]` uint8 RGB.

    Returns:
        `[S,S]` uint8, values {0,255}.
    """
    segments = cv2.createLineSegmentDetector().detect(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[0]  # [K,1,4] x y x y
    lines = np.zeros(picture.shape[:2], np.uint8)
    if segments is not None:
        cv2.polylines(lines, list(segments.reshape(-1, 2, 2).round().astype(np.int32)), isClosed=False, color=255)
    return lines

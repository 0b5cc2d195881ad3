"""The methods that are compared: the pipeline with several kinds of lines, and other programs' methods."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from training.evaluation.holes import Example
from training.evaluation.image_folder import ImageFolder

_OPENCV_RADIUS = 3  # pixels, as in OpenCV's samples
_PATCH_SIZE = 3  # pixels; the package's own default, 15, takes five times as long


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
Place: TypeAlias = tuple[str, str, str]  # of a result: set, hole size, image

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
FSR_METHODS = {"fsr_fast": "INPAINT_FSR_FAST", "fsr_best": "INPAINT_FSR_BEST"}  # names in cv2.xphoto
METHODS = (*MODEL_METHODS, *OPENCV_METHODS, *FSR_METHODS, "patchmatch")


def check_methods(methods: Sequence[str]) -> None:
    """Raises a `ValueError` if `methods` holds an unknown name, or one whose library is not installed."""
    if unknown := [name for name in methods if name not in METHODS]:
        raise ValueError(f"`methods` names {', '.join(unknown)}, expected some of {', '.join(METHODS)}.")
    for name in methods:
        if name in FSR_METHODS and not hasattr(cv2, "xphoto"):
            raise ValueError(
                f"`methods` names {name}, which needs OpenCV's contrib modules: in an environment of its own, "
                "pip install opencv-contrib-python in place of opencv-python-headless (docs/evaluation.md)."
            )
        if name == "patchmatch" and importlib.util.find_spec("patchmatch") is None:
            raise ValueError("`methods` names patchmatch, which needs a library: pip install pypatchmatch.")


def pipeline_method(pipeline: EdgeConnectPipeline, name: str, sigma: float | None) -> Method:
    """One of `MODEL_METHODS`, run on the whole image.

    Args:
        pipeline (`EdgeConnectPipeline`): the model.
        name (`str`): of the method.
        sigma (`float`, *optional*): Canny's, of the known lines; without it, they are the example's.
    """

    def repair(example: Example) -> Repair:
        arguments: dict[str, Any] = {"strategy": "original", **MODEL_METHODS[name](example)}
        draws = "edges" not in arguments
        if draws and sigma is not None:
            arguments["sigma"] = sigma
        elif draws:
            arguments.setdefault("known_edges", Image.fromarray(example.edges))
        result = pipeline(Image.fromarray(example.image), Image.fromarray(example.mask), **arguments)
        return Repair(np.asarray(result.images[0]), np.asarray(result.edges[0]) if draws else None)

    return repair


def plain_method(name: str) -> Method:
    """One of `METHODS` that has no model; its library must be installed."""
    fill = _patchmatch if name == "patchmatch" else _fsr if name in FSR_METHODS else _opencv

    def repair(example: Example) -> Repair:
        return Repair(np.asarray(fill(example.image, example.mask.astype(np.uint8), name), np.uint8))

    return repair


# [S,S,3] uint8 RGB and the hole, [S,S] uint8 in {0,1} -> [S,S,3] uint8


def _opencv(image: npt.NDArray[np.uint8], hole: npt.NDArray[np.uint8], name: str) -> Any:
    return cv2.inpaint(image, hole, _OPENCV_RADIUS, OPENCV_METHODS[name])


def _fsr(image: npt.NDArray[np.uint8], hole: npt.NDArray[np.uint8], name: str) -> Any:
    xphoto: Any = cv2.xphoto  # type: ignore[attr-defined, unused-ignore]  # only in opencv-contrib-python
    filled = np.zeros_like(image)
    xphoto.inpaint(image, 1 - hole, filled, getattr(xphoto, FSR_METHODS[name]))  # here 0 marks the hole
    return filled


def _patchmatch(image: npt.NDArray[np.uint8], hole: npt.NDArray[np.uint8], name: str) -> Any:
    import patchmatch

    patchmatch.set_random_seed(0)  # the same result whatever was filled before
    return patchmatch.inpaint(image, hole, patch_size=_PATCH_SIZE)


@dataclass(frozen=True)
class ResultsOf:
    """Another program's results in a folder of images, `SET/LOW-HIGH/NAME.png`.

    Args:
        name (`str`): of the method, for errors.
        folder (`str`): the folder.
    """

    name: str
    folder: str

    def read(self, example: Example, place: Place) -> Repair:
        """The result at `place`, in the hole; the known pixels are those of the image.

        Raises:
            ValueError: there is none, or it is of another size.
        """
        images = ImageFolder(self.folder)
        path = images.path(*place)
        if not path.is_file():
            raise ValueError(f"`results` {self.name!r} lack {str(path)!r}.")
        image = images.load(*place)
        if image.shape != example.image.shape:
            raise ValueError(f"{str(path)!r} must be an RGB image of {example.image.shape[:2]}: got {image.shape}.")
        return Repair(np.where(example.mask[..., None], image, example.image))


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

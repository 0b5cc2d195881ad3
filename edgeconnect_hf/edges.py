"""What counts as an edge: gray and Canny, close to scikit-image's, on which the published weights were trained."""

import functools
from numbers import Real
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

MAX_SIGMA = 100  # pixels; Canny's time grows with it, and no photo's lines survive so much smoothing
GRAY_WEIGHTS = (0.2125, 0.7154, 0.0721)  # of R, G, B
LOW_THRESHOLD, HIGH_THRESHOLD = 0.1, 0.2  # of the Sobel gradient of a gray picture in [0,1]
_ROUNDING = 1e-5  # averages of many pixels, as of a reduced photo, leave [0,1] by a few units in the last place
_LARGEST_GRADIENT = 4
_GRADIENT_SCALE = 4096  # OpenCV takes integer gradients; the largest stays within 16 bits


def to_gray(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Luminance, 0.2125 R + 0.7154 G + 0.0721 B.

    Args:
        image (`np.ndarray`): `[H,W,3]` RGB float32 or float64 in [0,1].

    Returns:
        `[H,W]` float32 in [0,1].

    Raises:
        ValueError: `image` is of another shape, dtype or range.
    """
    image = _checked("image", image, "[H,W,3]")
    return cast("npt.NDArray[np.float32]", cv2.transform(image, np.array([GRAY_WEIGHTS], np.float32)))


def canny(
    gray: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_] | None = None,
    sigma: float = 2.0,
    thresholds: tuple[float, float] = (LOW_THRESHOLD, HIGH_THRESHOLD),
) -> npt.NDArray[np.float32]:
    """Canny's lines of the known part of a picture (section 3.1 of the paper uses sigma 2).

    The picture is smoothed by a Gaussian that counts known pixels only, so that neither hole nor frame casts a shadow,
    and no line is reported within one pixel of them. Its gradient (Sobel, L2 norm) is thresholded.

    Args:
        gray (`np.ndarray`): `[H,W]` float32 or float64 in [0,1].
        mask (`np.ndarray`, *optional*): `[H,W]` bool, True in the hole; by default everything is known.
        sigma (`float`): standard deviation of the Gaussian in pixels, above 0, at most 100.
        thresholds (`tuple[float, float]`): of the gradient, from 0 to 4: a line begins at the second and ends at the
            first. Higher: fewer lines.

    Returns:
        `[H,W]` float32, values {0,1}; 1 marks a line.

    Raises:
        ValueError: an argument is of another shape, dtype or range.
    """
    gray = _checked("gray", gray, "[H,W]")
    if mask is not None:
        is_array = isinstance(mask, np.ndarray)
        if not is_array or mask.dtype != np.bool_ or mask.shape != gray.shape:
            got = f"{mask.dtype} of the shape {list(mask.shape)}" if is_array else type(mask).__name__
            raise ValueError(f"`mask` must be a bool array of the size of `gray`, {list(gray.shape)}: got {got}.")
    check_sigma(sigma)
    if not 0 <= thresholds[0] <= thresholds[1] <= _LARGEST_GRADIENT:
        raise ValueError(
            f"`thresholds` must be two numbers that rise, from 0 to {_LARGEST_GRADIENT}: got {thresholds!r}."
        )
    known = np.ones_like(gray) if mask is None else (~mask).astype(np.float32)
    known_share = _smooth(known, sigma) if mask is not None else _share_in_frame(*gray.shape, sigma)
    smoothed = cv2.divide(_smooth(gray * known, sigma), known_share + np.finfo(np.float32).eps)
    dx, dy = (cv2.Sobel(smoothed, cv2.CV_32F, 1 - axis, axis, scale=_GRADIENT_SCALE) for axis in (0, 1))
    dx, dy = (np.rint(gradient).astype(np.int16) for gradient in (dx, dy))
    low, high = (threshold * _GRADIENT_SCALE for threshold in thresholds)
    lines = cv2.Canny(dx, dy, low, high, L2gradient=True)
    inside = cv2.erode(known, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return (lines > 0) * inside


def check_sigma(sigma: float) -> None:
    """Refuse what Canny cannot smooth with."""
    if not (isinstance(sigma, Real) and 0 < sigma <= MAX_SIGMA):
        raise ValueError(f"`sigma` must be a number above 0, at most {MAX_SIGMA}: got {sigma!r}.")


def _checked(name: str, array: npt.NDArray[Any], layout: str) -> npt.NDArray[np.float32]:
    """`array` as float32, if it is a picture of that layout."""
    expected = f"`{name}` must be a float array {layout} in [0,1]"
    shape = getattr(array, "shape", ())
    if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{expected}: got {getattr(array, 'dtype', type(array).__name__)}.")
    if 0 in shape or (shape[2:] != (3,) if layout == "[H,W,3]" else len(shape) != 2):
        raise ValueError(f"{expected}: got the shape {list(shape)}.")
    low, high = array.min(), array.max()  # a NaN makes both NaN
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise ValueError(f"{expected}: got values from {low:.6g} to {high:.6g}.")
    return array.astype(np.float32, copy=False)


def _smooth(array: npt.NDArray[np.float32], sigma: float) -> Any:
    """`[H,W]` under a Gaussian; beyond the frame there is nothing."""
    size = 2 * int(4 * sigma + 0.5) + 1
    return cv2.GaussianBlur(array, (size, size), sigma, borderType=cv2.BORDER_CONSTANT)


@functools.lru_cache(maxsize=1)  # training uses one size throughout
def _share_in_frame(height: int, width: int, sigma: float) -> Any:
    """`[H,W]`: how much of a Gaussian around each pixel lies in the frame."""
    return _smooth(np.ones((height, width), np.float32), sigma)

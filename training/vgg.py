"""VGG19's features, for the perceptual and the style loss (the paper's section 3.2)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

PERCEPTUAL_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_LAYERS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")

_DEPTHS = (2, 2, 4, 4, 4)  # convolutions in each block
# in torchvision's order, `features.0` and so on
_LAYERS = [
    name
    for block, depth in enumerate(_DEPTHS, start=1)
    for name in (*(f"{kind}{block}_{i}" for i in range(1, depth + 1) for kind in ("conv", "relu")), f"pool{block}")
]
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

logger = logging.getLogger(__name__)


class VGG19Features(nn.Module):
    """VGG19 (Simonyan and Zisserman, 2015) up to the deepest needed layer in the weights; frozen.

    Args:
        state (`dict[str, torch.Tensor]`): weights under torchvision's names, `features.0.weight` and so on. Missing
            layers are named in one warning and left out.
        normalize (`bool`): normalise images as for ImageNet; the published code does not.

    Raises:
        ValueError: the weights hold no layer of the style loss.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state: dict[str, Tensor], normalize: bool = False):
        super().__init__()
        self.normalize = normalize
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        wanted = [name for name in _LAYERS if name in PERCEPTUAL_LAYERS or name in STYLE_LAYERS]
        self.layers = nn.ModuleDict()  # each leads from one wanted layer to the next
        between: list[nn.Module] = []
        for index, name in enumerate(_LAYERS[: _LAYERS.index(wanted[-1]) + 1]):
            if name.startswith("conv"):
                if f"features.{index}.weight" not in state:
                    break
                between.append(_conv(state[f"features.{index}.weight"], state[f"features.{index}.bias"]))
            else:
                between.append(nn.ReLU(inplace=True) if name.startswith("relu") else nn.MaxPool2d(2))
            if name in wanted:
                self.layers[name] = nn.Sequential(*between)
                between = []
        missing = [name for name in wanted if name not in self.layers]
        if STYLE_LAYERS[0] in missing:
            raise ValueError(
                f"the VGG19 weights must hold at least `features.0.weight` to `features.7.weight`, got {sorted(state)}."
            )
        if missing:
            logger.warning("The VGG19 weights do not hold %s: left out of the losses.", ", ".join(missing))
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor, layers: Sequence[str] = (*PERCEPTUAL_LAYERS, *STYLE_LAYERS)) -> dict[str, Tensor]:
        """Features of those of `layers` that the weights hold, by name. Deeper layers are not computed.

        Args:
            image (`torch.Tensor`): `[N,3,H,W]` RGB in [0,1].
            layers (`Sequence[str]`): of `PERCEPTUAL_LAYERS` and `STYLE_LAYERS`.

        Returns:
            `{"relu1_1": [N,64,H,W], "relu2_1": [N,128,H/2,W/2], …}`, in the dtype of `layers`.
        """
        hidden = (image - self.mean) / self.std if self.normalize else image
        hidden = hidden.to(next(self.layers.parameters()).dtype)
        held = [name for name in self.layers if name in layers]
        features: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            if len(features) == len(held):
                break
            hidden = layer(hidden)
            if name in held:
                features[name] = hidden
        return features


def _conv(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    conv.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return conv


def load_vgg(weights: str, normalize: bool) -> VGG19Features:
    """VGG19 from a local safetensors file or, if there is no such file, a Hub model.

    Args:
        weights (`str`): path, or Hub model with torchvision's names in `model.safetensors` (`timm/vgg19.tv_in1k`).
        normalize (`bool`): see `VGG19Features`.

    Raises:
        FileNotFoundError: there is neither such a file nor such a model.
        ValueError: the file is not a safetensors file, or lacks the first layers.
    """
    path = Path(weights)
    if path.suffix == ".safetensors" and not path.is_file():
        raise FileNotFoundError(f"`vgg_weights` is {weights!r}, but there is no such file.")
    if not path.is_file():
        try:
            path = Path(hf_hub_download(weights, "model.safetensors"))
        except (OSError, ValueError) as error:  # the Hub's message names neither the setting nor files
            raise FileNotFoundError(
                f"`vgg_weights` is {weights!r}, which is neither a local file nor a model on the Hub: {error} To train "
                "without VGG19, set the weights of the perceptual and the style loss to 0."
            ) from error
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"`vgg_weights` {str(path)!r} is not a safetensors file: {error}") from error
    return VGG19Features(state, normalize)

"""The two generators of EdgeConnect (Nazeri et al., 2019, section 3 and appendix A)."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.outputs import BaseOutput
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

SIZE_MULTIPLE = 4  # two strided convolutions halve the picture twice
MIN_SIZE = 16  # below it the reflections of the residual blocks are longer than their feature maps


@dataclass
class GeneratorOutput(BaseOutput):
    """What a generator returns.

    Args:
        sample (`torch.Tensor`): `[N,1,H,W]` edges or `[N,3,H,W]` picture, values in [0,1].
    """

    sample: torch.Tensor


def blend(known: torch.Tensor, predicted: torch.Tensor | float, mask: torch.Tensor) -> torch.Tensor:
    """`known` outside the hole, `predicted` inside it (the composition of section 3).

    Args:
        known (`torch.Tensor`): `[N,C,H,W]`, in [0,1].
        predicted (`torch.Tensor` or `float`): the same shape, or one value: 1 gives the networks' masked pictures
            (their hole is white), 0 their masked edges.
        mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.
    """
    return known * (1 - mask) + predicted * mask


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection, the first dilated by 2; reflected at the border (appendix A)."""

    def __init__(self, channels: int, use_spectral_norm: bool = False):
        super().__init__()
        self.conv1 = _conv(channels, channels, 3, padding=2, dilation=2, use_spectral_norm=use_spectral_norm)
        self.conv2 = _conv(channels, channels, 3, padding=1, use_spectral_norm=use_spectral_norm)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        residual = _instance_norm(self.conv1(hidden)).relu_()
        return hidden + _instance_norm(self.conv2(residual))


class _ReflectedConv(nn.Conv2d):
    """A convolution whose input is reflected at the border, by as many pixels as its padding."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = _reflect(hidden, self.padding[0])  # type: ignore[arg-type]  # a number, as given
        return F.conv2d(hidden, self.weight, self.bias, dilation=self.dilation)


class _LastConv(nn.Conv2d):
    """The last convolution, whose one or three channels would leave most of a CPU's vectors empty.

    There each of the kernel's seven rows makes channels of its own, 7 or 21 in all; shifted by a row each, they add up
    to the result.
    """

    bias: torch.Tensor  # never None here

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if not _runs_on_cpu(hidden):
            return super().forward(hidden)
        height, dtype = hidden.shape[2], hidden.dtype
        hidden = _reflect(hidden, 3)  # [N,c,H+6,W+6]
        kernels = self.weight.permute(2, 0, 1, 3).flatten(0, 1)[:, :, None]  # [C,c,7,7] to [7*C,c,1,7]
        rows = F.conv2d(hidden, kernels).float().contiguous().chunk(7, dim=1)  # 7 times [N,C,H+6,W]
        shifted = (row[:, :, i : i + height] for i, row in enumerate(rows))
        return sum(shifted, start=self.bias.view(-1, 1, 1)).to(dtype)  # [N,C,H,W]


def _reflect(hidden: torch.Tensor, width: int) -> torch.Tensor:
    """`hidden` with a border of `width` pixels. On a CPU, autocast would convert it to float32 for that, and back."""
    if hidden.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return F.pad(hidden, (width,) * 4, mode="reflect")
    return F.pad(hidden, (width,) * 4, mode="reflect")


def _instance_norm(hidden: torch.Tensor) -> torch.Tensor:
    """Each channel of each picture to mean 0 and variance 1 (appendix A).

    On the CPU, PyTorch's instance norm leaves channels_last and copies there and back. Group norm with one channel a
    group is the same and stays; its backward pass is slow, that of batch norm on one picture at a time is not.
    """
    if not _runs_on_cpu(hidden):
        return F.instance_norm(hidden)
    if torch.is_grad_enabled():
        return torch.cat([F.batch_norm(picture, None, None, training=True) for picture in hidden.split(1)])
    return F.group_norm(hidden, hidden.shape[1])


def _runs_on_cpu(hidden: torch.Tensor) -> bool:
    return hidden.device.type == "cpu" and not torch.onnx.is_in_onnx_export()  # what is exported may run anywhere


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, *, use_spectral_norm: bool, **kwargs: Any
) -> nn.Module:
    """A convolution that reflects its input at the border; without bias, as an instance norm follows."""
    conv = _ReflectedConv(in_channels, out_channels, kernel_size, bias=False, **kwargs)
    return _initialised(conv, use_spectral_norm)


def _initialised(conv: nn.Conv2d | nn.ConvTranspose2d, use_spectral_norm: bool) -> nn.Module:
    nn.init.normal_(conv.weight, std=0.02)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return spectral_norm(conv) if use_spectral_norm else conv


def check_config(**ranges: tuple[Any, int, int]) -> None:
    """Refuse values of a config.json from elsewhere before memory is allocated for them."""
    for name, (value, low, high) in ranges.items():
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"`{name}` must be a whole number from {low} to {high}: got {value!r}.")


def _check_planes(**given: tuple[torch.Tensor, int]) -> None:
    """Refuse inputs of other shapes than `[N,C,H,W]` with H and W that the network gives back. By name: tensor, C."""
    if torch.compiler.is_compiling():  # sizes are symbols there
        return
    (_, first), *_ = given.items()
    for name, (planes, channels) in given.items():
        shape = list(planes.shape)
        if planes.ndim != 4 or shape[1] != channels or shape[2:] != list(first[0].shape[2:]):
            raise ValueError(f"`{name}` must be [N,{channels},H,W], all inputs of one size: got {shape}.")
        if any(side % SIZE_MULTIPLE or side < MIN_SIZE for side in shape[2:]):
            raise ValueError(
                f"`{name}` must have a height and width that are multiples of {SIZE_MULTIPLE}, at least {MIN_SIZE}: "
                f"got {shape}."
            )


class _Generator(ModelMixin, ConfigMixin):  # type: ignore[misc]  # both name a `config_name`
    """Encoder, residual blocks, decoder: what both generators share (appendix A).

    Args:
        base_channels (`int`): channels of the first layer; the paper's width is 64.
        num_residual_blocks (`int`): the paper's depth is 8.
        use_spectral_norm (`bool`): normalise every convolution but the last. The paper does, in the training of G1;
            released weights have it folded in.
        sample_size (`int`): side of the square pictures it was trained on, in pixels.
    """

    _supports_gradient_checkpointing = True
    _in_channels: int
    _out_channels: int

    @register_to_config
    def __init__(
        self,
        base_channels: int = 64,
        num_residual_blocks: int = 8,
        use_spectral_norm: bool = False,
        sample_size: int = 256,
    ):
        check_config(
            base_channels=(base_channels, 1, 1024),
            num_residual_blocks=(num_residual_blocks, 1, 128),
            sample_size=(sample_size, MIN_SIZE, 8192),
        )
        super().__init__()
        self.gradient_checkpointing = False
        c = base_channels

        def down(channels: int) -> nn.Module:
            conv = nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)
            return _initialised(conv, use_spectral_norm)

        def up(channels: int) -> nn.Module:
            conv = nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False)
            return _initialised(conv, use_spectral_norm)

        self.conv_in = _conv(self._in_channels, c, 7, padding=3, use_spectral_norm=use_spectral_norm)
        self.down = nn.ModuleList([down(c), down(2 * c)])
        self.residual_blocks = nn.ModuleList(
            ResidualBlock(4 * c, use_spectral_norm) for _ in range(num_residual_blocks)
        )
        self.up = nn.ModuleList([up(4 * c), up(2 * c)])
        self.conv_out = _initialised(_LastConv(c, self._out_channels, 7, padding=3, padding_mode="reflect"), False)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """As diffusers' `from_pretrained`, but from safetensors only, and never with a weight missing.

        Raises:
            ValueError: the file lacks weights of this network, or holds weights that it has not.
        """
        kwargs["use_safetensors"] = True
        wants_info = kwargs.pop("output_loading_info", False)
        loaded: Any = super().from_pretrained(pretrained_model_name_or_path, output_loading_info=True, **kwargs)
        model, info = loaded
        missing, unexpected = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
        if missing or unexpected:
            raise ValueError(
                f"The weights in {str(pretrained_model_name_or_path)!r} are not those of this {cls.__name__}: "
                f"missing {missing or 'none'}, unexpected {unexpected or 'none'}."
            )
        return (model, info) if wants_info else model

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:  # type: ignore[override]  # other options
        """Save and push in one commit, with a card of our own: `edgeconnect_hf.hub.push_model` has the options."""
        from .hub import push_model  # the Hub is above

        return push_model(self, repo_id, **options)

    def _predict(self, hidden: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled() and hidden.device.type != "mps":
            hidden = hidden.contiguous(memory_format=torch.channels_last)  # the faster layout for inference
        hidden = _instance_norm(self.conv_in(hidden)).relu_()  # [N,c,H,W]
        for conv in self.down:
            hidden = _instance_norm(conv(hidden)).relu_()  # [N,2c,H/2,W/2], [N,4c,H/4,W/4]
        for block in self.residual_blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                hidden = self._gradient_checkpointing_func(block, hidden)  # type: ignore[misc]  # set when enabled
            else:
                hidden = block(hidden)
        for conv in self.up:
            hidden = _instance_norm(conv(hidden)).relu_()  # [N,2c,H/2,W/2], [N,c,H,W]
        return self.conv_out(hidden)


class EdgeGenerator(_Generator):
    """G1: draws the missing lines (section 3.1). Constructor arguments: see `_Generator`."""

    _in_channels, _out_channels = 3, 1

    def forward(
        self, masked_gray: torch.Tensor, masked_edges: torch.Tensor, mask: torch.Tensor, return_dict: bool = True
    ) -> GeneratorOutput | tuple[torch.Tensor]:
        """`pred_edges = G1(masked_gray, masked_edges, mask)` (section 3.1).

        Args:
            masked_gray (`torch.Tensor`): `[N,1,H,W]` in [0,1], the hole 1; H and W multiples of 4, at least 16.
            masked_edges (`torch.Tensor`): `[N,1,H,W]` in [0,1], the hole 0, or the few lines in it that are known.
            mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.
            return_dict (`bool`): a `GeneratorOutput`, or a tuple with the tensor.

        Returns:
            `pred_edges`: `[N,1,H,W]` in [0,1], lines drawn everywhere, in and outside the hole.

        Raises:
            ValueError: an input is of another shape.
        """
        _check_planes(masked_gray=(masked_gray, 1), masked_edges=(masked_edges, 1), mask=(mask, 1))
        pred_edges = self._predict(torch.cat([masked_gray, masked_edges, mask], dim=1)).sigmoid()
        return GeneratorOutput(sample=pred_edges) if return_dict else (pred_edges,)


class CompletionGenerator(_Generator):
    """G2: paints the hole from the lines and the known colours (section 3.2). Constructed as `EdgeGenerator`."""

    _in_channels, _out_channels = 4, 3

    def forward(
        self, masked_image: torch.Tensor, comp_edges: torch.Tensor, return_dict: bool = True
    ) -> GeneratorOutput | tuple[torch.Tensor]:
        """`pred_image = G2(masked_image, comp_edges)` (section 3.2).

        Args:
            masked_image (`torch.Tensor`): `[N,3,H,W]` RGB in [0,1], the hole 1; H and W multiples of 4, at least 16.
            comp_edges (`torch.Tensor`): `[N,1,H,W]` in [0,1], the lines in and outside the hole.
            return_dict (`bool`): a `GeneratorOutput`, or a tuple with the tensor.

        Returns:
            `pred_image`: `[N,3,H,W]` RGB in [0,1], painted everywhere, in and outside the hole.

        Raises:
            ValueError: an input is of another shape.
        """
        _check_planes(masked_image=(masked_image, 3), comp_edges=(comp_edges, 1))
        pred_image = (self._predict(torch.cat([masked_image, comp_edges], dim=1)).tanh() + 1) / 2
        return GeneratorOutput(sample=pred_image) if return_dict else (pred_image,)

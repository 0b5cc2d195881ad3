"""The baseline: the published architecture written plainly, after the paper, as PyTorch has it out of the box.

fp32, contiguous, with the biases, the instance norm modules and, at every forward, the spectral norm of the published
networks. Not a line of the published code is used.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from edgeconnect_hf.edges import canny, to_gray


class PublishedBlock(nn.Module):
    """Two 3x3 convolutions, the first dilated, around a skip connection."""

    def __init__(self, channels: int, use_spectral_norm: bool):
        super().__init__()
        norm = spectral_norm if use_spectral_norm else nn.Identity()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(2),
            norm(nn.Conv2d(channels, channels, 3, dilation=2)),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            norm(nn.Conv2d(channels, channels, 3)),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.layers(hidden)


def published_generator(in_channels: int, out_channels: int, last: nn.Module, use_spectral_norm: bool) -> nn.Module:
    """Encoder, eight residual blocks, decoder (appendix A)."""
    norm = spectral_norm if use_spectral_norm else nn.Identity()
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        norm(nn.Conv2d(in_channels, 64, 7)),
        nn.InstanceNorm2d(64),
        nn.ReLU(),
        norm(nn.Conv2d(64, 128, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(128),
        nn.ReLU(),
        norm(nn.Conv2d(128, 256, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(256),
        nn.ReLU(),
        *(PublishedBlock(256, use_spectral_norm) for _ in range(8)),
        norm(nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(128),
        nn.ReLU(),
        norm(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(64),
        nn.ReLU(),
        nn.ReflectionPad2d(3),
        nn.Conv2d(64, out_channels, 7),
        last,
    )


class PublishedPipeline:
    """Canny, G1, G2 and blending of one picture. Random weights."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.edge_generator = published_generator(3, 1, nn.Sigmoid(), use_spectral_norm=True).eval()
        self.completion_generator = published_generator(4, 3, nn.Tanh(), use_spectral_norm=False).eval()

    @torch.no_grad()
    def __call__(self, picture: npt.NDArray[np.uint8], hole: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """`[H,W,3]` RGB and `[H,W]`, True in the hole, to the repaired `[H,W,3]`."""
        pixels = picture.astype(np.float32) / 255
        gray_pixels = to_gray(pixels)
        lines = canny(gray_pixels, hole)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()  # [1,3,H,W]
        gray, edges, mask = (torch.from_numpy(plane)[None, None] for plane in (gray_pixels, lines, hole.astype("f4")))
        pred_edges = self.edge_generator(torch.cat([gray * (1 - mask) + mask, edges * (1 - mask), mask], dim=1))
        comp_edges = pred_edges * mask + edges * (1 - mask)
        pred_image = (self.completion_generator(torch.cat([image * (1 - mask) + mask, comp_edges], dim=1)) + 1) / 2
        comp_image = pred_image * mask + image * (1 - mask)
        return (comp_image[0].permute(1, 2, 0) * 255).round().byte().numpy()

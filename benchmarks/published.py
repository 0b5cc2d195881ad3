"""The baseline: the published architecture, written from the paper with PyTorch's own modules.

fp32, contiguous, with the biases, instance norm modules and, at every forward, the spectral norm of the published
networks. No published code is used.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from edgeconnect_hf.edges import canny, to_gray
from training import losses
from training.vgg import PERCEPTUAL_LAYERS, STYLE_LAYERS, VGG19Features


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


def published_generator(
    in_channels: int, out_channels: int, last: nn.Module, use_spectral_norm: bool, channels: int = 64
) -> nn.Module:
    """Encoder, eight residual blocks, decoder (appendix A)."""
    norm = spectral_norm if use_spectral_norm else nn.Identity()
    c = channels
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        norm(nn.Conv2d(in_channels, c, 7)),
        nn.InstanceNorm2d(c),
        nn.ReLU(),
        norm(nn.Conv2d(c, 2 * c, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(2 * c),
        nn.ReLU(),
        norm(nn.Conv2d(2 * c, 4 * c, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(4 * c),
        nn.ReLU(),
        *(PublishedBlock(4 * c, use_spectral_norm) for _ in range(8)),
        norm(nn.ConvTranspose2d(4 * c, 2 * c, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(2 * c),
        nn.ReLU(),
        norm(nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1)),
        nn.InstanceNorm2d(c),
        nn.ReLU(),
        nn.ReflectionPad2d(3),
        nn.Conv2d(c, out_channels, 7),
        last,
    )


class PublishedPipeline:
    """Canny, G1, G2 and blending of one image, with random weights."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.edge_generator = published_generator(3, 1, nn.Sigmoid(), use_spectral_norm=True).eval()
        self.completion_generator = published_generator(4, 3, nn.Tanh(), use_spectral_norm=False).eval()

    @torch.no_grad()
    def __call__(self, picture: npt.NDArray[np.uint8], hole: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """Repairs `[H,W,3]` RGB with the hole `[H,W]`, True inside."""
        pixels = np.divide(picture, 255, dtype=np.float32)
        gray_pixels = to_gray(pixels)
        lines = canny(gray_pixels, hole)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()  # [1,3,H,W]
        gray, edges, mask = (torch.from_numpy(plane)[None, None] for plane in (gray_pixels, lines, hole.astype("f4")))
        pred_edges = self.edge_generator(torch.cat([gray * (1 - mask) + mask, edges * (1 - mask), mask], dim=1))
        comp_edges = pred_edges * mask + edges * (1 - mask)
        pred_image = (self.completion_generator(torch.cat([image * (1 - mask) + mask, comp_edges], dim=1)) + 1) / 2
        comp_image = pred_image * mask + image * (1 - mask)
        return (comp_image[0].permute(1, 2, 0) * 255).round().byte().numpy()


class PublishedDiscriminator(nn.Module):
    """70x70 PatchGAN with spectral norm; returns its raw map."""

    def __init__(self, in_channels: int, base_channels: int = 64):
        super().__init__()
        c = base_channels
        channels, strides = (in_channels, c, 2 * c, 4 * c, 8 * c, 1), (2, 2, 2, 1, 1)
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers += [
                spectral_norm(nn.Conv2d(channels[i], channels[i + 1], 4, stride, padding=1, bias=False)),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class PublishedCompletionStep:
    """One update of the completion stage as published: a forward of VGG19 for each loss, three of D, in fp32.

    The published code steps D between G's forward and backward, which current PyTorch refuses; here both steps follow
    both backward passes.

    Args:
        vgg (`VGG19Features`): frozen.
        channels (`int`): of the first layers of the generator and the discriminator.
    """

    def __init__(self, vgg: VGG19Features, channels: int = 64):
        torch.manual_seed(0)
        self.vgg = vgg
        self.generator = published_generator(4, 3, nn.Tanh(), use_spectral_norm=False, channels=channels)
        self.discriminator = PublishedDiscriminator(3, channels)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), lr=1e-5, betas=(0.0, 0.9))

    def __call__(self, batch: dict[str, Tensor]) -> None:
        image, mask, edges = batch["image"], batch["mask"], batch["edges"]
        pred_image = (self.generator(torch.cat([image * (1 - mask) + mask, edges], dim=1)) + 1) / 2

        real_map, fake_map = self.discriminator(image), self.discriminator(pred_image.detach())
        discriminator_loss = losses.discriminator_adversarial(real_map, fake_map)

        adversarial = losses.generator_adversarial(self.discriminator(pred_image))
        l1 = losses.l1(image, pred_image, mask.mean())
        real, fake = self.vgg(image), self.vgg(pred_image)
        perceptual = losses.perceptual({name: real[name] for name in PERCEPTUAL_LAYERS}, fake)
        real, fake = self.vgg(image * mask), self.vgg(pred_image * mask)
        style = losses.style({name: real[name] for name in STYLE_LAYERS}, fake)

        self.generator_adam.zero_grad()
        (l1 + 0.1 * adversarial + 0.1 * perceptual + 250 * style).backward()
        self.discriminator_adam.zero_grad()
        discriminator_loss.backward()
        self.generator_adam.step()
        self.discriminator_adam.step()

"""The discriminator of both stages: a 70x70 PatchGAN (the paper's section 3 and appendix A)."""

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


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
    """

    def __init__(self, in_channels: int):
        super().__init__()
        channels = (in_channels, 64, 128, 256, 512, 1)
        strides = (2, 2, 2, 1, 1)
        self.convs = nn.ModuleList(_conv(channels[i], channels[i + 1], stride) for i, stride in enumerate(strides))

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
            hidden = F.leaky_relu(conv(hidden), 0.2)  # [N,64,H/2,W/2] … [N,256,H/8,W/8], [N,512,H/8-1,W/8-1]
            features.append(hidden)
        raw_map = self.convs[-1](hidden)  # [N,1,H/8-2,W/8-2]
        return raw_map, [*features, raw_map]


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(in_channels, out_channels, 4, stride, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=0.02)
    return spectral_norm(conv)

"""Metrics of completed images and of lines."""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeconnect_hf.edges import GRAY_WEIGHTS

Protocol: TypeAlias = Literal["usual", "published"]

# Of VGG19's layers in training/vgg.py, those that a file cut after conv3_4 still holds.
DISTANCE_LAYERS = ("relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu3_4")


# Images.


def psnr(real: Tensor, fake: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, -10 log10(E[(x - x')^2]) of each image, the mean over the batch.

    Args:
        real, fake (`torch.Tensor`): `[N,C,H,W]` in [0,1].

    Returns:
        A scalar in decibels; infinite if two images are equal.
    """
    return -10 * (real - fake).square().mean(dim=(1, 2, 3)).log10().mean()


def image_scores(real: Tensor, fake: Tensor, protocol: Protocol = "usual") -> dict[str, float]:
    """L1, PSNR and SSIM of a completed image against the original, known pixels included.

    Args:
        real, fake (`torch.Tensor`): `[N,3,H,W]` RGB in [0,1]; both sides at least 51 for the published protocol.
        protocol (`str`): `"usual"`: over RGB, L1 as 100 E[|x - x'|], SSIM with its authors' Gaussian window.
            `"published"`: as in the published `scripts/metrics.py`: over gray, L1 as 100 sum |x - x'| /
            sum(x + x'), SSIM with a flat window of 51.

    Returns:
        `l1` in percent, `psnr` in decibels, `ssim`, at most 1.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # slow to import

    if protocol == "usual":
        l1 = (real - fake).abs().mean()
        window = 11
    else:
        weights = torch.tensor(GRAY_WEIGHTS, dtype=real.dtype, device=real.device).view(1, 3, 1, 1)
        real, fake = ((image * weights).sum(dim=1, keepdim=True) for image in (real, fake))  # [N,1,H,W]
        l1 = (real - fake).abs().sum() / (real + fake).sum().clamp(min=torch.finfo(real.dtype).tiny)  # may be black
        window = 51
    _, ssim_map = structural_similarity_index_measure(
        fake, real, gaussian_kernel=protocol == "usual", kernel_size=window, data_range=1.0, return_full_image=True
    )
    margin = window // 2
    ssim = ssim_map[..., margin:-margin, margin:-margin].mean()  # of [N,C,H,W], where the window lies inside
    return {"l1": 100 * l1.item(), "psnr": psnr(real, fake).item(), "ssim": ssim.item()}


def feature_distance(real_features: Mapping[str, Tensor], fake_features: Mapping[str, Tensor]) -> float:
    """VGG19 feature distance: mean over `DISTANCE_LAYERS` of E[|phi(x) - phi(x')|] / E[phi(x)]. Neither FID nor LPIPS.

    Dividing by a layer's mean makes it independent of the layers' scale: weights rescaled layer by layer give the same
    value.

    Args:
        real_features, fake_features (`Mapping[str, torch.Tensor]`): results of `VGG19Features`, `[N,C_i,h_i,w_i]` each,
            not negative.

    Returns:
        0 for equal images, of the order of 1 for unrelated ones.
    """
    pairs = [(real_features[name].float(), fake_features[name].float()) for name in DISTANCE_LAYERS]
    return torch.stack([F.l1_loss(fake, real) / real.mean() for real, fake in pairs]).mean().item()


class FrechetDistance:
    """FID, the Fréchet distance between the original images and others. Few images give too high a distance.

    Args:
        features (`int` or `nn.Module`): 2048: the last pool of the standard Inception, which the package torch-fidelity
            downloads on first use. The distance of another module (with `num_features`) is not FID.

    Raises:
        ValueError: the standard Inception is wanted and not available.
    """

    def __init__(self, features: int | nn.Module = 2048):
        from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import

        try:
            self.metric = FrechetInceptionDistance(feature=features, reset_real_features=False)
        except (ImportError, OSError) as error:
            raise ValueError(
                "`fid` needs the standard Inception weights, which the package torch-fidelity downloads (pip install "
                f"torch-fidelity); `vgg_weights` gives another distance without them: {error}"
            ) from error

    def use_originals(self, images: Iterable[Tensor]) -> None:
        """Compares with `images`, `[N,3,H,W]` uint8 RGB, and no others from now on."""
        self.metric.reset_real_features = True
        self.metric.reset()
        self.metric.reset_real_features = False
        for batch in images:
            self.metric.update(batch, real=True)

    def __call__(self, images: Iterable[Tensor]) -> float:
        """The distance of `images`, `[N,3,H,W]` uint8 RGB, from the originals; at least two of each."""
        self.metric.reset()  # keeps the originals
        for batch in images:
            self.metric.update(batch, real=False)
        return float(self.metric.compute())


# Lines.


def edge_precision_recall(edges: Tensor, pred_edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Precision and recall of the lines drawn in the hole; a pixel is a line above 0.5.

    Args:
        edges, pred_edges, mask (`torch.Tensor`): `[N,1,H,W]` in [0,1]; 1 in the mask marks the hole.

    Returns:
        Two scalars in [0,1]; 0 where no line is drawn or none is true.
    """
    hits, drawn, true = count_edges(edges, pred_edges, mask)
    return hits / drawn.clamp(min=1), hits / true.clamp(min=1)


def edge_f1(edges: Tensor, pred_edges: Tensor, mask: Tensor, within: int = 2) -> float:
    """F1 of the lines drawn in the hole, where a pixel off by at most `within` counts; a pixel is a line above 0.5.

    Lines are thinned first, so that thick ones do not score more.

    Args:
        edges, pred_edges, mask (`torch.Tensor`): `[N,1,H,W]` in [0,1]; 1 in the mask marks the hole.
        within (`int`): pixels, along each axis.

    Returns:
        2 hits / (drawn + true), over all images together, in [0,1]; 0 where no line is drawn or none is true.
    """
    true, drawn = (thin(lines.float()) * (mask > 0.5) for lines in (edges, pred_edges))
    return float(2 * line_hits(true, drawn, within) / (drawn.sum() + true.sum()).clamp(min=1))


def line_hits(true: Tensor, drawn: Tensor, within: int) -> int:
    """The number of line pixels drawn where there are some, off by at most `within` pixels along each axis.

    A true pixel counts for one drawn pixel only, so that many lines beside each other do not score more.

    Args:
        true, drawn (`torch.Tensor`): `[N,1,H,W]`, values {0,1}, as given by `thin`.
    """
    near_true, near_drawn = (F.max_pool2d(lines, 2 * within + 1, stride=1, padding=within) for lines in (true, drawn))
    return int(torch.minimum((drawn * near_true).sum(), (true * near_drawn).sum()))


def line_figures(pred_edges: Tensor, mask: Tensor) -> dict[str, float]:
    """How sure the lines in the hole are: crisp ones are near 0 or 1, a haze stays below one half.

    Args:
        pred_edges, mask (`torch.Tensor`): `[N,1,H,W]` in [0,1]; 1 in the mask marks the hole.

    Returns:
        In the hole, `line_mean` and `line_max`, the mean and the largest probability, `line_share`, the share of the
        pixels above 0.5, and `drawn_mean`, the mean probability of those; 0 where there are none.
    """
    inside = pred_edges[mask > 0.5].float()
    drawn = inside[inside > 0.5]
    size = max(1, inside.numel())
    return {
        "line_mean": inside.sum().item() / size,
        "line_max": inside.max().item() if inside.numel() else 0.0,
        "line_share": drawn.numel() / size,
        "drawn_mean": drawn.sum().item() / max(1, drawn.numel()),
    }


def count_edges(edges: Tensor, pred_edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers of line pixels in the hole: both true and drawn, drawn, true. Arguments as in `edge_precision_recall`."""
    true, drawn = ((lines > 0.5) & (mask > 0.5) for lines in (edges, pred_edges))
    return (true & drawn).sum(), drawn.sum(), true.sum()


def thin(lines: Tensor) -> Tensor:
    """Lines one pixel wide, by the method of Zhang and Suen (1984).

    Args:
        lines (`torch.Tensor`): `[N,1,H,W]`; above 0.5 is a line.

    Returns:
        `[N,1,H,W]`, the same dtype, values {0,1}; no line where there was none.
    """
    padded = F.pad(lines > 0.5, (1, 1, 1, 1))
    flat, width = padded.view(-1), padded.shape[-1]
    # The eight neighbours, clockwise from the upper one, as bits.
    steps = (-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1)
    tables = [_removed(first_pass).to(lines.device) for first_pass in (True, False)]
    pixels = flat.nonzero()[:, 0]  # of lines; there are few
    while True:
        before = len(pixels)
        for table in tables:
            code = torch.zeros_like(pixels)
            for bit, step in enumerate(steps):
                code += flat[pixels + step].long() << bit
            removed = table[code]
            flat[pixels[removed]] = False
            pixels = pixels[~removed]
        if len(pixels) == before:
            return padded[..., 1:-1, 1:-1].to(lines.dtype)


def _removed(first_pass: bool) -> Tensor:
    """Whether a pass of Zhang and Suen removes a line pixel, by the code of its neighbours: `[256]` bool."""
    around = torch.arange(256) >> torch.arange(8).view(8, 1) & 1 > 0  # [8,256]
    neighbours = around.sum(dim=0)
    starts = (~around & around.roll(-1, dims=0)).sum(dim=0)  # of runs of line pixels around the pixel
    up, right, down, left = around[::2]
    if first_pass:
        at_the_rim = ~(up & right & down) & ~(right & down & left)
    else:
        at_the_rim = ~(up & right & left) & ~(up & down & left)
    return (neighbours >= 2) & (neighbours <= 6) & (starts == 1) & at_the_rim

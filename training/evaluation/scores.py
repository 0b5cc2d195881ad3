"""The figures of one result: of the image, and of the lines that it was painted from."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data.samples import to_bytes
from training.evaluation.holes import Example
from training.evaluation.lpips import LPIPS, load_lpips
from training.evaluation.metrics import DISTANCE_LAYERS, Protocol, feature_distance, image_scores, line_hits, thin
from training.vgg import VGG19Features, load_vgg

HIGHEST_PSNR = 100.0  # decibels; for perfect images, whose PSNR is infinite, in a mean
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # above which a pixel of G1 is a line
WITHIN = (0, 1, 2)  # pixels by which a line may be off

Features: TypeAlias = dict[str, Tensor]


class Scorer:
    """Measures results against their originals.

    Args:
        protocol (`str`): of L1, PSNR and SSIM; see `image_scores`.
        vgg_weights (`str`, *optional*): for the VGG19 distance.
        lpips_weights (`str`, *optional*): for LPIPS.
        device (`str`): of VGG19 and of LPIPS's network.

    Raises:
        ValueError: the weights cannot be loaded, or lack a layer.
    """

    def __init__(self, protocol: Protocol, vgg_weights: str | None, lpips_weights: str | None, device: str):
        self.protocol = protocol
        self.device = device
        self.vgg: VGG19Features | None = None if vgg_weights is None else _load_vgg(vgg_weights).to(device)
        self.lpips: LPIPS | None = None if lpips_weights is None else load_lpips(lpips_weights).to(device)

    @torch.no_grad()
    def features(self, image: npt.NDArray[np.uint8]) -> Features:
        """VGG19's features of `[S,S,3]` uint8 RGB; empty without `vgg_weights`."""
        return {} if self.vgg is None else self.vgg(to_tensor(image).to(self.device))

    @torch.no_grad()
    def __call__(
        self, real: npt.NDArray[np.uint8], fake: npt.NDArray[np.uint8], real_features: Features
    ) -> dict[str, float]:
        """`l1`, `psnr`, `ssim`, and with their weights `feature_distance` and `lpips`, of a result.

        Args:
            real, fake (`np.ndarray`): `[S,S,3]` uint8 RGB.
            real_features (`dict[str, torch.Tensor]`): `features(real)`.
        """
        original, result = to_tensor(real), to_tensor(fake)
        figures = image_scores(original, result, self.protocol)
        figures["psnr"] = min(figures["psnr"], HIGHEST_PSNR)
        if self.vgg is not None:
            figures["feature_distance"] = feature_distance(real_features, self.features(fake))
        if self.lpips is not None:
            figures["lpips"] = self.lpips(original.to(self.device), result.to(self.device)).item()
        return figures


def count_lines(
    example: Example, lines: npt.NDArray[np.uint8], other_edges: npt.NDArray[np.uint8] | None = None
) -> dict[str, Any]:
    """Counts of line pixels in the hole, for `report.line_row`.

    Args:
        example (`Example`): the hole and the true lines.
        lines (`np.ndarray`): `[S,S]` uint8, those drawn.
        other_edges (`np.ndarray`, *optional*): `[S,S]` uint8, the true lines of another image.

    Returns:
        `lines_true`, `hole_pixels`, and `line_counts`: threshold -> `[drawn, hits, …]`, hits for each of `WITHIN`.
        With `other_edges`, `chance_true` and `chance_counts` as well: the same lines against those.
    """
    pred_edges, mask = to_tensor(lines), to_tensor(to_bytes(example.mask))
    drawn = {threshold: thin((pred_edges > threshold).float()) * mask for threshold in THRESHOLDS}
    true, counts = _count_hits(thin(to_tensor(example.edges)) * mask, drawn)
    figures = {"lines_true": true, "hole_pixels": int(example.mask.sum()), "line_counts": counts}
    if other_edges is not None:
        figures["chance_true"], figures["chance_counts"] = _count_hits(thin(to_tensor(other_edges)) * mask, drawn)
    return figures


def _count_hits(true: Tensor, drawn: Mapping[float, Tensor]) -> tuple[int, dict[str, list[int]]]:
    counts = {}
    for threshold, lines in drawn.items():
        hits = [line_hits(true, lines, within) for within in WITHIN]
        counts[str(threshold)] = [int(lines.sum()), *hits]
    return int(true.sum()), counts


def to_tensor(image: npt.NDArray[np.uint8]) -> Tensor:
    """`[H,W,3]` or `[H,W]` uint8 as `[1,C,H,W]` in [0,1]."""
    planes = image[None, None] if image.ndim == 2 else image.transpose(2, 0, 1)[None]  # [1,C,H,W]
    return torch.from_numpy(np.divide(planes, 255, dtype=np.float32))


def _load_vgg(weights: str) -> VGG19Features:
    vgg = load_vgg(weights, normalize=True)
    if missing := [name for name in DISTANCE_LAYERS if name not in vgg.layers]:
        raise ValueError(f"`vgg_weights` {weights!r} lack {', '.join(missing)}, expected weights up to conv3_4.")
    return vgg

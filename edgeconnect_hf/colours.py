"""Colours that meet at the border of a hole.

A briefly trained completion network paints shapes better than colours: on a red wall the hole turns brownish. But it
paints the known pixels as well, so its error there is known. Spread smoothly into the hole, that error corrects its
colours. (Not in the paper; it is Poisson blending, Pérez et al., 2003.)
"""

import torch
from torch import Tensor
from torch.nn import functional as F

TRUST = 8  # a pixel of the next, half as large picture is sure where an eighth of it is known
_TEXTURE = 17  # pixels; what is finer than about this stays as painted where a colour is laid in
RELAXATIONS = 16  # of each size; 64 are 0.02 dB nearer to the truth and take three times as long


def match_colours(painted: Tensor, known: Tensor, mask: Tensor) -> Tensor:
    """Shift the colours of `painted` by their error at the known pixels around the hole.

    Gradients pass to `painted` in the hole; to them, the shift is a constant.

    Args:
        painted (`torch.Tensor`): `[N,C,H,W]` in [0,1], what the network painted, in and outside the hole.
        known (`torch.Tensor`): `[N,C,H,W]` in [0,1], the photo; its hole is ignored.
        mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.

    Returns:
        `[N,C,H,W]` float32 in [0,1]; outside the hole `known`.
    """
    painted, known, mask = painted.float(), known.float(), mask.float()
    lacking = spread(known - painted.detach(), 1 - mask)
    return torch.where(mask > 0, (painted + lacking).clamp(0, 1), known)


def lay_in(painted: Tensor, hints: Tensor, strength: Tensor, mask: Tensor) -> Tensor:
    """Shift the colours of `painted` in the hole towards `hints`; its texture stays.

    What is missing to a hint is measured to the mean around each pixel, and spread from there as in `match_colours`:
    to nothing at the border of the hole.

    Args:
        painted (`torch.Tensor`): `[N,C,H,W]` in [0,1].
        hints (`torch.Tensor`): `[N,C,H,W]` in [0,1], the wanted colours.
        strength (`torch.Tensor`): `[N,1,H,W]` in [0,1]: 0 where nothing is wanted, 1 for the hint's colour in full.
        mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.

    Returns:
        `[N,C,H,W]` in [0,1]; outside the hole `painted`.
    """
    strength = strength * mask
    missing = strength * (hints - _mean_around(painted, strength))
    shift = spread(missing, 1 - mask + strength)
    return torch.where(mask > 0, (painted + shift).clamp(0, 1), painted)


def _mean_around(planes: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of the pixels around each, by a square twice, which leaves no corners."""
    weighted, shares = planes * weights, weights
    for _ in range(2):
        for size, padding in (((_TEXTURE, 1), (_TEXTURE // 2, 0)), ((1, _TEXTURE), (0, _TEXTURE // 2))):
            weighted, shares = (F.avg_pool2d(each, size, 1, padding) for each in (weighted, shares))
    return weighted / shares.clamp(min=torch.finfo(shares.dtype).tiny)


def spread(values: Tensor, weights: Tensor) -> Tensor:
    """Fill in unknown values from the known ones, each pixel with the mean of its four neighbours: Laplace's equation.

    Solved approximately, along an image pyramid: at each size, from the smallest up, by a few steps of Jacobi's method.

    Args:
        values (`torch.Tensor`): `[N,C,H,W]` float32.
        weights (`torch.Tensor`): `[N,1,H,W]` in [0,1]: 1 where `values` is known, 0 where it is to be filled in.

    Returns:
        `[N,C,H,W]`: `values` where the weight is 1. Zero if it is known nowhere.
    """
    size, tiny = weights.shape[2:], torch.finfo(weights.dtype).eps
    weighted, open_share = values * weights, 1 - weights
    if min(size) <= 2:
        mean = weighted.sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True).clamp(min=tiny)
        return weighted + mean * open_share
    small_weights = _halve(weights)
    small = _halve(weighted) / small_weights.clamp(min=tiny)
    filled = weighted + _double(spread(small, (TRUST * small_weights).clamp(max=1)), size) * open_share
    for _ in range(RELAXATIONS):
        filled = torch.addcmul(weighted, open_share, _sum_of_neighbours(filled), value=1 / 4)
    return filled


def _sum_of_neighbours(planes: Tensor) -> Tensor:
    """Of the four pixels above, below, left and right; beyond the frame, the pixel itself."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    above, below = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
    left, right = padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]
    return above + below + left + right


def _halve(planes: Tensor) -> Tensor:
    """Blurred, every second row and column: `[N,C,H,W]` to `[N,C,ceil(H/2),ceil(W/2)]`."""
    return _blur(planes, stride=2)


def _double(planes: Tensor, size: torch.Size) -> Tensor:
    """The way back, to `[N,C,*size]`: rows and columns between the given ones, blurred in."""
    spaced = planes.new_zeros(*planes.shape[:2], *size)
    spaced[..., ::2, ::2] = planes
    return 4 * _blur(spaced, stride=1)  # three of four pixels were empty


def _blur(planes: Tensor, stride: int) -> Tensor:
    """The filter of a Gaussian pyramid, 1 4 6 4 1 (Burt and Adelson, 1983), along both axes.

    As sums of views: on a CPU ten times as fast as a convolution of single channels.
    """
    blurred = F.pad(planes, (2, 2, 2, 2), mode="reflect")
    for axis in (2, 3):
        before, left, middle, right, after = blurred.unfold(axis, 5, stride).unbind(-1)
        blurred = (before + 4 * left + 6 * middle + 4 * right + after) / 16
    return blurred

"""Colours that meet at the border of a hole.

A briefly trained completion network paints shapes better than colours: on a red wall the hole turns brownish. But it
paints the known pixels as well, so its error there is known. Spread smoothly into the hole, that error corrects its
colours. (Not in the paper; it is Poisson blending, Pérez et al., 2003.)
"""

from types import EllipsisType

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


@torch.no_grad()
def spread(values: Tensor, weights: Tensor) -> Tensor:
    """Fill in unknown values from the known ones, each pixel with the mean of its four neighbours: Laplace's equation.

    Solved approximately, along an image pyramid: at each size, from the smallest up, by a few steps of Jacobi's method.

    Args:
        values (`torch.Tensor`): `[N,C,H,W]` float32.
        weights (`torch.Tensor`): `[N,1,H,W]` in [0,1]: 1 where `values` is known, 0 where it is to be filled in.

    Returns:
        `[N,C,H,W]`, without a gradient: `values` where the weight is 1. Zero if it is known nowhere.
    """
    size, tiny = weights.shape[2:], torch.finfo(weights.dtype).eps
    weighted, open_share = values * weights, 1 - weights
    if min(size) <= 2:
        mean = weighted.sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True).clamp(min=tiny)
        return weighted + mean * open_share
    halves = _halve(torch.cat([weighted, weights], dim=1))
    small, small_weights = halves[:, :-1], halves[:, -1:]
    small = small / small_weights.clamp(min=tiny)
    filled = _double(spread(small, small_weights.mul(TRUST).clamp_(max=1)), size).mul_(open_share).add_(weighted)
    box = _around(open_share)
    _relax(filled[box], weighted[box], open_share[box])
    return filled


def _around(open_share: Tensor) -> tuple[slice | EllipsisType, ...]:
    """The box, a pixel larger on each side, outside which nothing is to be filled in."""
    box: list[slice | EllipsisType] = [...]
    for axis in (2, 3):
        places = open_share.amax([dim for dim in range(4) if dim != axis]).nonzero().flatten()
        first, last = (int(places[0]), int(places[-1])) if len(places) else (0, -1)
        box.append(slice(max(0, first - 1), last + 2))
    return tuple(box)


def _relax(filled: Tensor, weighted: Tensor, open_share: Tensor) -> None:
    """`RELAXATIONS` steps of Jacobi's method, in place. Beyond the frame, the pixel at it is its own neighbour."""
    if not filled.numel():
        return
    framed = F.pad(filled, (1, 1, 1, 1), mode="replicate")
    inner, weights = framed[..., 1:-1, 1:-1], open_share / 4
    sums = torch.empty_like(weighted)
    for _ in range(RELAXATIONS):
        torch.add(framed[..., :-2, 1:-1], framed[..., 2:, 1:-1], out=sums)  # above and below
        sums.add_(framed[..., 1:-1, :-2]).add_(framed[..., 1:-1, 2:])  # left and right
        torch.addcmul(weighted, weights, sums, out=inner)
        for axis in (2, 3):
            framed.select(axis, 0).copy_(framed.select(axis, 1))
            framed.select(axis, -1).copy_(framed.select(axis, -2))
    filled.copy_(inner)


def _halve(planes: Tensor) -> Tensor:
    """Every second row and column, blurred: `[N,C,H,W]` to `[N,C,ceil(H/2),ceil(W/2)]`.

    The filter is that of a Gaussian pyramid, 1 4 6 4 1 (Burt and Adelson, 1983), along both axes, as sums of views: on
    a CPU many times as fast as a convolution of single channels.
    """
    halves = F.pad(planes, (2, 2, 2, 2), mode="reflect")
    for axis in (2, 3):
        before, left, middle, right, after = halves.unfold(axis, 5, 2).unbind(-1)
        halves = (before + after).add_(left, alpha=4).add_(right, alpha=4).add_(middle, alpha=6)
    return halves.mul_(1 / 256)


def _double(planes: Tensor, size: torch.Size) -> Tensor:
    """The way back, to `[N,C,*size]`: rows and columns between the given ones, blurred in with the same filter."""
    for axis in (2, 3):
        full, length = size[axis - 2], planes.shape[axis]
        before = torch.cat([planes.narrow(axis, 1, 1), planes.narrow(axis, 0, length - 1)], dim=axis)
        beyond = planes.narrow(axis, length - 1 - full % 2, 1)  # reflected at the frame, as in `_halve`
        after = torch.cat([planes.narrow(axis, 1, length - 1), beyond], dim=axis)
        doubled = planes.new_empty([full if dim == axis else side for dim, side in enumerate(planes.shape)])
        given, between = _every_second(doubled, axis, 0), _every_second(doubled, axis, 1)
        between.copy_((planes + after).narrow(axis, 0, full // 2).mul_(1 / 2))
        given.copy_(before.add_(after).add_(planes, alpha=6).mul_(1 / 8))
        planes = doubled
    return planes


def _every_second(planes: Tensor, axis: int, first: int) -> Tensor:
    """A view of every second row or column."""
    return planes[..., first::2, :] if axis == 2 else planes[..., first::2]

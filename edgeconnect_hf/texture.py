"""Texture in the hole: what is painted smoothly, said in pixels of the photo.

A briefly trained completion network knows what belongs where, near known pixels and on lines near them: wall here, a
window there. But it paints smoothly, and a window that is worked on smaller than it is has no detail to give. The photo
around the hole has. For each pixel of the hole a place is looked for, not far away, that fits what is painted there and
what was found for its neighbours, on a small copy first, then on larger ones. Detail comes from these places. What is
coarser stays as painted near known pixels; farther in it comes from these places too. On plain ground away from lines,
colours are those around the hole. A window that was worked on smaller than it is gets sharpened a little, lines most.
(Not in the paper. Filling a hole so that it agrees with itself, from small to large: Wexler et al., 2007.)
"""

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .bands import blur, energy, sharpened
from .colours import spread
from .patches import PatchSearch

# Pixels as the networks see them.
_DETAIL = 3.0  # what a Gaussian of this sigma takes away is detail
_REACH = 16.0  # from known pixels to where the painting counts a third as much
_DRAWN = 0.5  # of the way to known pixels that counts on a line
_PLAIN = 0.04  # the contrast at which ground counts a third as plain
_OFF_LINES = 8.0  # from a line to where ground counts two thirds as such
_SHARPER, _SHARPER_LINES = 0.3, 3.0  # times its detail more, and where lines are as painted; if it was enlarged
# Of the copies.
_FEWEST_HALVINGS = 2  # from the networks' scale to the smallest copy; more
_DEEPEST = 16  # until the middle of the hole is no farther from its border
_MOST_PIXELS = 2**13  # and the hole is no larger,
_SMALLEST = 32  # as long as no side becomes shorter
_MOST_SEARCHED = 2**20  # a larger copy takes the places of the one before as they are
_ROUNDS = (12, 6, 2)  # for the smallest copy, those between, the photo itself

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


def match_texture(painted: Floats, hole: Bools, unknown: Bools, lines: Bools, scale: float = 1.0) -> Floats:
    """Give the hole detail from the rest of the photo. The same input gives the same result.

    Args:
        painted (`np.ndarray`): `[H,W,3]` in [0,1], the photo, its hole painted.
        hole (`np.ndarray`): `[H,W]` bool, True where detail is wanted.
        unknown (`np.ndarray`): `[H,W]` bool, True where the photo has none to give: in all holes at least.
        lines (`np.ndarray`): `[H,W]` bool, True on the lines that were painted from.
        scale (`float`): pixels of the photo to one of the networks', from 1.

    Returns:
        `[H,W,3]` in [0,1]; outside the hole `painted`; all of it, if nowhere nine known pixels form a square.
    """
    inside = _distance(hole)
    from_lines = _DRAWN * inside + _distance(hole & ~lines)
    trust = torch.from_numpy(np.exp(-np.minimum(inside, from_lines) / (_REACH * scale)))  # [H,W]
    planes = torch.from_numpy(painted).permute(2, 0, 1)  # [3,H,W]
    even, plain = _even_ground(planes, torch.from_numpy(unknown), scale)
    plain *= torch.from_numpy(1 - np.exp(-_distance(~lines) / (_OFF_LINES * scale)))  # [H,W]
    planes = torch.lerp(planes, even, plain)
    copies = _copies(planes, torch.from_numpy(hole), torch.from_numpy(unknown), trust, round(math.log2(scale)))
    random = torch.Generator().manual_seed(0)
    found, textured = None, planes  # places `[h,w]` in the copy before, and the hole filled from there
    for halvings, (copy, copy_hole, copy_unknown, copy_trust) in reversed(list(enumerate(copies))):
        blurred = blur(copy, max(1.0, _DETAIL * scale / 2**halvings))
        search = PatchSearch(copy, copy_hole, copy_unknown, blurred, copy_trust, random)
        if found is None and not search.has_sources:
            continue
        rounds = _ROUNDS[0 if found is None else 1 if halvings else 2]
        places = search.start() if found is None else search.take(found)
        for _ in range(rounds if copy_hole.numel() <= _MOST_SEARCHED else 0):
            places = search.improve(places, is_wide=halvings > 0)
        found, textured = search.on_map(places), search.picture
    if found is None:
        return painted
    textured = textured + torch.maximum(trust, plain) * blur(planes - textured, _DETAIL * scale)
    along = torch.from_numpy(np.exp(-_distance(~lines) / (_DETAIL * scale)))  # [H,W]
    painted_contrast = _contrast(planes, scale)
    share = along * painted_contrast / (painted_contrast + _contrast(textured, scale))
    merged = torch.lerp(textured, planes, share)
    if scale > 1:
        merged = sharpened(merged, _SHARPER + _SHARPER_LINES * share)
    return cast(Floats, np.where(hole[..., None], merged.clamp(0, 1).permute(1, 2, 0).numpy(), painted))


def _even_ground(planes: Tensor, unknown: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The colours around the hole, spread into it `[3,H,W]`, and how plain the ground is there, `[H,W]` in [0,1]; 0
    where the photo is known. A wide hole in a wall is painted too gray, and what is found for gray is no wall."""
    known = (~unknown).float()[None]
    sigma = _DETAIL / 2 * scale
    near = blur(known, sigma).clamp(min=1e-3)
    mean = blur(planes * known, sigma) / near
    contrast = blur(energy(planes - mean) * known, sigma) / near  # [1,H,W]
    spread_in = spread((torch.cat([planes, contrast]) * known)[None], known[None])[0]
    return spread_in[:3], unknown * torch.exp(-spread_in[3] / _PLAIN**2)


def _copies(
    painted: Tensor, hole: Tensor, unknown: Tensor, trust: Tensor, halvings: int
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Picture `[3,h,w]`, hole, unknown and trust `[h,w]`, each half as large as the one before. What touches the
    unknown is unknown, so that what a known pixel stands for is known."""
    copies = [(painted, hole, unknown, trust)]
    while min(hole.shape) >= 2 * _SMALLEST and (
        len(copies) <= halvings + _FEWEST_HALVINGS
        or hole.sum() > _MOST_PIXELS
        or _distance(hole.numpy()).max() > _DEEPEST
    ):
        painted = F.avg_pool2d(painted[None], 2, ceil_mode=True)[0]
        hole, unknown = (F.max_pool2d(each[None].float(), 2, ceil_mode=True)[0] > 0 for each in (hole, unknown))
        trust = F.avg_pool2d(trust[None], 2, ceil_mode=True)[0]
        copies.append((painted, hole, unknown, trust))
    return copies


def _contrast(planes: Tensor, scale: float) -> Tensor:
    """`[H,W]`, above 0: how much of a line's width there is around each pixel."""
    band = blur(planes, scale) - blur(planes, _DETAIL * scale)
    return blur(band.square().mean(0, keepdim=True), _DETAIL * scale)[0].square() + torch.finfo().tiny


def _distance(inside: Bools) -> Floats:
    """`[H,W]`: from each pixel of `inside` to the nearest that is not, in pixels; zero outside."""
    return cast(Floats, cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))

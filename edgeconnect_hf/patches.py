"""PatchMatch: for each pixel of a hole, the place in the picture whose surroundings fit there."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_PATCH = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
_VOTES = [math.exp(-(dy * dy + dx * dx) / (2 * 0.8**2)) for dy, dx in _PATCH]  # of a patch's pixels; the middle's is 1
_CROSS = [(0, 0), (-4, 0), (4, 0), (0, -4), (0, 4)]
_PAINTED_WEIGHT = 2.0  # of the painted colours, against those of a patch
_STEPS = (4, 2, 1)  # pixels to the neighbours whose places are tried
_MOST_COMPARED = 2**12  # places that each pixel of a small picture is compared with


class PatchSearch:
    """Fills the hole of a picture with pixels from elsewhere in it, better in every round (Barnes et al., 2009).

    A place is the number of a pixel, counted row by row. It fits another one by two measures: the nine pixels around
    are alike, as the hole is filled so far; and the picture blurred, there and four pixels away in each direction, is
    as it was painted here.

    Args:
        painted (`torch.Tensor`): `[3,H,W]` float32 in [0,1], the picture, its hole painted.
        hole (`torch.Tensor`): `[H,W]` bool, True where to fill; P pixels, at least one.
        unknown (`torch.Tensor`): `[H,W]` bool, True where no pixel may be taken from: in the hole at least.
        blurred (`torch.Tensor`): `[3,H,W]`, `painted` without what is too fine for its painter.
        trust (`torch.Tensor`): `[H,W]` in [0,1], how much the second measure counts.
        random (`torch.Generator`): of the places that are tried.

    Attributes:
        picture (`torch.Tensor`): `[3,H,W]`, filled as in the last round.
    """

    def __init__(
        self, painted: Tensor, hole: Tensor, unknown: Tensor, blurred: Tensor, trust: Tensor, random: torch.Generator
    ):
        self.picture, self._random = painted, random
        self._height, self._width = hole.shape
        known = F.pad(~unknown, (1, 1, 1, 1))  # nothing beyond the frame
        self._usable = torch.stack([_shifted(known[None], shift, 1)[0] for shift in _PATCH]).all(0).flatten()  # [H*W]
        self._rows, self._columns = hole.nonzero(as_tuple=True)  # [P]
        self._pixels = self._rows * self._width + self._columns  # [P]
        self._numbers = torch.full((hole.numel(),), -1)  # pixel -> its number among the hole's
        self._numbers[self._pixels] = torch.arange(len(self._pixels))
        self._colours = painted.flatten(1).T.contiguous()  # [H*W,3]
        self._patches = _around(painted, _PATCH)  # [H*W,27]
        weight = _PAINTED_WEIGHT * math.sqrt(len(_PATCH) / len(_CROSS))
        self._painted = weight * _around(blurred, _CROSS)  # [H*W,15]
        self._trust = trust.flatten()[self._pixels].square()  # [P]

    @property
    def has_sources(self) -> bool:
        """Whether there is a place to take pixels from."""
        return bool(self._usable.any())

    def start(self) -> Tensor:
        """The first round, for a small picture: the best of all places, or of some thousand drawn at random, `[P]`."""
        places = self._usable.nonzero()[:, 0]
        if len(places) > _MOST_COMPARED:
            places = places[torch.randperm(len(places), generator=self._random)[:_MOST_COMPARED]]
        patches, painted = self._patches[places], self._painted[places]
        patch_norms, painted_norms = patches.square().sum(1), painted.square().sum(1)
        best = []
        for pixels, trust in zip(self._pixels.split(1024), self._trust.split(1024), strict=True):
            errors = patch_norms - 2 * self._patches[pixels] @ patches.T  # less a constant of the pixel
            errors += trust[:, None] * (painted_norms - 2 * self._painted[pixels] @ painted.T)
            best.append(places[errors.argmin(1)])
        found = torch.cat(best)
        self._fill(found, self._errors(self._wanted(), found, slice(None)))
        return found

    def take(self, smaller: Tensor) -> Tensor:
        """Start from the places in a copy half as large, `[ceil(H/2),ceil(W/2)]`: those they stand for here, `[P]`."""
        places = smaller[self._rows // 2, self._columns // 2]
        rows, columns = 2 * (places // smaller.shape[1]), 2 * (places % smaller.shape[1])
        found = (rows + self._rows % 2) * self._width + columns + self._columns % 2
        self._fill(found, torch.zeros(len(found)))
        return found

    def improve(self, places: Tensor, is_wide: bool) -> Tensor:
        """One round: look for better places `[P]` than these, and fill the hole from them.

        Args:
            places (`torch.Tensor`): `[P]`, those so far.
            is_wide (`bool`): besides what neighbours found, try places drawn at random, ever nearer to the best.
        """
        wanted, best = self._wanted(), places.clone()
        best_errors = self._errors(wanted, best, slice(None))

        def attempt(rows: Tensor, columns: Tensor, is_offered: Tensor | bool = True) -> None:
            tried = rows * self._width + columns
            inside = (rows >= 0) & (rows < self._height) & (columns >= 0) & (columns < self._width) & is_offered
            inside &= (tried != best) & self._usable[tried * inside]
            those = inside.nonzero()[:, 0]
            errors = self._errors(wanted, tried[those], those)
            is_better = errors < best_errors[those]
            better = those[is_better]
            best[better], best_errors[better] = tried[better], errors[is_better]

        for step in _STEPS:
            for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0)):
                neighbours = self._neighbours(dy, dx)
                theirs = best[neighbours]
                attempt(theirs // self._width - dy, theirs % self._width - dx, neighbours >= 0)
        radius = max(self._height, self._width) if is_wide else 0
        while radius:
            dy, dx = torch.randint(-radius, radius + 1, (2, len(best)), generator=self._random)
            attempt(best // self._width + dy, best % self._width + dx)
            radius //= 2
        self._fill(best, best_errors)
        return best

    def on_map(self, places: Tensor) -> Tensor:
        """`[P]` as `[H,W]`, -1 outside the hole."""
        on_map = torch.full((self._height, self._width), -1)
        on_map[self._rows, self._columns] = places
        return on_map

    def _fill(self, places: Tensor, errors: Tensor) -> None:
        """Colour each pixel of the hole as its own place and those of its neighbours say: the better one fits, the more
        it counts."""
        weights = torch.exp(-errors / (2 * errors.median() + 1e-6)).clamp(min=1e-4)
        colours, total = torch.zeros(len(places), 3), torch.zeros(len(places), 1)
        for (dy, dx), vote in zip(_PATCH, _VOTES, strict=True):
            voters = self._neighbours(-dy, -dx)
            votes = (vote * weights[voters] * (voters >= 0))[:, None]
            colours += votes * self._colours[places[voters] + dy * self._width + dx]
            total += votes
        self.picture = self.picture.clone()
        self.picture[:, self._rows, self._columns] = (colours / total).T

    def _wanted(self) -> Tensor:
        """`[P,42]`: what the hole's pixels hold around them, and what was painted there."""
        padded = F.pad(self.picture[None], (1, 1, 1, 1), mode="replicate")[0]
        patches = torch.cat([padded[:, self._rows + 1 + dy, self._columns + 1 + dx] for dy, dx in _PATCH]).T
        return torch.cat([patches, self._painted[self._pixels]], dim=1)

    def _errors(self, wanted: Tensor, places: Tensor, pixels: Tensor | slice) -> Tensor:
        """Of `places` at some of the hole's `pixels`, both `[p]`."""
        wanted_patch, wanted_painted = wanted[pixels].split((3 * len(_PATCH), 3 * len(_CROSS)), dim=1)
        errors = (wanted_patch - self._patches[places]).square_().sum(1)
        return errors + self._trust[pixels] * (wanted_painted - self._painted[places]).square_().sum(1)

    def _neighbours(self, dy: int, dx: int) -> Tensor:
        """For each of the hole's pixels the number of the one so far away, `[P]`; -1 if that is none of them."""
        rows, columns = self._rows + dy, self._columns + dx
        inside = (rows >= 0) & (rows < self._height) & (columns >= 0) & (columns < self._width)
        return torch.where(inside, self._numbers[(rows * self._width + columns) * inside], -1)


def _around(planes: Tensor, shifts: list[tuple[int, int]]) -> Tensor:
    """For each pixel of `[C,H,W]` those at the `shifts`, `[H*W,shifts*C]`; the frame's last pixels go on beyond it."""
    reach = max(max(map(abs, shift)) for shift in shifts)
    padded = F.pad(planes[None], (reach,) * 4, mode="replicate")[0]
    return torch.cat([_shifted(padded, shift, reach) for shift in shifts]).flatten(1).T.contiguous()


def _shifted(padded: Tensor, shift: tuple[int, int], reach: int) -> Tensor:
    """`[C,H,W]` from planes padded by `reach`, moved so that each pixel shows the one at `shift`."""
    height, width = padded.shape[1] - 2 * reach, padded.shape[2] - 2 * reach
    top, left = reach + shift[0], reach + shift[1]
    return padded[:, top : top + height, left : left + width]

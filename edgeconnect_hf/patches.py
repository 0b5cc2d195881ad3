"""PatchMatch: for each pixel of a hole, the place in the picture whose surroundings fit there."""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .bands import blur, detail, energy

_PATCH = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
_VOTES = [math.exp(-(dy * dy + dx * dx) / (2 * 0.8**2)) for dy, dx in _PATCH]  # of a patch's pixels; the middle's is 1
_CROSS = [(0, 0), (-4, 0), (4, 0), (0, -4), (0, 4)]
_PAINTED_WEIGHT = 2.0  # of the painted colours, against those of a patch
_NEAR_WEIGHT = 1.5  # of the way between two places, as a share of the picture's longer side
_AROUND = 2.0  # pixels: within about so many, detail is compared
_MOST_GAIN = 3.0
_BLUR_REACH = 12  # pixels that both blurs look at, one after the other
_EPSILON = 1e-7  # of energy: a tenth of what rounding to 8 bits makes
_STEPS = (4, 2, 1)  # pixels to the neighbours whose places are tried
_MARGIN = 4  # pixels around the frame, so that no step and no arm of the cross leads out of the tensors
_MOST_COMPARED = 2**12  # places that each pixel of a small picture is compared with
_AT_ONCE = 2**12  # pixels whose errors are computed together: they stay in the processor's cache


class PatchSearch:
    """Fills the hole of a picture with pixels from elsewhere in it, better in every round (Barnes et al., 2009).

    A place is the number of a pixel, counted row by row in the picture with its margin, N pixels in all. It fits
    another one by three measures: the nine pixels around are alike, as the hole is filled so far; it is near; and the
    picture blurred, there and four pixels away in each direction, is as it was painted here.

    Args:
        painted (`torch.Tensor`): `[3,H,W]` float32 in [0,1], the picture, its hole painted.
        hole (`torch.Tensor`): `[H,W]` bool, True where to fill; P pixels, at least one.
        unknown (`torch.Tensor`): `[H,W]` bool, True where no pixel may be taken from: in the hole at least.
        blurred (`torch.Tensor`): `[3,H,W]`, `painted` without what is too fine for its painter.
        trust (`torch.Tensor`): `[H,W]` in [0,1], how much the third measure counts.
        random (`torch.Generator`): of the places that are tried.

    Attributes:
        picture (`torch.Tensor`): `[3,H,W]`, filled as in the last round.
    """

    def __init__(
        self, painted: Tensor, hole: Tensor, unknown: Tensor, blurred: Tensor, trust: Tensor, random: torch.Generator
    ):
        self.picture, self._random = painted, random
        self._height, self._width = hole.shape
        self._row = self._width + 2 * _MARGIN  # from a pixel to the one below
        self._nowhere = self._place(torch.tensor([0]), self._width)  # `[1]`; no step from there leads to a usable place
        self._rows, self._columns = hole.nonzero(as_tuple=True)  # [P]
        self._pixels = self._place(self._rows, self._columns)  # [P]
        top, left = (max(0, int(places.min()) - _BLUR_REACH) for places in (self._rows, self._columns))
        bottom, right = (int(places.max()) + _BLUR_REACH + 1 for places in (self._rows, self._columns))
        self._part = slice(None), slice(top, bottom), slice(left, right)  # of the picture, the hole and around it
        self._hole_in_part = slice(None), self._rows - top, self._columns - left
        known = F.pad(~unknown, (_MARGIN,) * 4).flatten()  # [N]; nothing beyond the frame
        self._usable = torch.stack([known.roll(-self._distance(*shift)) for shift in _PATCH]).all(0)  # [N]
        self._numbers = torch.full(known.shape, len(self._pixels))  # [N], of the hole's pixels; P elsewhere
        self._numbers[self._pixels] = torch.arange(len(self._pixels))
        self._colours = _with_margin(painted)  # [N,3]
        self._energy = _with_margin(energy(detail(painted)))  # [N,1]
        rows, columns = self._position(torch.arange(len(known)))
        near = _NEAR_WEIGHT / max(hole.shape) * torch.stack([rows, columns], dim=1)  # [N,2]
        self._here = near.index_select(0, self._pixels)  # [P,2]
        self._patches = F.pad(near, (27, 0))  # [N,29]
        self._lay_around(self._patches, _triples(self._colours), _PATCH[::3])
        weight = _PAINTED_WEIGHT * math.sqrt(len(_PATCH) / len(_CROSS))
        self._painted = torch.zeros(len(known), 15)  # [N,15]
        self._lay_around(self._painted, _with_margin(weight * blurred), _CROSS)
        self._wanted_painted = self._painted.index_select(0, self._pixels)  # [P,15]
        self._trust = trust[self._rows, self._columns].square()  # [P]

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
        self._fill(found, self._errors(self._wanted(), found))
        return found

    def take(self, smaller: Tensor) -> Tensor:
        """Start from what `on_map` says of a copy half as large, `[ceil(H/2),ceil(W/2),2]`: the places here, `[P]`."""
        rows, columns = (2 * smaller[self._rows // 2, self._columns // 2]).unbind(1)
        found = self._place(rows + self._rows % 2, columns + self._columns % 2)
        self._fill(found, torch.zeros(len(found)))
        return found

    def improve(self, places: Tensor, is_wide: bool) -> Tensor:
        """One round: look for better places `[P]` than these, and fill the hole from them.

        Args:
            places (`torch.Tensor`): `[P]`, those so far.
            is_wide (`bool`): besides what neighbours found, try places drawn at random, ever nearer to the best.
        """
        wanted, best = self._wanted(), places.clone()
        best_errors = self._errors(wanted, best)

        def attempt(tried: Tensor, is_new: Tensor) -> None:
            for pixels in _where(self._usable.index_select(0, tried) & is_new).split(_AT_ONCE):
                candidates, limits = tried.index_select(0, pixels), best_errors.index_select(0, pixels)
                errors = _squares(wanted, pixels, self._patches, candidates)
                close = _where(errors < limits)  # the third measure can only add to it
                pixels, candidates = pixels.index_select(0, close), candidates.index_select(0, close)
                errors = errors.index_select(0, close) + self._painted_errors(pixels, candidates)
                better = _where(errors < limits.index_select(0, close))
                pixels = pixels.index_select(0, better)
                best.index_copy_(0, pixels, candidates.index_select(0, better))
                best_errors.index_copy_(0, pixels, errors.index_select(0, better))

        seen = [places]
        for step in _STEPS:
            for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0)):
                theirs = torch.cat([best, self._nowhere]).index_select(0, self._neighbours(dy, dx))
                tried = theirs - self._distance(dy, dx)
                is_new = torch.ones_like(tried, dtype=torch.bool)
                for earlier in seen:  # neighbours in one part of the picture offer the same place
                    is_new &= tried != earlier
                attempt(tried, is_new)
                seen.append(tried)
        radius = max(self._height, self._width) if is_wide else 0
        while radius:
            dy, dx = torch.randint(-radius, radius + 1, (2, len(best)), generator=self._random)
            rows, columns = self._position(best)
            rows, columns = rows + dy, columns + dx
            is_inside = (rows >= 0) & (rows < self._height) & (columns >= 0) & (columns < self._width)
            attempt(torch.where(is_inside, self._place(rows, columns), self._nowhere), is_inside)
            radius //= 2
        self._fill(best, best_errors)
        return best

    def on_map(self, places: Tensor) -> Tensor:
        """Rows and columns of `[P]` places as `[H,W,2]`, -1 outside the hole."""
        on_map = torch.full((self._height, self._width, 2), -1)
        on_map[self._rows, self._columns] = torch.stack(self._position(places), dim=1)
        return on_map

    def _fill(self, places: Tensor, errors: Tensor) -> None:
        """Colour each pixel of the hole as its own place and those of its neighbours say: the better one fits, the more
        it counts. The mean of several has less detail than each of them, and the next round would look for places as
        smooth; so it gets as much detail as they have."""
        weights = torch.exp(-errors / (2 * errors.median() + 1e-6)).clamp(min=1e-4)
        places, weights = torch.cat([places, self._nowhere]), torch.cat([weights, torch.zeros(1)])
        colours, wanted, total = (torch.zeros(len(errors), channels) for channels in (3, 1, 1))
        for (dy, dx), vote in zip(_PATCH, _VOTES, strict=True):
            voters = self._neighbours(-dy, -dx)
            votes = (vote * weights.index_select(0, voters))[:, None]
            theirs = places.index_select(0, voters) + self._distance(dy, dx)
            colours += votes * self._colours.index_select(0, theirs)
            wanted += votes * self._energy.index_select(0, theirs)
            total += votes
        self.picture = self.picture.clone()
        part, inside = self.picture[self._part], self._hole_in_part  # it shares the picture's memory
        part[inside] = (colours / total).T
        fine = detail(part)
        given = energy(fine)
        had = blur(given, _AROUND)
        given[inside] = (wanted / total).T
        gain = ((blur(given, _AROUND) + _EPSILON) / (had + _EPSILON)).sqrt().clamp(1, _MOST_GAIN)
        part[inside] = (part + (gain - 1) * fine)[inside].clamp(0, 1)

    def _wanted(self) -> Tensor:
        """`[P,29]`: what the hole's pixels hold around them, and where they are."""
        triples = _triples(_with_margin(self.picture))
        rows = [triples.index_select(0, self._pixels + self._distance(*shift)) for shift in _PATCH[::3]]
        return torch.cat([*rows, self._here], dim=1)

    def _errors(self, wanted: Tensor, places: Tensor) -> Tensor:
        """Of a place for each of the hole's pixels, `[P]`."""
        errors = [
            _squares(wanted, pixels, self._patches, here) + self._painted_errors(pixels, here)
            for pixels, here in zip(torch.arange(len(places)).split(_AT_ONCE), places.split(_AT_ONCE), strict=True)
        ]
        return torch.cat(errors)

    def _painted_errors(self, pixels: Tensor, places: Tensor) -> Tensor:
        """By the third measure alone, of `places` for some of the hole's `pixels`, both `[p]`."""
        squares = _squares(self._wanted_painted, pixels, self._painted, places)
        return self._trust.index_select(0, pixels) * squares

    def _neighbours(self, dy: int, dx: int) -> Tensor:
        """For each of the hole's pixels the number of the one so far away, `[P]`; P if that is none of them."""
        return self._numbers.index_select(0, self._pixels + self._distance(dy, dx))

    def _distance(self, dy: int, dx: int) -> int:
        """From a pixel to the one so far away, in numbers of pixels."""
        return dy * self._row + dx

    def _place(self, rows: Tensor, columns: Tensor | int) -> Tensor:
        return (rows + _MARGIN) * self._row + columns + _MARGIN

    def _position(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns, the way back from `_place`."""
        rows = torch.from_numpy(places.numpy() // self._row)  # a fifth of the time that PyTorch takes
        return rows - _MARGIN, places - rows * self._row - _MARGIN

    def _lay_around(self, table: Tensor, colours: Tensor, shifts: list[tuple[int, int]]) -> None:
        """Write into the rows `[N,…]` of the picture's pixels, side by side, the rows of `colours` at the `shifts`."""
        first, size = self._distance(_MARGIN, _MARGIN), colours.shape[1]
        rows = table[first : len(table) - first]
        for number, shift in enumerate(shifts):
            start = first + self._distance(*shift)
            rows[:, number * size : (number + 1) * size] = colours[start : start + len(rows)]


def _with_margin(planes: Tensor) -> Tensor:
    """The colours `[N,C]` of `[C,H,W]`; the frame's last pixels go on in the margin."""
    picture = np.ascontiguousarray(planes.permute(1, 2, 0).numpy())
    wider = cv2.copyMakeBorder(picture, *(_MARGIN,) * 4, cv2.BORDER_REPLICATE)  # a tenth of PyTorch's time
    return torch.from_numpy(wider.reshape(-1, len(planes)))


def _triples(colours: Tensor) -> Tensor:
    """`[N-2,9]`: each pixel of `[N,3]` with the next two. It shares their memory."""
    return colours.as_strided((len(colours) - 2, 9), (3, 1))


def _where(condition: Tensor) -> Tensor:
    """The numbers of the places where `[p]` bool is True, by NumPy: a quarter of the time that `nonzero` takes."""
    return torch.from_numpy(np.flatnonzero(condition.numpy()))


def _squares(wanted: Tensor, pixels: Tensor, given: Tensor, places: Tensor) -> Tensor:
    """`[p]`: the squared distance of the rows `pixels` of `wanted` from the rows `places` of `given`."""
    # Gathered whole, rows take a quarter of the time that `wanted[pixels]` takes.
    return wanted.index_select(0, pixels).sub_(given.index_select(0, places)).square_().sum(1)

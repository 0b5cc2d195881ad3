"""What a window shows of its photo: the input of the networks, before any of them runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .edges import canny, to_gray
from .holes import plain_ground
from .pictures import Array, to_float
from .windows import Window

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """What a window shows of its photo, at the size it is worked on.

    Args:
        picture (`int`): the photo's place in the list.
        window (`Window`): where it looks.
        colour (`np.ndarray`): `[h,w,3]` RGB float32 in [0,1].
        hole (`np.ndarray`): `[h,w]` bool, True in the holes that the window repaints.
        unknown (`np.ndarray`): `[h,w]` bool, True in all holes and where the photo is fully transparent.
        sigma (`float`): Canny's.
    """

    picture: int
    window: Window
    colour: Floats
    hole: Bools
    unknown: Bools
    sigma: float

    @cached_property
    def gray(self) -> Floats:
        """`[h,w]` in [0,1]."""
        return to_gray(self.colour)

    @cached_property
    def known_edges(self) -> Floats:
        """Canny's lines `[h,w]` of what is known."""
        return canny(self.gray, self.unknown, self.sigma)

    @cached_property
    def is_gray(self) -> bool:
        """Whether all known pixels are gray: so is the hole, then."""
        known = self.colour[~self.unknown]  # [P,3]
        return bool((known == known[:, :1]).all())

    @cached_property
    def _ground(self) -> Floats | None:
        return plain_ground(self.colour, self.hole, self.unknown)

    def ground(self, lines: Floats) -> Floats | None:
        """The ground `[h,w,3]` that its hole lies on, if it is plain and `lines` `[h,w]` leaves the hole empty."""
        return None if (lines[self.hole] >= 0.5).any() else self._ground

    def composite(self, pred_image: Floats) -> Floats:
        """The photo with `pred_image` `[h,w,3]` where it is unknown: gray where the photo is."""
        if self.is_gray:
            pred_image = np.repeat(to_gray(pred_image)[..., None], 3, axis=2)
        return np.where(self.unknown[..., None], pred_image, self.colour)

    def lines_of(self, line_maps: Sequence[Array]) -> Floats:
        """Its part `[h,w]` float32 of the photos' line maps."""
        return self.window.reduce_lines(to_float(line_maps[self.picture][self.window.view_slices]))

    def hints_of(self, hints: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Its part of the photos' colour hints `[H,W,4]`: colours `[h,w,3]` and their strength in its hole `[h,w]`."""
        shown = hints[self.picture][self.window.view_slices]
        strength = shown[..., 3:]
        reduced = self.window.reduce_image(strength)[..., 0]
        weighted = self.window.reduce_image(shown[..., :3] * strength)  # colours without strength are arbitrary
        colours = weighted / np.maximum(reduced, np.finfo(np.float32).tiny)[..., None]
        return colours.astype(np.float32), reduced * self.hole

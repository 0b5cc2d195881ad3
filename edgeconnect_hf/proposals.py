"""Several answers: what the edge generator is shown is varied, within what a person might have meant."""

from dataclasses import dataclass
from numbers import Integral

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .edges import HIGH_THRESHOLD, LOW_THRESHOLD, canny
from .views import Floats, View

MAX_PROPOSALS = 4

_GRAIN = 8  # pixels between independent values of the noise


@dataclass(frozen=True)
class Proposal:
    """How the input of the edge generator differs from the usual.

    Args:
        sigma (`float`): times Canny's own: larger, fewer known lines.
        thresholds (`float`): times Canny's own: larger, fewer known lines.
        shortest (`int`): known lines of fewer pixels are left out.
        noise (`float`): standard deviation of smooth noise on the known gray.
        mirrored (`bool`): the generator sees the view as in a mirror.
    """

    sigma: float = 1.0
    thresholds: float = 1.0
    shortest: int = 0
    noise: float = 0.0
    mirrored: bool = False

    def see(
        self, view: View, known: Floats, is_canny: bool, generator: torch.Generator | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What the edge generator sees of a view: gray and known lines, `[h,w]` each.

        Args:
            view (`View`): the view.
            known (`np.ndarray`): its usual known lines `[h,w]`.
            is_canny (`bool`): whether they are Canny's, so that its settings count.
            generator (`torch.Generator`, *optional*): of the noise; by default PyTorch's own.
        """
        gray = view.gray
        if is_canny and (self.sigma, self.thresholds) != (1, 1):
            thresholds = LOW_THRESHOLD * self.thresholds, HIGH_THRESHOLD * self.thresholds
            known = canny(gray, view.unknown, self.sigma * view.sigma, thresholds)
        if self.shortest:
            known = _without_short(known, self.shortest)
        if self.noise:
            gray = np.clip(gray + self.noise * _smooth_noise(gray.shape, generator), 0, 1)
        return gray, known


AS_IT_IS = Proposal()
_OTHERS = (
    Proposal(sigma=1.5, shortest=24, noise=0.06, mirrored=True),
    Proposal(sigma=0.6, thresholds=0.7, noise=0.06),
    Proposal(sigma=1.5, thresholds=1.6, shortest=48, noise=0.1),
)


def proposals(number: int) -> tuple[Proposal, ...]:
    """The first `number`, of which the first varies nothing."""
    return (AS_IT_IS, *_OTHERS)[:number]


def check_proposals(num_proposals: int, generator: torch.Generator | None) -> None:
    """Refuse what is no number of proposals, and what is no generator."""
    if not (isinstance(num_proposals, Integral) and 1 <= num_proposals <= MAX_PROPOSALS):
        raise ValueError(f"`num_proposals` must be a whole number from 1 to {MAX_PROPOSALS}: got {num_proposals!r}.")
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise TypeError(f"`generator` must be a torch.Generator: got a {type(generator).__name__}.")


def _without_short(lines: Floats, shortest: int) -> Floats:
    """`lines` `[h,w]` without connected ones of fewer pixels."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((lines > 0).astype(np.uint8), connectivity=8)
    return lines * (stats[:, cv2.CC_STAT_AREA] >= shortest)[parts]


def _smooth_noise(size: tuple[int, ...], generator: torch.Generator | None) -> Floats:
    """`[h,w]`, of mean 0; on the generator's device, so that it accepts the call."""
    coarse = [-(-side // _GRAIN) + 1 for side in size]
    device = "cpu" if generator is None else generator.device
    drawn = torch.randn(coarse, generator=generator, device=device).cpu().numpy()
    return np.asarray(cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)

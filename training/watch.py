"""What a person should hear of while a run goes on: lines that stay a haze, a discriminator that wins or loses."""

import logging
import math
from collections.abc import Mapping

from training.config import TrainingConfig

_LOW_RECALL, _PATIENCE = 0.02, 500  # updates
_WINDOW = 200  # updates over which D's losses are averaged
_INDIFFERENT = {"nsgan": math.log(2), "lsgan": 0.25, "hinge": 1.0}  # D's loss where it scores everything alike
_WON, _LOST = 0.1, 0.98  # of that loss

logger = logging.getLogger(__name__)


class Watch:
    """Warns once where the recall of lines stays low, and each time that a discriminator begins to win or to lose.

    Args:
        config (`TrainingConfig`): the run's settings.
        step (`int`): updates before the run began or was resumed.
    """

    def __init__(self, config: TrainingConfig, step: int):
        self.config = config
        self.indifferent = _INDIFFERENT[config.adversarial_loss]
        self.last_good: int | None = step  # update at which recall was not low; None once it has been said
        self.sums: dict[str, float] = {}
        self.verdicts: dict[str, str] = {}
        self.counted = 0

    def see_losses(self, losses: Mapping[str, float]) -> None:
        """Takes the losses of one update."""
        for name in losses.keys() & {"discriminator", "edge_discriminator"}:
            self.sums[name] = self.sums.get(name, 0.0) + losses[name]
        self.counted += 1
        if self.counted < _WINDOW:
            return
        for name, total in self.sums.items():
            self._judge(name, total / _WINDOW)
        self.sums, self.counted = {}, 0

    def see_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics after update `step`."""
        if "recall" not in metrics or self.last_good is None:
            return
        if metrics["recall"] >= _LOW_RECALL:
            self.last_good = step
        elif step - self.last_good >= _PATIENCE:
            self.last_good = None
            logger.warning(
                "Recall of the lines in the hole has been below %s for %d updates: G1 draws a haze below one half, not "
                "lines. %s",
                _LOW_RECALL,
                _PATIENCE,
                self._advice(),
            )

    def _advice(self) -> str:
        if self.config.edge_loss_weights.adversarial:
            return (
                "The discriminator moves too little: raise `discriminator_learning_rate_factor` to 1 and "
                "`learning_rate` to 2e-4 with `adversarial_loss` hinge, from a G1 that cross-entropy has trained first "
                "(training/recipes/cpu-edge.yaml)."
            )
        return (
            "Cross-entropy alone ends so; lines come in a phase after it, with `edge_loss_weights.adversarial` 1 and "
            "`edge_loss_weights.feature_matching` 10 (training/recipes/cpu-edge.yaml)."
        )

    def _judge(self, name: str, loss: float) -> None:
        share = loss / self.indifferent
        verdict = "wins" if share < _WON else "loses" if share > _LOST else ""
        if verdict and verdict != self.verdicts.get(name):
            consequence = (
                "the generators learn little from it: lower"
                if verdict == "wins"
                else "it hardly tells true from drawn: raise"
            )
            logger.warning(
                "The %s %s: over %d updates its loss is %.2g, %.2g where it scores everything alike; %s "
                "`discriminator_learning_rate_factor` (%g) if that lasts.",
                name.replace("_", " "),
                verdict,
                _WINDOW,
                loss,
                self.indifferent,
                consequence,
                self.config.discriminator_learning_rate_factor,
            )
        self.verdicts[name] = verdict

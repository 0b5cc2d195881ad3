"""Validation on fixed images and holes, and the best weights that it has seen."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from training.checkpoints.files import read_json, write_json
from training.config import TrainingConfig
from training.data.loader import Batch
from training.ema import published_weights
from training.evaluation.metrics import edge_f1
from training.logs import Logs, join_batches
from training.networks import GENERATORS, pipeline_settings, save_networks
from training.stages import STAGES

BEST = "best"  # folder of the best weights within `output_dir`
_SCORE_FILE = "score.json"  # in it
_SIGNS = {"feature_distance": -1, "psnr": 1, "f1": 1}  # the first that a stage has decides; -1: less is better

logger = logging.getLogger(__name__)


class Validation:
    """Measures the weights to be published, logs what they make of fixed images, and keeps the best. On one process.

    Args:
        config (`TrainingConfig`): the run's settings.
        networks (`Mapping[str, nn.Module]`): all networks by name, not wrapped, so that no other process is needed.
        ema (`EMAModel`, *optional*): the moving average of the generators.
        batches (`Sequence[Batch]`): the validation samples.
        names (`Sequence[str]`): of the samples.
        logs (`Logs`): of the run.
        is_resumed (`bool`): whether the run continues, and so the best weights so far count.

    Raises:
        ValueError: the score of the best weights so far cannot be read.
    """

    def __init__(
        self,
        config: TrainingConfig,
        networks: Mapping[str, nn.Module],
        ema: EMAModel | None,
        batches: Sequence[Batch],
        names: Sequence[str],
        logs: Logs,
        is_resumed: bool,
    ):
        self.config = config
        self.networks = networks
        self.stage = STAGES[config.stage](networks, config)
        self.ema = ema
        self.batches = batches
        self.names = names
        self.logs = logs
        self.folder = Path(config.output_dir) / BEST
        self.best: dict[str, float] = {}  # `step`, and the score by its name
        self.last: dict[str, float] = {}
        if is_resumed and self.folder.exists():
            self.best = read_json(self.folder / _SCORE_FILE)

    @torch.no_grad()
    def run(self, step: int) -> None:
        """Validates the weights after `step` updates, unless that has just been done."""
        if step == self.last.get("step"):
            return
        batch = join_batches(self.batches)
        with published_weights([self.networks[name] for name in self.stage.generators], self.ema):
            predicted = join_batches([self.stage.predict(batch) for batch in self.batches])
            scores = self.stage.scores(batch, predicted)
            by_hole = f1_by_hole(batch, predicted) if "f1" in scores else {}
            self.logs.log_validation(batch, predicted, self.stage, self.names, {**scores, **by_hole})
            name = _decisive(scores)
            self.last = {"step": step, name: scores[name], **by_hole}
            if name not in self.best or _SIGNS[name] * (scores[name] - self.best[name]) > 0:
                self.best = self.last
                self._keep()

    def _keep(self) -> None:
        """Writes the pipeline and its score to `best`; those before stay until it is whole."""
        partial, replaced = (self.folder.with_name(f".{BEST}.{kind}") for kind in ("partial", "replaced"))
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        generators = {name: self.networks[name] for name in GENERATORS if name in self.networks}
        save_networks(generators, partial, **pipeline_settings(self.config))
        write_json(partial / _SCORE_FILE, self.best)
        if self.folder.exists():
            self.folder.rename(replaced)
        partial.rename(self.folder)
        shutil.rmtree(replaced, ignore_errors=True)

    def say_best(self) -> None:
        """Logs which weights were best, and where they are."""
        name = _decisive(self.last)
        if self.best == self.last:
            logger.info("The last weights are the best: validation %s %.4g.", name, self.last[name])
        else:
            logger.info(
                "The weights after update %d were better than the last: validation %s %.4g, at the end %.4g. They are "
                "in %s, a pipeline like the result.",
                self.best["step"],
                name,
                self.best[name],
                self.last[name],
                self.folder,
            )


def f1_by_hole(batch: Mapping[str, Tensor], predicted: Mapping[str, Tensor]) -> dict[str, float]:
    """`edge_f1` of the images whose hole is of about the same size: `f1_hole_20_30` is of 20 to 30 % of an image.

    Args:
        batch (`Mapping[str, torch.Tensor]`): `edges` and `mask` `[N,1,H,W]`.
        predicted (`Mapping[str, torch.Tensor]`): `pred_edges` `[N,1,H,W]`.
    """
    edges, pred_edges, mask = batch["edges"], predicted["pred_edges"], batch["mask"]
    tens = (mask.mean(dim=(1, 2, 3)) * 10).long()  # [N]
    values = {}
    for ten in tens.unique().tolist():
        chosen = tens == ten
        values[f"f1_hole_{10 * ten}_{10 * ten + 10}"] = edge_f1(edges[chosen], pred_edges[chosen], mask[chosen])
    return values


def _decisive(scores: Mapping[str, float]) -> str:
    """The name of the score that decides which weights are best."""
    return next(name for name in _SIGNS if name in scores)

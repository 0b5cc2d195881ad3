"""Runs that follow each other, each from the result of the one before: the phases of a recipe, or the three stages."""

import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.hub.card import VALIDATION_GRID, local_name, with_location
from training.checkpoints.folders import choose_checkpoint, find_checkpoints
from training.config import Stage, TrainingConfig
from training.data.rows import load_rows
from training.networks import DISCRIMINATORS, GENERATORS, find_generators, needed_generators, needs_vgg
from training.validation import BEST
from training.vgg import load_vgg

_TRAINED = {"edge": {"edge_generator"}, "completion": {"completion_generator"}, "joint": set(GENERATORS)}
_MARK = EdgeConnectPipeline.config_name  # the last file of a result
_ABOUT = ("README.md", "training_config.yaml", VALIDATION_GRID)


@dataclass(frozen=True)
class Run:
    """One of the runs that follow each other.

    Args:
        title (`str`): what messages call it, with a capital.
        config (`TrainingConfig`): its settings, with the folder of its own and the model that it starts from.
    """

    title: str
    config: TrainingConfig

    @property
    def folder(self) -> Path:
        """The run's `output_dir`."""
        return Path(self.config.output_dir)

    def is_finished(self) -> bool:
        """Whether the run has written its result."""
        return (self.folder / _MARK).exists()

    def has_checkpoints(self) -> bool:
        """Whether the run can be resumed, finished or not."""
        return bool(find_checkpoints(self.folder))


def plan_runs(phases: Sequence[TrainingConfig]) -> list[Run]:
    """The runs that `phases`, or the stage `all` of a single one, consist of, in order.

    Phases write to `phase-1`, `phase-2`, … within `output_dir`; with `stage` all, the edge and completion stages write
    to `edge` and `completion` within it, the joint stage to `output_dir` itself. Each run starts from the result of the
    one before, the last one is pushed.

    Args:
        phases (`Sequence[TrainingConfig]`): the settings of each phase, all with the same `output_dir`.
    """
    output_dir = Path(phases[0].output_dir)
    if len(phases) > 1:
        count, hub_model_id = len(phases), phases[0].hub_model_id or output_dir.resolve().name
        folders = [output_dir / f"phase-{number}" for number in range(1, count + 1)]
        titles = [f"Phase {number} of {count}" for number in range(1, count + 1)]
        configs = [dataclasses.replace(phase, hub_model_id=hub_model_id) for phase in phases]
    elif phases[0].stage == "all":
        stages: tuple[Stage, ...] = ("edge", "completion", "joint")
        folders = [output_dir / "edge", output_dir / "completion", output_dir]
        titles = [f"The {stage} stage" for stage in stages]
        configs = [dataclasses.replace(phases[0], stage=stage) for stage in stages]
    else:
        folders, titles, configs = [output_dir], [f"The {phases[0].stage} stage"], [*phases]
    starts = [phases[0].pretrained_model_name_or_path, *map(str, folders)]
    return [
        Run(
            title,
            dataclasses.replace(
                config,
                output_dir=str(folder),
                pretrained_model_name_or_path=start,
                push_to_hub=config.push_to_hub and folder == folders[-1],
            ),
        )
        for title, folder, start, config in zip(titles, folders, starts, configs, strict=False)
    ]


def check_runs(runs: Sequence[Run]) -> None:
    """Finds out before the first run whether a later one could not begin.

    Raises:
        ValueError: a run needs a generator that no run before it gives, or its data set cannot be loaded.
        FileExistsError: a run's folder holds checkpoints, and `resume_from_checkpoint` is not given.
        FileNotFoundError: a run needs VGG19's weights, and there are none.
    """
    held = find_generators(runs[0].config.pretrained_model_name_or_path)
    for run in runs:
        config = run.config
        if missing := sorted(needed_generators(config) - held):
            raise ValueError(
                f"{run.title} needs {' and '.join(missing)}, which neither `pretrained_model_name_or_path` "
                "nor a phase before it gives."
            )
        held |= _TRAINED[config.stage]
        if config.resume_from_checkpoint is None:
            choose_checkpoint(run.folder, None)
        if run is not runs[0]:  # whose trainer follows at once
            load_rows(config, config.split)
    for weights in {run.config.vgg_weights for run in runs if needs_vgg(run.config)}:
        load_vgg(weights, normalize=False)


def copy_result(folder: Path, output_dir: Path) -> None:
    """Copies a run's result to `output_dir`, the file that marks it as whole last; checkpoints and logs stay."""
    (output_dir / _MARK).unlink(missing_ok=True)
    _copy(folder, output_dir, (*GENERATORS, *DISCRIMINATORS, BEST, *_ABOUT, _MARK))


def join_results(edge: Path, completion: Path, output_dir: Path) -> None:
    """Writes G1 and D1 of one run and G2 and D2 of another as one pipeline, the file that marks it as whole last.

    Card, settings and validation grid are those of the second run, as where a stage follows another.
    """
    (output_dir / _MARK).unlink(missing_ok=True)
    _copy(edge, output_dir, ("edge_discriminator",))
    _copy(completion, output_dir, ("completion_discriminator", *_ABOUT))
    pipeline = EdgeConnectPipeline.from_pretrained(completion)
    pipeline.register_modules(edge_generator=EdgeConnectPipeline.from_pretrained(edge).edge_generator)
    pipeline.save_pretrained(output_dir)


def _copy(folder: Path, output_dir: Path, names: Iterable[str]) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, output_dir / name, dirs_exist_ok=True)
        elif (folder / name).exists():
            shutil.copyfile(folder / name, output_dir / name)
    card = output_dir / "README.md"
    if card.exists():  # its example names the folder
        card.write_text(with_location(card.read_text(encoding="utf-8"), local_name(output_dir)), encoding="utf-8")

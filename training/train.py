"""Train EdgeConnect: `accelerate launch training/train.py --stage edge --train_data_dir FOLDER` (docs/training.md)."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from accelerate import PartialState
from safetensors import SafetensorError

from edgeconnect_hf.hub import PushError
from training.checkpoints.folders import find_latest
from training.config import TrainingConfig
from training.flags import parse_training_config
from training.memory import keep_freed_memory
from training.phases import check_runs, copy_result, plan_runs
from training.publish import push_line
from training.trainer import NonFiniteError, Trainer

logger = logging.getLogger(__name__)


def train(*phases: TrainingConfig) -> None:
    """Trains one stage, or several runs that follow each other: see `plan_runs`.

    A resumed training skips the runs that are finished. The last one is resumed all the same, so that it can be
    extended, and so that a push that was cut off is done again.

    Args:
        phases (`TrainingConfig`): the settings, of each phase if there are several.

    Raises:
        ValueError, FileExistsError, FileNotFoundError, NonFiniteError, PushError: see `check_runs` and `Trainer`.
    """
    output_dir, runs = Path(phases[0].output_dir), plan_runs(phases)
    check_runs(runs)
    for run in runs:
        is_last = run is runs[-1]
        is_resumed = run.config.resume_from_checkpoint is not None
        if is_resumed and run.is_finished() and not (is_last and run.has_checkpoints()):
            logger.info("%s is finished in %s: skipped.", run.title, run.folder)
            continue
        if len(runs) > 1:
            logger.info("%s, in %s.", run.title, run.folder)
        if not Trainer(run.config).run():
            return
    if runs[-1].folder != output_dir and PartialState().is_main_process:
        copy_result(runs[-1].folder, output_dir)
        logger.info("The result of the last phase is in %s.", output_dir)
    if phases[-1].stage != "edge":  # G1 alone paints nothing to show
        logger.info("To share it, with a page that shows it: %s", push_line(output_dir, phases[-1]))


def _what_stays(error: Exception, phases: Sequence[TrainingConfig]) -> str:
    """For an error of the system, as a full disk: what a run has written and keeps."""
    if isinstance(error, OSError) and error.errno is None:  # one of ours, whose message says all
        return ""
    written = [checkpoint for run in plan_runs(phases) if (checkpoint := find_latest(run.folder)) is not None]
    if not written:
        return ". No checkpoint has been written yet."
    return f". {written[-1]} is whole: continue from it with `--resume_from_checkpoint latest`."


def main() -> None:
    """The command line: reads the settings and trains; an error ends it with a message and status 1."""
    phases = parse_training_config()
    is_main = os.environ.get("RANK", "0") == "0"  # asking accelerate this early would lose the CPU flag
    logging.basicConfig(level=logging.INFO if is_main else logging.ERROR, format="%(message)s")
    keep_freed_memory()
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # it logs every file of a checkpoint
    try:
        train(*phases)
    except (ValueError, NonFiniteError, PushError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    except (OSError, SafetensorError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}{_what_stays(error, phases)}") from error
    finally:
        PartialState().destroy_process_group()


if __name__ == "__main__":
    main()

"""Train EdgeConnect: `accelerate launch training/train.py --stage edge --train_data_dir FOLDER` (docs/training.md)."""

import dataclasses
import logging
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from accelerate import PartialState

from edgeconnect_hf.hub import PushError
from training.config import Stage, TrainingConfig
from training.flags import parse_training_config
from training.trainer import NonFiniteError, Trainer

logger = logging.getLogger(__name__)


def train(config: TrainingConfig) -> None:
    """Trains one stage, or all three one after the other.

    With `--stage all`, the edge and completion stages write to `edge` and `completion` within `output_dir`, and each
    stage starts from the result of the one before. A resumed run skips finished stages.

    Raises:
        ValueError, FileExistsError, NonFiniteError, PushError: see `Trainer`.
    """
    if config.stage != "all":
        Trainer(config).run()
        return
    output_dir = Path(config.output_dir)
    folders: dict[Stage, Path] = {
        "edge": output_dir / "edge",
        "completion": output_dir / "completion",
        "joint": output_dir,
    }
    for stage, folder in folders.items():
        if config.resume_from_checkpoint is not None and (folder / "model_index.json").exists():
            logger.info("The %s stage is finished in %s: skipped.", stage, folder)
        else:
            stage_config = dataclasses.replace(
                config, stage=stage, output_dir=str(folder), push_to_hub=config.push_to_hub and stage == "joint"
            )
            if not Trainer(stage_config).run():
                return
        config = dataclasses.replace(config, pretrained_model_name_or_path=str(folder))


def main() -> None:
    """The command line: reads the settings and trains; an error ends it with a message and status 1."""
    config = parse_training_config()
    is_main = os.environ.get("RANK", "0") == "0"  # asking accelerate this early would lose the CPU flag
    logging.basicConfig(level=logging.INFO if is_main else logging.ERROR, format="%(message)s")
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # it logs every file of a checkpoint
    try:
        train(config)
    except (ValueError, FileExistsError, FileNotFoundError, NonFiniteError, PushError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    finally:
        PartialState().destroy_process_group()


if __name__ == "__main__":
    main()

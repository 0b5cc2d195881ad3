"""The card of a trained model, and its push to the Hub."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml
from huggingface_hub import DatasetCard, metadata_load
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

from edgeconnect_hf.hub import PushError, push_folder
from edgeconnect_hf.hub.card import VALIDATION_SECTION, write_model_card
from edgeconnect_hf.loading import is_hub_id
from training.config import TrainingConfig, without_local_paths

_TRAINS = {
    "edge": "The edge generator; the completion generator, if there is one, is from the run before.",
    "completion": "The completion generator; the edge generator, if there is one, is from the run before.",
    "joint": "Both generators, trained end to end in the last stage.",
}


def write_card(
    output_dir: Path, config: TrainingConfig, *, step: int, samples: int, minutes: float, logged: Mapping[str, float]
) -> None:
    """Writes `README.md`: data, settings, last losses and validation grid of a run.

    Args:
        output_dir (`Path`): the pipeline's folder, which holds `validation.png`.
        config (`TrainingConfig`): the run's settings.
        step, samples, minutes: length of the training in updates, images and minutes.
        logged (`Mapping[str, float]`): the last losses and metrics by name.
    """
    settings = without_local_paths(config)
    data = settings["dataset_name"] or settings["train_data_dir"]
    on_hub = config.dataset_name is not None and not Path(config.dataset_name).exists()
    source = f"`{data}`{_licence(data) if on_hub else ''}"
    table = "\n".join(f"| {name} | {value:.4g} |" for name, value in logged.items())
    write_model_card(
        output_dir,
        summary=f"{_TRAINS[config.stage]} Trained with `training/train.py` of edgeconnect_hf.",
        license=config.license,
        base_model=_base_model(config),
        datasets=[data] if on_hub else [],
        sections={
            "Training": f"{config.stage.capitalize()} stage on {source}: {step} updates, {samples} images of "
            f"{config.resolution}x{config.resolution} pixels, {minutes:.1f} minutes.",
            "Losses at the end": f"On the last batch looked at.\n\n| name | value |\n|---|---|\n{table}",
            **VALIDATION_SECTION,
            "Settings": f"```yaml\n{yaml.safe_dump(settings, sort_keys=False)}```",
        },
    )


def _base_model(config: TrainingConfig) -> str | None:
    """The Hub's model that a run was fine-tuned from, if need be over the stages before it."""
    start = config.pretrained_model_name_or_path
    if start is None or not Path(start).is_dir():
        return start if start is not None and is_hub_id(start) else None
    card = Path(start) / "README.md"
    base: str | None = (metadata_load(card) or {}).get("base_model") if card.is_file() else None
    return base


def _licence(dataset: str) -> str:
    """In words, the licence on a data set's card; nothing if there is none, or the Hub cannot be reached."""
    try:
        licence = DatasetCard.load(dataset).data.license
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError):
        return ""
    return f" (licence on its card: {licence})" if licence else ""


def push_line(output_dir: Path, config: TrainingConfig) -> str:
    """The command that publishes a finished pipeline and a Space that shows it."""
    model = config.hub_model_id or f"USER/{output_dir.resolve().name}"
    return shlex.join(["edgeconnect", "push", str(output_dir), model, "--space", f"{model}-demo"])


def push(output_dir: Path, config: TrainingConfig) -> str:
    """Pushes the finished pipeline to the Hub.

    Returns:
        The URL of the commit.

    Raises:
        PushError: the Hub refused the push or could not be reached; the message says how to push later.
    """
    model = config.hub_model_id or output_dir.resolve().name
    try:
        message = f"Upload the result of the {config.stage} stage"
        return push_folder(
            output_dir,
            model,
            private=config.hub_private_repo or None,
            commit_message=message,
            push_validation_pictures=config.push_validation_pictures,
        )
    except PushError as error:
        flags = {"--private": config.hub_private_repo, "--push-validation-pictures": config.push_validation_pictures}
        later = ["edgeconnect", "push", str(output_dir), model, *(flag for flag, is_set in flags.items() if is_set)]
        raise PushError(
            f"{error}\nThe model is complete in {str(output_dir)!r}. To push it later: {shlex.join(later)}"
        ) from error

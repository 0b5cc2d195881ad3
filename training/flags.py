"""Settings from a command line: one flag for each field of a settings class, explained by the field's docstring."""

import argparse
import json
from collections.abc import Collection, Sequence
from typing import Any

from jsonargparse import ArgumentParser, set_parsing_settings

from training.config import SharedConfig, TrainingConfig

# What a phase of a recipe may not set for itself.
_OF_ALL_PHASES = {
    "output_dir",
    "pretrained_model_name_or_path",
    "resume_from_checkpoint",
    "push_to_hub",
    "push_validation_pictures",
    "hub_model_id",
    "hub_private_repo",
    "license",
    "recipe",
    "phases",
}


def make_parser(
    config_class: type[SharedConfig], prog: str, description: str, skip: Collection[str] = ()
) -> ArgumentParser:
    """A parser with a flag for each setting of `config_class` that is not in `skip`.

    It accepts no abbreviations. A flag of type bool may stand alone: `--streaming` is `--streaming true`.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=prog, allow_abbrev=False, description=description)
    parser.add_class_arguments(config_class, skip=set(skip))
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:
            action.nargs, action.const = "?", True
    return parser


def parse_training_config(arguments: Sequence[str] | None = None) -> list[TrainingConfig]:
    """Settings of a training: `--recipe FILE.yaml`, and flags that override it wherever they stand.

    A recipe's `phases` is a list of settings: one training for each, in order, with the rest of the recipe where the
    phase does not say otherwise. Flags override every phase.

    An unknown flag, an unknown key of the recipe, a wrong type or a value out of its range ends the program with a
    message and status 2.

    Args:
        arguments (`Sequence[str]`, *optional*): the command line without the program; by default the process's own.

    Returns:
        The settings of each phase; of the whole training, if there are none.
    """
    parser = make_parser(TrainingConfig, "train.py", "Train EdgeConnect (see docs/training.md).")
    parser.add_argument("--recipe", action="config", help="YAML file with any of these settings.")
    parser.add_argument(
        "--phases",
        type=list[dict[str, Any]],
        default=[],
        help="In a recipe: a list of settings that override the others, of phases that follow each other.",
    )
    # jsonargparse lets the later of recipe and flags win, so the recipe is moved to the front.
    recipes = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    recipes.add_argument("--recipe", action="append", default=[])
    given, flags = recipes.parse_known_args(arguments)
    recipe = [f"--recipe={path}" for path in given.recipe]
    phases = parser.parse_args([*recipe, *flags]).phases
    parser.exit_on_error = False  # raise, so that a message can say which phase is wrong
    configs = []
    for number, phase in enumerate(phases or [{}], start=1):
        try:
            if strays := sorted(phase.keys() & _OF_ALL_PHASES):
                raise ValueError(
                    f"{', '.join(f'`{name}`' for name in strays)} is for all phases: set it beside `phases`."
                )
            settings = parser.parse_args([*recipe, f"--recipe={json.dumps(phase, default=str)}", *flags])
            del settings["recipe"], settings["phases"]
            config = TrainingConfig(**vars(parser.instantiate(settings)))
            if phases and config.stage == "all":
                raise ValueError("`stage` is 'all', expected edge, completion or joint.")
            configs.append(config)
        except (argparse.ArgumentError, ValueError) as error:
            parser.exit_on_error = True
            parser.error(f"phase {number} of `phases`: {error}" if phases else str(error))
    return configs

"""Settings from a command line: one flag for each field of a settings class, explained by the field's docstring."""

import argparse
from collections.abc import Collection, Sequence

from jsonargparse import ArgumentParser, set_parsing_settings

from training.config import SharedConfig, TrainingConfig


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


def parse_training_config(arguments: Sequence[str] | None = None) -> TrainingConfig:
    """Settings of a training run: `--recipe FILE.yaml`, and flags that override it wherever they stand.

    An unknown flag, an unknown key of the recipe, a wrong type or a value out of its range ends the program with a
    message and status 2.

    Args:
        arguments (`Sequence[str]`, *optional*): the command line without the program; by default the process's own.
    """
    parser = make_parser(TrainingConfig, "train.py", "Train EdgeConnect (see docs/training.md).")
    parser.add_argument("--recipe", action="config", help="YAML file with any of these settings.")
    # jsonargparse lets the later of recipe and flags win, so the recipe is moved to the front.
    recipes = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    recipes.add_argument("--recipe", action="append", default=[])
    given, flags = recipes.parse_known_args(arguments)
    settings = parser.parse_args([*(f"--recipe={recipe}" for recipe in given.recipe), *flags])
    settings.pop("recipe")
    try:
        return TrainingConfig(**vars(parser.instantiate(settings)))
    except ValueError as error:
        parser.error(str(error))

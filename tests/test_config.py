"""Settings: defaults, recipes, flags, and what is refused."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import yaml

from training.config import (
    CompletionLossWeights,
    DataConfig,
    EdgeLossWeights,
    SharedConfig,
    TrainingConfig,
    save_config,
)
from training.evaluation.config import EvaluationConfig
from training.flags import parse_training_config

RECIPES = sorted((Path(__file__).parents[1] / "training" / "recipes").glob("*.yaml"))
NEEDED = {"train_data_dir": "photos", "max_train_steps": 10}
FLAGS = ["--train_data_dir", "photos", "--max_train_steps", "10"]


def test_defaults_are_the_papers():
    config = TrainingConfig(**NEEDED)
    assert (config.learning_rate, config.joint_learning_rate) == (1e-4, 1e-6)
    assert (config.adam_beta1, config.adam_beta2) == (0.0, 0.9)
    assert config.discriminator_learning_rate_factor == 0.1
    assert (config.resolution, config.train_batch_size, config.sigma) == (256, 8, 2.0)
    assert dataclasses.asdict(config.edge_loss_weights) == {
        "adversarial": 1,
        "feature_matching": 10,
        "cross_entropy": 0,
    }
    weights = {"l1": 1, "hole_l1": 0, "adversarial": 0.1, "perceptual": 0.1, "style": 250, "feature_matching": 0}
    assert dataclasses.asdict(config.completion_loss_weights) == weights


def test_flags_override_the_recipe_wherever_they_stand(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("learning_rate: 1e-3\nseed: 7\nstreaming: false\ncompletion_loss_weights:\n  style: 3\n")
    (config,) = parse_training_config(["--learning_rate=2e-4", *FLAGS, "--streaming", "--recipe", str(recipe)])
    assert config.learning_rate == 2e-4
    assert config.seed == 7
    assert config.streaming is True
    assert (config.completion_loss_weights.style, config.completion_loss_weights.l1) == (3, 1)


def test_nested_flags_and_switches():
    (config,) = parse_training_config(
        [*FLAGS, "--completion_loss_weights.style", "5", "--random_flip", "false", "--push_to_hub"]
    )
    assert config.completion_loss_weights.style == 5
    assert (config.random_flip, config.push_to_hub) == (False, True)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rat", "1e-3"], "--learning_rat"),
        (["--max_train", "3"], "--max_train"),  # no abbreviations
        (["--edge_loss_weights.style", "1"], "style"),
        (["--learning_rate", "fast"], "learning_rate"),
        (["--stage", "both"], "stage"),
        (["--sigma", "-2"], "`sigma` is -2.0"),
    ],
)
def test_wrong_flags_end_the_program_with_a_message(flags, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_training_config([*FLAGS, *flags])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["learning_rat: 1e-3", "edge_loss_weights:\n  style: 1", "seed: many"])
def test_wrong_recipes_end_the_program_with_a_message(text, tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(SystemExit, match="2"):
        parse_training_config([*FLAGS, "--recipe", str(tmp_path / "recipe.yaml")])
    assert any(key in capsys.readouterr().err for key in ("learning_rat", "style", "seed"))


PHASES = """
learning_rate: 1e-3
edge_loss_weights: {cross_entropy: 1.5}
phases:
- {max_train_steps: 5, edge_loss_weights: {adversarial: 0}}
- {max_train_minutes: 2, learning_rate: 2e-4, resolution: 64, seed: 3}
"""


def test_phases_override_the_recipe_and_flags_override_both(tmp_path):
    (tmp_path / "recipe.yaml").write_text(PHASES)
    flags = ["--seed", "7", "--train_data_dir", "photos"]
    one, two = parse_training_config([*flags, "--recipe", str(tmp_path / "recipe.yaml")])
    assert (one.learning_rate, one.max_train_steps, one.max_train_minutes, one.resolution) == (1e-3, 5, None, 256)
    assert (two.learning_rate, two.max_train_steps, two.max_train_minutes, two.resolution) == (2e-4, None, 2, 64)
    assert (one.seed, two.seed) == (7, 7)
    assert one.edge_loss_weights == EdgeLossWeights(0, 10, 1.5)
    assert two.edge_loss_weights == EdgeLossWeights(1, 10, 1.5)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("{learning_rat: 1}", "phase 2 of `phases`: .*learning_rat"),
        ("{edge_loss_weights: {style: 1}}", "phase 2 of `phases`: .*style"),
        ("{resolution: many}", "phase 2 of `phases`: .*resolution"),
        ("{resolution: 61}", "phase 2 of `phases`: `resolution` is 61"),
        ("{}", "phase 2 of `phases`: one of `max_train_steps` and `max_train_minutes`"),
        ("{output_dir: elsewhere}", "phase 2 of `phases`: `output_dir` is for all phases"),
        ("{phases: []}", "phase 2 of `phases`: `phases` is for all phases"),
        ("{stage: all, max_train_steps: 1}", "phase 2 of `phases`: `stage` is 'all'"),
        ("3", "phases"),
    ],
)
def test_a_wrong_phase_is_named(phase, message, tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text(f"train_data_dir: photos\nphases: [{{max_train_steps: 1}}, {phase}]")
    with pytest.raises(SystemExit, match="2"):
        parse_training_config(["--recipe", str(tmp_path / "recipe.yaml")])
    assert re.search(message, capsys.readouterr().err, re.DOTALL)


@pytest.mark.parametrize(
    "settings",
    [
        {"train_data_dir": None},
        {"dataset_name": "user/photos"},
        {"max_train_steps": None},
        {"max_train_steps": 0},
        {"lr_scheduler": "linear"},
        {"thin_edges": True},
        {"checkpointing_minutes": 0},
        {"lr_scheduler": "cosine", "lr_drop_step": 5},
        {"edge_loss_weights": EdgeLossWeights(0, 0)},
        {"completion_loss_weights": CompletionLossWeights(l1=-1)},
        {"stage": "both"},
        {"mixed_precision": "fp8"},
        {"resolution": 62},
        {"resolution": 20},
        {"sigma": -0.5},
        {"sigma": -1, "stage": "edge"},
        {"sigma": -1, "stage": "completion", "edge_source": "mixed"},
        {"stage": "all", "resume_from_checkpoint": "runs/checkpoint-5"},
        {"hint_probability": 1.5},
        {"mask_rectangle": -1.0},
        {"mask_rectangle": 0.0, "mask_half": 0.0, "mask_irregular": 0.0},
        {"mask_external": 0.5},
        {"mask_dataset": "masks"},
        {"learning_rate": float("nan")},
    ],
)
def test_values_out_of_range_are_refused_by_name(settings):
    with pytest.raises(ValueError, match="|".join(settings)):
        TrainingConfig(**{**NEEDED, **settings})


def test_saved_settings_repeat_the_run(tmp_path):
    config = TrainingConfig(**NEEDED, stage="completion", learning_rate=1e-5, sigma=-1, max_grad_norm=0.5)
    save_config(config, tmp_path / "saved.yaml")
    assert parse_training_config(["--recipe", str(tmp_path / "saved.yaml")]) == [config]


def test_every_setting_says_what_it_means():
    for config_class in (SharedConfig, DataConfig, TrainingConfig, EvaluationConfig):
        (node,) = ast.parse(inspect.getsource(config_class)).body
        inherited = (
            {field.name for base in config_class.__bases__ for field in dataclasses.fields(base)}
            if (config_class is not SharedConfig)
            else set()
        )
        named = set()
        for position, statement in enumerate(node.body):
            if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.annotation).startswith("ClassVar"):
                named.add(statement.target.id)
                says = isinstance(node.body[position + 1], ast.Expr)  # an inherited setting keeps what its base says
                assert says or statement.target.id in inherited, f"{ast.unparse(statement)} has no meaning"
        assert {field.name for field in dataclasses.fields(config_class)} == named | inherited


def test_training_and_evaluation_inherit_what_they_share():
    shared = {field.name for field in dataclasses.fields(SharedConfig)}
    names = [{field.name for field in dataclasses.fields(config)} for config in (TrainingConfig, EvaluationConfig)]
    assert names[0] & names[1] - shared == {"output_dir"}  # their defaults and meanings differ


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_whole(recipe):
    settings = yaml.safe_load(recipe.read_text())
    given = [] if {"train_data_dir", "dataset_name"} & settings.keys() else ["--train_data_dir", "photos"]
    for config in parse_training_config(["--recipe", str(recipe), *given]):
        assert config.max_train_steps or config.max_train_minutes

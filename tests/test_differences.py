"""docs/differences.md names flags that exist, and paper.yaml sets the published values."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from edgeconnect_hf import EdgeConnectPipeline
from training.config import TrainingConfig
from training.evaluation.config import EvaluationConfig
from training.flags import parse_training_config
from training.loss_weights import CompletionLossWeights, EdgeLossWeights

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
RECIPE = ROOT / "training" / "recipes" / "paper.yaml"


def test_every_flag_of_the_page_is_a_setting():
    flags = set(re.findall(r"--(\w+)", PAGE))
    assert len(flags) > 15
    settings = {field.name for config in (TrainingConfig, EvaluationConfig) for field in dataclasses.fields(config)}
    assert flags - settings == set()


def test_every_argument_of_the_page_is_one_of_the_pipeline():
    arguments = dict(re.findall(r"`(\w+)=([^`]+)`", PAGE))
    assert arguments == {"blend_edges": "False", "strategy": '"original"', "match_texture": "False"}
    takers = EdgeConnectPipeline.__call__, EdgeConnectPipeline.__init__  # settings are the constructor's
    assert arguments.keys() <= {name for taker in takers for name in inspect.signature(taker).parameters}


def test_every_row_has_as_many_cells_as_its_table():
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}


@pytest.mark.parametrize("stage", ["edge", "completion", "joint"])
def test_the_recipe_sets_what_was_published(stage):
    (config,) = parse_training_config([f"--recipe={RECIPE}", "--train_data_dir=photos", f"--stage={stage}"])
    published = {
        "crop": "center",
        "sigma": 2,
        "edges_of_whole_image": True,
        "mask_threshold": 1,
        "published_update": True,
        "discriminator_learning_rate_factor": 0.1,
        "learning_rate": 1e-4,
        "train_batch_size": 8,
        "adam_beta1": 0,
        "adam_beta2": 0.9,
        "match_colours": False,
        "match_texture": False,
        "vgg_normalize": False,
    }
    assert {name: getattr(config, name) for name in published} == published
    assert config.edge_loss_weights == EdgeLossWeights(adversarial=1, feature_matching=10, cross_entropy=0)
    assert config.completion_loss_weights == CompletionLossWeights(
        l1=1, hole_l1=0, adversarial=0.1, perceptual=0.1, style=250, feature_matching=0
    )


def test_the_recipes_words_on_masks_and_lines_hold(tmp_path):
    """The flags that its head names for the published masks and for other lines."""
    head = RECIPE.read_text().partition("\nresolution")[0]
    flags = re.findall(r"--(?:mask|edge|thin|keep|joint)\w+(?: (?!-)[\w-]+)?", head)
    given = [part for flag in flags for part in flag.split()]
    (config,) = parse_training_config([f"--recipe={RECIPE}", "--train_data_dir=photos", *given])
    assert (config.mask_dataset, config.mask_shares["external"], config.mask_shares["irregular"]) == ("MASKS", 1, 0)
    assert (config.edge_column, config.thin_edges, config.keep_edge_losses) == ("NAME", True, True)
    assert config.joint_learning_rate == config.learning_rate

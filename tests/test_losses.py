"""The losses against numbers that the published code computed (losses.json), and what their formulas promise."""

import json
from pathlib import Path

import pytest
import torch
from official_weights import official_state_dict
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from edgeconnect_hf import CompletionGenerator, EdgeGenerator
from edgeconnect_hf.formats.published import convert_generator
from edgeconnect_hf.models import blend
from training import losses
from training.discriminator import PatchDiscriminator

FIXTURES = Path(__file__).with_name("fixtures")
REFERENCE = json.loads((FIXTURES / "losses.json").read_text())


def published_discriminator(network: str, in_channels: int) -> PatchDiscriminator:
    """Our discriminator with the published weights, in evaluation mode."""
    state = official_state_dict(network)
    discriminator = PatchDiscriminator(in_channels)
    for i, conv in enumerate(discriminator.convs, start=1):
        conv.parametrizations.weight.original.data = state[f"conv{i}.0.weight_orig"]
        conv.parametrizations.weight[0]._u = state[f"conv{i}.0.weight_u"]
        conv.parametrizations.weight[0]._v = state[f"conv{i}.0.weight_v"]
    return discriminator.eval()


@pytest.fixture(scope="module")
@torch.no_grad()
def pictures(published_checkpoints) -> dict[str, tuple[PatchDiscriminator, Tensor, Tensor, Tensor]]:
    """Of each stage: its discriminator, what is real, what is fake, the mask."""
    batch = load_file(FIXTURES / "reference.safetensors")
    masked_image = blend(batch["image"], 1, batch["mask"])
    masked_gray, masked_edges = blend(batch["gray"], 1, batch["mask"]), blend(batch["edges_full"], 0, batch["mask"])
    edge_generator = convert_generator(published_checkpoints["edge_generator"], EdgeGenerator)
    pred_edges = edge_generator(masked_gray, masked_edges, batch["mask"]).sample
    assert pred_edges.mean().item() == pytest.approx(REFERENCE["pred_edges_mean"], rel=1e-5)
    completion_generator = convert_generator(published_checkpoints["inpaint_generator"], CompletionGenerator)
    pred_image = completion_generator(masked_image, batch["edges_full"]).sample
    real_edges = torch.cat([batch["gray"], batch["edges_full"]], dim=1)
    fake_edges = torch.cat([batch["gray"], pred_edges], dim=1)
    return {
        "edge": (published_discriminator("edge_discriminator", 2), real_edges, fake_edges, batch["mask"]),
        "completion": (
            published_discriminator("inpaint_discriminator", 3),
            batch["image"],
            pred_image,
            batch["mask"],
        ),
    }


@pytest.mark.parametrize("form", ["nsgan", "lsgan", "hinge"])
@pytest.mark.parametrize("stage", ["edge", "completion"])
@torch.no_grad()
def test_adversarial_reproduces_the_published_code(pictures, stage, form):
    discriminator, real, fake, _ = pictures[stage]
    real_map, fake_map = discriminator(real)[0], discriminator(fake)[0]
    of_discriminator = losses.discriminator_adversarial(real_map, fake_map, form).item()
    of_generator = losses.generator_adversarial(fake_map, form).item()
    assert of_discriminator == pytest.approx(REFERENCE[f"{stage}.{form}.discriminator"], rel=1e-5)
    assert of_generator == pytest.approx(REFERENCE[f"{stage}.{form}.generator"], rel=1e-5)


@torch.no_grad()
def test_feature_matching_reproduces_the_published_code(pictures):
    discriminator, real, fake, _ = pictures["edge"]
    term = losses.feature_matching(discriminator(real)[1], discriminator(fake)[1]).item()
    assert term == pytest.approx(REFERENCE["edge.feature_matching"], rel=1e-5)


@torch.no_grad()
def test_l1_reproduces_the_published_code(pictures):
    _, real, fake, mask = pictures["completion"]
    assert losses.l1(real, fake, mask.mean()).item() == pytest.approx(REFERENCE["completion.l1"], rel=1e-5)


def test_hole_l1_is_the_mean_difference_in_the_hole():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2, :2] = 1
    real, fake = torch.zeros(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    expected = fake[..., :2, :2].mean().item()
    assert losses.hole_l1(real, fake, mask, mask.mean()).item() == pytest.approx(expected)


def test_cross_entropy_is_that_of_torch_in_the_hole_with_lines_weighted_by_4():
    edges, pred_edges = (torch.rand(2, 1, 8, 8) > 0.8).float(), torch.rand(2, 1, 8, 8) * 0.9 + 0.05
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    expected = F.binary_cross_entropy(pred_edges, edges, weight=mask * (1 + 3 * edges), reduction="sum") / mask.sum()
    assert losses.cross_entropy(edges, pred_edges, mask, mask.mean()).item() == pytest.approx(expected.item(), rel=1e-5)
    sure_and_wrong = losses.cross_entropy(edges, 1 - edges, mask, mask.mean())
    assert torch.isfinite(sure_and_wrong)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_difference_of_features_is_l1_loss_in_float32(dtype):
    torch.manual_seed(0)
    fake, real = (torch.rand(2, 5, 7, 6).to(dtype) for _ in range(2))
    fake[0] = real[0]
    ours, theirs = (fake.clone().requires_grad_() for _ in range(2))
    mean, expected = losses.mean_difference(ours, real), F.l1_loss(theirs.float(), real.float())
    (3 * mean).backward()
    (3 * expected).backward()
    assert mean.dtype == torch.float32
    # bf16 has 8 bits: each difference, and each sum over channels, is off by up to 2^-9 of itself.
    assert mean.item() == pytest.approx(expected.item(), rel=1e-6 if dtype == torch.float32 else 2**-8)
    assert torch.equal(ours.grad, theirs.grad)


def test_feature_matching_sends_no_gradient_into_the_real_features():
    real, fake = (torch.rand(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    losses.feature_matching([real], [fake]).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_r1_is_half_the_squared_gradient_of_a_discriminator_that_has_a_known_one():
    weight = torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1).requires_grad_()
    real = torch.rand(4, 3, 5, 6, requires_grad=True)
    penalty = losses.r1(F.conv2d(real, weight), real)
    assert penalty.item() == 30 * (1 + 4 + 9) / 2  # at each of 30 pixels the gradient is the weight itself
    penalty.backward()
    assert torch.equal(weight.grad, 30 * weight)
    curved = losses.r1(real.square() / 2, real)  # the gradient is the image
    assert_close(curved, real.square().sum() / 4 / 2)


def test_gram_of_known_features():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # [1,2,1,2]
    assert_close(losses.gram(features), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4)


def test_style_ignores_where_things_are_and_perceptual_does_not():
    features = torch.rand(1, 3, 8, 8)
    moved = features.roll(3, dims=-1)
    assert losses.style({"a": features}, {"a": moved}).item() == pytest.approx(0, abs=1e-6)  # sums reordered
    assert losses.perceptual({"a": features}, {"a": moved}).item() > 0.1


def test_perceptual_and_style_sum_over_layers():
    real, fake = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    assert losses.perceptual({"a": real, "b": real}, {"a": fake, "b": 2 * fake}).item() == pytest.approx(3)
    assert losses.style({"a": real, "b": real}, {"a": fake, "b": 2 * fake}).item() == pytest.approx(5 / 3)


@pytest.mark.parametrize("form", ["nsgan", "lsgan", "hinge"])
def test_adversarial_is_least_when_each_side_has_its_way(form):
    high, low = torch.full((1, 1, 2, 2), 20.0), torch.full((1, 1, 2, 2), -20.0)
    assert losses.discriminator_adversarial(high, low, form).item() == pytest.approx(0, abs=1e-6)
    assert losses.generator_adversarial(high, form) < losses.generator_adversarial(low, form)

"""What each stage computes: what it shows the networks, who learns from what, how terms and weights are named."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from edgeconnect_hf import CompletionGenerator, EdgeGenerator
from edgeconnect_hf.models import blend
from training import losses
from training.config import CompletionLossWeights, EdgeLossWeights, TrainingConfig
from training.discriminator import PatchDiscriminator
from training.judging import frozen, r1_term
from training.stages import STAGES, compose_edges, predict_edges
from training.vgg import VGG19Features

TERMS = {
    "edge": {"adversarial", "feature_matching"},
    "completion": {"l1", "adversarial", "perceptual", "style"},
    "joint": {"l1", "adversarial", "perceptual", "style"},
}


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    edges = (torch.rand(2, 1, 32, 32) > 0.8).float()
    hints = edges * mask * (torch.rand(2, 1, 32, 32) > 0.5)
    image = torch.rand(2, 3, 32, 32)
    known_edges = edges * (1 - mask) * (torch.rand(2, 1, 32, 32) > 0.1)  # near the hole some are not found
    gray = image.mean(1, keepdim=True)
    from_true_edges = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    lines = {"edges": edges, "known_edges": known_edges, "hints": hints, "from_true_edges": from_true_edges}
    return {"image": image, "gray": gray, "mask": mask, **lines}


@pytest.fixture
def networks() -> dict[str, nn.Module]:
    torch.manual_seed(1)
    shapes = {0: 3, 2: 4, 5: 4, 7: 4}
    state = {f"features.{number}.weight": torch.randn(4, channels, 3, 3) for number, channels in shapes.items()}
    state |= {f"features.{number}.bias": torch.randn(4) for number in shapes}
    return {
        "edge_generator": EdgeGenerator(base_channels=4, num_residual_blocks=1, use_spectral_norm=True).train(),
        "completion_generator": CompletionGenerator(base_channels=4, num_residual_blocks=1).train(),
        "edge_discriminator": PatchDiscriminator(2, channels=8),
        "completion_discriminator": PatchDiscriminator(3, channels=8),
        "vgg": VGG19Features(state),
    }


def make_stage(name, networks, **settings):
    config = TrainingConfig(train_data_dir="photos", max_train_steps=1, stage=name, **settings)
    return STAGES[name](networks, config)


def learners(networks) -> set[str]:
    """Networks of which any parameter has a gradient other than nought."""
    return {
        name
        for name, network in networks.items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    }


@pytest.mark.parametrize("name", STAGES)
def test_each_side_learns_from_its_own_terms_only(name, networks, batch):
    stage = make_stage(name, networks)
    predicted = stage.predict(batch)
    sum(stage.discriminator_terms(batch, predicted).values()).backward()
    assert learners(networks) == set(stage.discriminators)
    for network in networks.values():
        network.zero_grad()
    terms = stage.generator_terms(batch, predicted, batch["mask"].mean())
    assert terms.keys() == {name for name, weight in stage.weights.items() if weight} == TERMS[name]
    sum(terms.values()).backward()
    assert learners(networks) == set(stage.generators)


def test_joint_with_edge_losses_trains_all_four(networks, batch):
    stage = make_stage("joint", networks, keep_edge_losses=True)
    predicted = stage.predict(batch)
    terms = stage.discriminator_terms(batch, predicted)
    assert terms.keys() == {"discriminator", "edge_discriminator"}
    generator_terms = stage.generator_terms(batch, predicted, batch["mask"].mean())
    assert generator_terms.keys() == {name for name, weight in stage.weights.items() if weight}
    assert generator_terms.keys() == TERMS["joint"] | {"edge_adversarial", "edge_feature_matching"}
    sum([*terms.values(), *generator_terms.values()]).backward()
    assert learners(networks) == networks.keys() - {"vgg"}


def test_the_edge_generator_sees_no_truth_in_the_hole_but_the_hints(networks, batch):
    seen = []
    networks["edge_generator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    predict_edges(networks["edge_generator"], batch)
    gray, edges, mask = seen[0]
    assert torch.equal(gray * mask, mask)  # white
    assert torch.equal(edges * mask, batch["hints"])
    assert torch.equal(gray * (1 - mask), batch["gray"] * (1 - mask))
    assert torch.equal(edges * (1 - mask), batch["known_edges"])
    assert torch.equal(mask, batch["mask"])


def test_composed_lines_keep_what_is_known_and_hinted(batch):
    comp_edges = compose_edges(torch.full_like(batch["edges"], 0.25), batch)
    mask, hints = batch["mask"], batch["hints"]
    assert torch.equal(comp_edges * (1 - mask), batch["known_edges"])
    assert torch.equal(comp_edges * mask, mask * torch.where(hints > 0, 1.0, 0.25))


@pytest.mark.parametrize("edge_source", ["canny", "generated", "mixed"])
def test_the_completion_stage_paints_from_the_lines_asked_for(networks, batch, edge_source):
    networks["edge_generator"].eval()
    with torch.no_grad():
        drawn = compose_edges(predict_edges(networks["edge_generator"], batch), batch)
    stage = make_stage("completion", networks, edge_source=edge_source)
    predicted = stage.predict(batch)
    assert not predicted["comp_edges"].requires_grad
    mixed = torch.stack([batch["edges"][0], drawn[1]])
    expected = {"canny": batch["edges"], "generated": drawn, "mixed": mixed}[edge_source]
    assert torch.equal(predicted["comp_edges"], expected)
    assert torch.equal(predicted["comp_image"], blend(batch["image"], predicted["pred_image"], batch["mask"]))
    assert predicted["judged_image"] is predicted["pred_image"]


def test_the_joint_stage_may_paint_from_true_lines_too(networks, batch):
    stage = make_stage("joint", networks, edge_source="mixed", keep_edge_losses=True)
    predicted = stage.predict(batch)
    drawn = compose_edges(predicted["pred_edges"], batch)
    assert torch.equal(predicted["comp_edges"], torch.stack([batch["edges"][0], drawn[1]]))
    sum(stage.generator_terms(batch, predicted, batch["mask"].mean()).values()).backward()
    assert learners(networks) == set(stage.generators)


@pytest.mark.parametrize("name", ["completion", "joint"])
def test_matched_colours_are_what_all_losses_but_l1_judge(name, networks, batch):
    tinted = nn.Sequential()  # what G2 paints is right but for a tint, which matching takes off
    tinted.forward = lambda *_, **__: (batch["image"] * 0.5 + 0.1 + 0 * tinted.weight.sum(),)
    tinted.weight = nn.Parameter(torch.zeros(1))
    batch["image"] = torch.full_like(batch["image"], 0.6)
    networks["completion_generator"] = tinted
    stage = make_stage(name, networks, match_colours=True, completion_loss_weights=CompletionLossWeights(hole_l1=1))
    predicted = stage.predict(batch)
    assert predicted["judged_image"] is predicted["comp_image"]
    assert_close(predicted["comp_image"], batch["image"], rtol=0, atol=1e-5)  # see test_colours
    terms = stage.generator_terms(batch, predicted, torch.tensor(1.0))
    assert_close(terms["l1"].item(), 0.2)  # of 0.6, painted as 0.4
    for judged in ("hole_l1", "perceptual", "style"):
        assert terms[judged] < 1e-3  # the tint itself gives at least 0.05


def test_l1_is_scaled_by_the_global_mask(networks, batch):
    stage = make_stage("completion", networks)
    predicted = stage.predict(batch)
    one, half = (stage.generator_terms(batch, predicted, torch.tensor(mean))["l1"] for mean in (1.0, 0.5))
    assert_close(one, F.l1_loss(predicted["pred_image"], batch["image"]))
    assert_close(half, 2 * one)


@pytest.mark.parametrize(
    ("name", "settings", "kept"),
    [
        ("edge", {"edge_loss_weights": EdgeLossWeights(0, 0, cross_entropy=1)}, {"cross_entropy"}),
        ("completion", {"completion_loss_weights": CompletionLossWeights(0.1, 1, 0, 0, 0)}, {"l1", "hole_l1"}),
        ("joint", {"completion_loss_weights": CompletionLossWeights(0, 1, 0, 0, 0)}, {"hole_l1"}),
    ],
)
def test_a_loss_without_weight_is_not_computed(name, settings, kept, networks, batch):
    for judge in ("edge_discriminator", "completion_discriminator", "vgg"):
        del networks[judge]
    stage = make_stage(name, networks, **settings)
    predicted = stage.predict(batch)
    assert stage.discriminators == ()
    assert stage.discriminator_terms(batch, predicted) == {}
    terms = stage.generator_terms(batch, predicted, batch["mask"].mean())
    assert terms.keys() == kept
    sum(terms.values()).backward()
    assert learners(networks) == set(stage.generators)


def test_one_of_two_adversarial_losses_may_go(networks, batch):
    stage = make_stage("edge", networks, edge_loss_weights=EdgeLossWeights(adversarial=1, feature_matching=0))
    assert stage.discriminators == ("edge_discriminator",)
    assert stage.generator_terms(batch, stage.predict(batch), batch["mask"].mean()).keys() == {"adversarial"}


@pytest.mark.parametrize("name", ["completion", "joint"])
def test_features_of_d2_are_matched_when_asked_for(name, networks, batch):
    weights = CompletionLossWeights(l1=0, adversarial=0, perceptual=0, style=0, feature_matching=1)
    stage = make_stage(name, networks, completion_loss_weights=weights)
    predicted = stage.predict(batch)
    assert stage.discriminator_terms(batch, predicted).keys() == {"discriminator"}
    terms = stage.generator_terms(batch, predicted, batch["mask"].mean())
    assert terms.keys() == {"feature_matching"}
    with frozen(networks["completion_discriminator"]) as judging:
        pairs = zip(judging(batch["image"])[1], judging(predicted["judged_image"])[1], strict=True)
        expected = sum(F.l1_loss(fake, real) for real, fake in pairs)
    assert_close(terms["feature_matching"], expected)
    terms["feature_matching"].backward()
    assert learners(networks) == set(stage.generators)


def test_a_frozen_discriminator_stands_still_and_goes_on_after(networks):
    discriminator = networks["edge_discriminator"]
    before = {name: tensor.clone() for name, tensor in discriminator.state_dict().items()}
    with frozen(discriminator) as judge:
        judge(torch.rand(1, 2, 32, 32))[0].sum()
    assert all(torch.equal(tensor, before[name]) for name, tensor in discriminator.state_dict().items())
    assert discriminator.training
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


def test_r1_is_of_each_discriminator_as_it_stands_on_what_is_real(networks, batch):
    stage = make_stage("joint", networks, keep_edge_losses=True)
    seen = {"completion_discriminator": batch["image"]}
    seen["edge_discriminator"] = torch.cat([batch["gray"], batch["edges"]], dim=1)
    assert stage.real_inputs(batch).keys() == seen.keys()
    for name, real in stage.real_inputs(batch).items():
        assert torch.equal(real, seen[name])
        discriminator = networks[name]
        before = {key: tensor.clone() for key, tensor in discriminator.state_dict().items()}
        term = r1_term(discriminator, real)
        assert all(torch.equal(tensor, before[key]) for key, tensor in discriminator.state_dict().items())
        assert discriminator.training
        real = real.clone().requires_grad_()
        assert torch.equal(term, losses.r1(discriminator.eval()(real)[0], real))
        term.backward()
        assert all(weight.grad.abs().sum() > 0 for weight in discriminator.parameters())


def test_in_the_published_order_each_discriminator_is_called_three_times(networks, batch):
    stage = make_stage("joint", networks, keep_edge_losses=True, published_update=True)
    calls: dict[str, list[tuple[bool, int]]] = {name: [] for name in stage.discriminators}
    for name, seen in calls.items():
        networks[name].register_forward_hook(
            lambda network, inputs, _, seen=seen: seen.append((network.training, len(inputs[0])))
        )
    predicted = stage.predict(batch)
    stage.discriminator_terms(batch, predicted)
    terms = stage.generator_terms(batch, predicted, batch["mask"].mean())
    assert calls == {name: [(True, 2)] * 3 for name in ("completion_discriminator", "edge_discriminator")}
    torch.stack([*terms.values()]).sum().backward()
    assert learners(networks) == set(stage.generators)


@pytest.mark.parametrize("name", STAGES)
def test_grid_and_metrics(name, networks, batch):
    stage = make_stage(name, networks)
    with torch.no_grad():
        predicted = stage.predict(batch)
    assert [picture.shape[-2:] for picture in stage.grid_columns(batch, predicted).values()] == [(32, 32)] * 5
    lines = {"precision", "recall", "line_mean", "line_max", "line_share", "drawn_mean"}
    expected = {"edge": lines, "completion": {"psnr"}, "joint": {"psnr"} | lines}[name]
    assert stage.metrics(batch, predicted).keys() == expected
    assert stage.scores(batch, predicted).keys() == expected | ({"f1"} if name == "edge" else set())


def test_the_feature_distance_is_a_score_where_vgg_reaches_far_enough(networks, batch):
    numbers = {0: 3, 2: 4, 5: 4, 7: 4, 10: 4, 12: 4, 14: 4, 16: 4}
    state = {f"features.{number}.weight": torch.rand(4, channels, 3, 3) for number, channels in numbers.items()}
    state |= {f"features.{number}.bias": torch.zeros(4) for number in numbers}
    stage = make_stage("completion", {**networks, "vgg": VGG19Features(state)})
    with torch.no_grad():
        predicted = stage.predict(batch)
        assert stage.scores(batch, predicted)["feature_distance"] > 0
        assert stage.scores(batch, {**predicted, "comp_image": batch["image"]})["feature_distance"] == 0


def test_the_correction_of_colours_is_a_constant_to_gradients(networks, batch):
    """What is painted beside the hole shifts what is painted in it, and learns nothing from it."""
    stage = make_stage("completion", networks, match_colours=True)
    painted = (0.25 + 0.5 * batch["image"]).requires_grad_()
    networks["completion_generator"].forward = lambda *_, **__: (painted,)
    comp_image = stage.predict(batch)["comp_image"]
    comp_image.sum().backward()
    is_inside = (comp_image > 0) & (comp_image < 1)  # not clamped
    assert torch.equal(painted.grad, (batch["mask"].expand_as(painted) * is_inside))

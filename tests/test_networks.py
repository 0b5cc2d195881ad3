"""Networks between stages: spectral norm folded, put on again, and what a stage starts with."""

import pytest
import torch
from torch.testing import assert_close

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator
from training.config import TrainingConfig
from training.discriminator import PatchDiscriminator
from training.networks import (
    PIPELINE_SETTINGS,
    fold_spectral_norm,
    inherit_settings,
    make_networks,
    pipeline_settings,
    save_networks,
)


@pytest.fixture
def inputs() -> list[torch.Tensor]:
    torch.manual_seed(3)
    return [torch.rand(1, 1, 32, 32) for _ in range(3)]


@pytest.fixture
def edge_generator() -> EdgeGenerator:
    """A tiny G1, spectrally normalised, that has been trained a little."""
    torch.manual_seed(0)
    generator = EdgeGenerator(base_channels=4, num_residual_blocks=1, use_spectral_norm=True)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)
    for _ in range(5):
        generator(*(torch.rand(1, 1, 32, 32) for _ in range(3))).sample.var().backward()
        optimizer.step()
    return generator


def make_config(**settings) -> TrainingConfig:
    return TrainingConfig(train_data_dir="photos", max_train_steps=1, resolution=64, **settings)


def test_folded_it_draws_the_same_and_nothing_moved(edge_generator, inputs):
    before = {name: tensor.clone() for name, tensor in edge_generator.state_dict().items()}
    folded = fold_spectral_norm(edge_generator)
    assert edge_generator.training
    assert not folded.training
    assert not folded.config.use_spectral_norm
    assert all(torch.equal(tensor, before[name]) for name, tensor in edge_generator.state_dict().items())
    assert torch.equal(folded(*inputs).sample, edge_generator.eval()(*inputs).sample)


def test_saved_and_taken_up_again_it_draws_the_same(edge_generator, inputs, tmp_path):
    discriminator = PatchDiscriminator(2)
    save_networks({"edge_generator": edge_generator, "edge_discriminator": discriminator}, tmp_path)
    networks = make_networks(make_config(pretrained_model_name_or_path=str(tmp_path)), ["edge_generator"])
    again = networks["edge_generator"]
    assert again.config.use_spectral_norm
    assert (again.config.base_channels, again.config.sample_size) == (4, 64)
    assert again.training
    # The norm of the folded weights is found by power iteration: near 1, not exactly.
    assert_close(again.eval()(*inputs).sample, edge_generator.eval()(*inputs).sample, rtol=0, atol=1e-3)
    assert not networks["edge_discriminator"].training  # kept, as it is not trained here
    pairs = zip(networks["edge_discriminator"].parameters(), discriminator.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("name", PIPELINE_SETTINGS)
@pytest.mark.parametrize(("setting", "expected"), [(None, True), (False, False), (True, True)])
def test_settings_are_those_of_the_model_started_from_unless_said(name, setting, expected, edge_generator, tmp_path):
    save_networks({"edge_generator": edge_generator}, tmp_path, **{name: True})
    start = inherit_settings(make_config(pretrained_model_name_or_path=str(tmp_path), **{name: setting}))
    assert pipeline_settings(start) == {**dict.fromkeys(PIPELINE_SETTINGS, False), name: expected}
    assert getattr(inherit_settings(make_config(**{name: setting})), name) is bool(setting)


def test_a_model_that_is_nowhere_is_named():
    with pytest.raises(
        ValueError, match="`pretrained_model_name_or_path` is '/no/such/run', .* neither a local folder"
    ):
        make_networks(make_config(pretrained_model_name_or_path="/no/such/run"), ["edge_generator"])


def test_a_discriminator_may_lie_beside_the_model_and_keeps_its_width(edge_generator, tmp_path):
    save_networks(
        {"edge_generator": edge_generator, "edge_discriminator": PatchDiscriminator(2, 8)}, tmp_path / "start"
    )
    (tmp_path / "start" / "edge_discriminator").rename(tmp_path / "start_edge_discriminator")
    config = make_config(pretrained_model_name_or_path=str(tmp_path / "start"), discriminator_channels=4)
    networks = make_networks(config, ["edge_generator", "edge_discriminator", "completion_discriminator"])
    widths = {name: len(networks[name].convs[0].weight) for name in networks if name.endswith("discriminator")}
    assert widths == {"edge_discriminator": 8, "completion_discriminator": 4}


def test_a_model_that_is_not_finite_is_refused(edge_generator, tmp_path):
    edge_generator.conv_out.bias.data.fill_(torch.nan)
    save_networks({"edge_generator": edge_generator}, tmp_path)
    with pytest.raises(ValueError, match=r"`pretrained_model_name_or_path` .* edge_generator holds 'conv_out\.bias'"):
        make_networks(make_config(pretrained_model_name_or_path=str(tmp_path)), ["edge_generator"])


def test_only_what_is_trained_takes_gradients(edge_generator, tmp_path):
    completion_generator = CompletionGenerator(base_channels=4, num_residual_blocks=1)
    pipeline = EdgeConnectPipeline(fold_spectral_norm(edge_generator), completion_generator)
    pipeline.save_pretrained(tmp_path)
    config = make_config(pretrained_model_name_or_path=str(tmp_path), base_channels=8)
    networks = make_networks(config, ["edge_generator", "edge_discriminator"])
    takes_gradients = {name: {p.requires_grad for p in net.parameters()} for name, net in networks.items()}
    assert takes_gradients == {
        "edge_generator": {True},
        "edge_discriminator": {True},
        "completion_generator": {False},
    }

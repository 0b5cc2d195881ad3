"""The PatchGAN: its shape, its receptive field, its norm, and its way to disk and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.discriminator import PatchDiscriminator, load_discriminator


@pytest.fixture
def discriminator() -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(in_channels=2).eval()


def test_map_and_features_have_the_shapes_of_the_paper(discriminator):
    raw_map, features = discriminator(torch.rand(2, 2, 64, 64))
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 7, 7),
        (1, 6, 6),
    ]
    assert raw_map is features[-1]


def test_one_score_sees_seventy_pixels(discriminator):
    picture = torch.rand(1, 2, 128, 128, requires_grad=True)
    raw_map, _ = discriminator(picture)
    raw_map[0, 0, 7, 7].backward()
    rows = picture.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == 70


def test_every_convolution_has_spectral_norm_one(discriminator):
    discriminator.train()
    with torch.no_grad():
        for conv in discriminator.convs:
            for _ in range(50):  # each look at the weight is a step of the power iteration; let it settle
                weight = conv.weight.flatten(1)
            assert torch.linalg.eigvalsh(weight @ weight.T)[-1].sqrt().item() == pytest.approx(1, rel=0.02)


def test_saved_and_loaded_it_judges_alike(discriminator, tmp_path):
    picture = torch.rand(1, 2, 32, 32)
    discriminator.save_pretrained(tmp_path)
    reloaded = PatchDiscriminator.from_pretrained(tmp_path).eval()
    assert torch.equal(reloaded(picture)[0], discriminator(picture)[0])


@pytest.fixture
def saved(tmp_path):
    """The folder of a discriminator for three channels, four wide."""
    PatchDiscriminator(3, channels=4).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("config", [{"in_channels": 3, "channels": 4}, {"in_channels": 3}])
def test_its_width_is_that_of_its_config_or_else_of_its_weights(saved, config):
    (saved / "config.json").write_text(json.dumps(config))
    (saved / "model.safetensors").rename(saved / "diffusion_pytorch_model.safetensors")  # diffusers' name
    loaded = load_discriminator(saved, 3).eval()  # else a look at a weight moves its norm
    assert [conv.weight.shape[0] for conv in loaded.convs] == [4, 8, 16, 32, 1]
    state = load_file(saved / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    loaded.save_pretrained(saved / "again")
    assert json.loads((saved / "again" / "config.json").read_text()) == {"in_channels": 3, "channels": 4}


@pytest.mark.parametrize(
    "text", ['{"channels": 1e9}', '{"channels": 100000}', '{"channels": "4"}', "[]", "{", "[" * 10**5]
)
def test_a_config_of_another_kind_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match="the discriminator in .* cannot be read"):
        load_discriminator(saved, 3)


def test_other_weights_than_those_of_the_config_are_refused(saved):
    with pytest.raises(ValueError, match="with 2 input channels"):
        load_discriminator(saved, 2)
    state = load_file(saved / "model.safetensors")
    state["convs.1.parametrizations.weight.original"][0] = torch.nan
    save_file(state, saved / "model.safetensors")
    with pytest.raises(ValueError, match=r"'convs\.1\..* infinite or not a number"):
        load_discriminator(saved, 3)
    (saved / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        load_discriminator(saved, 3)
    (saved / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="must hold the weights"):
        load_discriminator(saved, 3)

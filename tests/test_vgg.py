"""VGG19's features: torchvision's layout, missing layers, normalisation."""

import logging

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.testing import assert_close

from training.vgg import PERCEPTUAL_LAYERS, STYLE_LAYERS, VGG19Features, load_vgg

# torchvision's numbers of VGG19's sixteen convolutions, written out
NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def narrow_state(depth: int, channels: int = 4) -> dict[str, torch.Tensor]:
    """The first convolutions of a VGG19 with four channels everywhere, in half precision."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for number in NUMBERS[:depth]:
        shape = (channels, 3 if number == 0 else channels, 3, 3)
        state[f"features.{number}.weight"] = torch.randn(shape, generator=generator).mul(0.3).half()
        state[f"features.{number}.bias"] = torch.randn(channels, generator=generator).mul(0.1).half()
    return state


def test_all_layers_at_their_resolutions(caplog):
    vgg = VGG19Features(narrow_state(16))
    features = vgg(torch.rand(1, 3, 32, 32))
    assert set(features) == {*PERCEPTUAL_LAYERS, *STYLE_LAYERS}
    assert {name: tensor.shape[-1] for name, tensor in features.items()} == {
        name: 32 // 2 ** (int(name[4]) - 1) for name in features
    }
    assert not caplog.records
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_nothing_is_computed_behind_the_deepest_layer_asked_for():
    vgg, image, run = VGG19Features(narrow_state(16)), torch.rand(1, 3, 32, 32), []
    for name, layer in vgg.layers.items():
        layer.register_forward_hook(lambda *_, name=name: run.append(name))
    features = vgg(image, ("relu2_2", "relu1_1"))
    assert list(features) == ["relu1_1", "relu2_2"]
    assert run == ["relu1_1", "relu2_1", "relu2_2"]
    everything = vgg(image)
    assert all(torch.equal(features[name], everything[name]) for name in features)


def test_layers_are_torchvisions():
    state = narrow_state(4)
    hidden = image = torch.rand(2, 3, 16, 16)
    for number in NUMBERS[:4]:
        if number == 5:
            hidden = F.max_pool2d(hidden, 2)
        weight, bias = (state[f"features.{number}.{name}"].float() for name in ("weight", "bias"))
        hidden = F.conv2d(hidden, weight, bias, padding=1).relu()
    assert torch.equal(VGG19Features(state)(image)["relu2_2"], hidden)


def test_missing_layers_are_named_in_one_warning(caplog, tmp_path):
    save_file(narrow_state(8), tmp_path / "vgg.safetensors")
    with caplog.at_level(logging.WARNING):
        vgg = load_vgg(str(tmp_path / "vgg.safetensors"), normalize=False)
    assert [record.getMessage() for record in caplog.records] == [
        "The VGG19 weights do not hold relu4_1, relu4_4, relu5_1, relu5_2: left out of the losses."
    ]
    assert list(vgg(torch.rand(1, 3, 16, 16))) == ["relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu3_4"]


def test_normalising_is_that_of_imagenet():
    image = torch.rand(1, 3, 16, 16)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normalising, plain = (VGG19Features(narrow_state(4), normalize) for normalize in (True, False))
    assert_close(normalising(image)["relu1_1"], plain((image - mean) / std)["relu1_1"])


def test_gradients_reach_the_picture():
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    sum(feature.sum() for feature in VGG19Features(narrow_state(8))(image).values()).backward()
    assert image.grad.abs().sum() > 0


def test_wrong_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"features\.0\.weight"):
        VGG19Features({"classifier.0.weight": torch.zeros(1)})
    with pytest.raises(FileNotFoundError, match="vgg_weights"):
        load_vgg(str(tmp_path / "none.safetensors"), normalize=False)
    with pytest.raises(FileNotFoundError, match=r"`vgg_weights` is '.*none.pth', .* neither a local file nor a model"):
        load_vgg(str(tmp_path / "none.pth"), normalize=False)
    (tmp_path / "vgg.pth").write_bytes(b"not the format")
    with pytest.raises(ValueError, match=r"`vgg_weights` '.*vgg.pth' is not a safetensors file"):
        load_vgg(str(tmp_path / "vgg.pth"), normalize=False)

"""The PatchGAN: its shape, its receptive field, its norm, and its way to disk and back."""

import pytest
import torch

from training.discriminator import PatchDiscriminator


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

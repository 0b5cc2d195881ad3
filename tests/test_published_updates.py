"""Three updates with `published_update`, against a plain statement of the published order written out in this file.

No full updates recorded from the published code exist; what is recorded of its losses is in test_losses.py. So the
trainer is compared with our own statement of what that code computes in an update, in float64: both gradients at the
weights before the update, and the discriminator called for the true, the drawn and the judged images, each time with a
step of the power iteration. Discriminator, spectral norm, VGG19 and losses are written out from their formulas, not
taken from `training`; the generators, whose outputs other tests hold against the published ones, are copies of the
trainer's. Weights of the loss are the paper's.
"""

import copy
from collections.abc import Iterator, Mapping

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from training_runs import VGG_NUMBERS, tiny_settings

from training.config import TrainingConfig
from training.trainer import Trainer

UPDATES = 3
WEIGHTS = {
    "edge": {"adversarial": 1, "feature_matching": 10},
    "completion": {"adversarial": 0.1, "l1": 1, "perceptual": 0.1, "style": 250},
}

pytestmark = pytest.mark.usefixtures("_own_cache_and_one_thread")

Tensors = Mapping[str, Tensor]


class StatedDiscriminator:
    """Five convolutions whose weights are divided by an estimate of their largest singular value.

    Args:
        weights: of each convolution.
        rows, columns: of each convolution, the estimated left and right singular vectors.
        columns_first: a step renews the right vector first, as in the function that the published code calls, and not
            the left one, as in PyTorch's newer one, which the trainer uses.
    """

    def __init__(self, weights: list[Tensor], rows: list[Tensor], columns: list[Tensor], columns_first: bool):
        self.weights = [weight.detach().clone().requires_grad_() for weight in weights]
        self.rows, self.columns = list(rows), list(columns)
        self.columns_first = columns_first

    def __call__(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The map as probabilities of being real, and the five layers' features."""
        features = []
        for number, weight in enumerate(self.weights):
            image = F.conv2d(image, weight / self._norm(number), stride=2 if number < 3 else 1, padding=1)
            image = torch.where(image > 0, image, 0.2 * image) if number < 4 else image
            features.append(image)
        return image.sigmoid(), features

    def _norm(self, number: int) -> Tensor:
        matrix = self.weights[number].flatten(1)
        with torch.no_grad():
            if self.columns_first:
                self.columns[number] = unit(matrix.T @ self.rows[number])
            self.rows[number] = unit(matrix @ self.columns[number])
            if not self.columns_first:
                self.columns[number] = unit(matrix.T @ self.rows[number])
        return self.rows[number] @ matrix @ self.columns[number]


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def stated_losses(
    stage: str, generator: nn.Module, discriminator: StatedDiscriminator, batch: Tensors, vgg: Tensors
) -> dict[str, Tensor]:
    """The losses of both sides, unweighted, by the trainer's names."""
    image, gray, edges, mask = batch["image"], batch["gray"], batch["edges"], batch["mask"]
    if stage == "edge":
        drawn = generator(gray * (1 - mask) + mask, batch["known_edges"], mask).sample
        real, fake = torch.cat([gray, edges], 1), torch.cat([gray, drawn], 1)
    else:
        real, fake = image, generator(image * (1 - mask) + mask, edges).sample
    real_scores, real_features = discriminator(real)
    fake_scores, _ = discriminator(fake.detach())
    judged_scores, judged_features = discriminator(fake)
    losses = {
        "discriminator": -(real_scores.log().mean() + (1 - fake_scores).log().mean()) / 2,
        "adversarial": -judged_scores.log().mean(),
    }
    if stage == "edge":
        pairs = zip(real_features, judged_features, strict=True)
        losses["feature_matching"] = sum((judged - real.detach()).abs().mean() for real, judged in pairs)
        return losses
    losses["l1"] = (fake - image).abs().mean() / mask.mean()
    pairs = list(zip(vgg_features(fake, vgg), vgg_features(image, vgg), strict=True))
    losses["perceptual"] = sum((pairs[i][0] - pairs[i][1]).abs().mean() for i in (0, 2, 4))  # relu1_1, 2_1, 3_1
    pairs = list(zip(vgg_features(fake * mask, vgg), vgg_features(image * mask, vgg), strict=True))
    losses["style"] = sum((gram(pairs[i][0]) - gram(pairs[i][1])).abs().mean() for i in (3, 7))  # relu2_2, 3_4
    return losses


def vgg_features(image: Tensor, vgg: Tensors) -> list[Tensor]:
    """relu1_1 to relu3_4."""
    features = []
    for place, number in enumerate(VGG_NUMBERS):
        image = F.max_pool2d(image, 2) if place in (2, 4) else image
        weight, bias = vgg[f"features.{number}.weight"], vgg[f"features.{number}.bias"]
        image = F.conv2d(image, weight, bias, padding=1).clamp(min=0)
        features.append(image)
    return features


def gram(features: Tensor) -> Tensor:
    return torch.einsum("nchw,ndhw->ncd", features, features) / features[0].numel()


def state_updates(
    stage: str,
    generator: nn.Module,
    discriminator: StatedDiscriminator,
    batches: list[Tensors],
    vgg: Tensors,
    rates: tuple[float, float],
) -> list[dict[str, float]]:
    """Trains both by Adam; the losses of each update."""
    sides = [list(generator.parameters()), discriminator.weights]
    optimizers = [torch.optim.Adam(side, lr, betas=(0.0, 0.9)) for side, lr in zip(sides, rates, strict=True)]
    logged = []
    for batch in batches:
        losses = stated_losses(stage, generator, discriminator, batch, vgg)
        total = sum(weight * losses[name] for name, weight in WEIGHTS[stage].items())
        gradients = [
            torch.autograd.grad(loss, side, retain_graph=True)
            for loss, side in zip((total, losses["discriminator"]), sides, strict=True)
        ]
        for side, gradient, optimizer in zip(sides, gradients, optimizers, strict=True):
            for parameter, its_gradient in zip(side, gradient, strict=True):
                parameter.grad = its_gradient
            optimizer.step()
        logged.append({name: loss.item() for name, loss in losses.items()})
    return logged


@pytest.fixture
def make_trainer(training_data, tmp_path) -> Iterator:
    """Makes a trainer in float64 on `UPDATES` fixed batches, which are its `batches` and returned too."""
    trainers = []

    def make(**settings) -> tuple[Trainer, list[Tensors]]:
        AcceleratorState._reset_state(reset_partial_state=True)
        folder = tmp_path / str(len(trainers))
        trainer = Trainer(TrainingConfig(**tiny_settings(training_data, folder, channels_last=False, **settings)))
        trainers.append(trainer)
        for network in trainer.networks.values():
            network.double()
        batches = [{name: tensor.double() for name, tensor in next(trainer.batches).items()} for _ in range(UPDATES)]
        trainer.batches.close()
        trainer.batches = iter(batches)
        return trainer, batches

    yield make
    for trainer in trainers:
        trainer.termination.restore()
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("stage", ["edge", "completion"])
@pytest.mark.parametrize("rates", ["high", "published"])
def test_three_updates_are_the_published_ones(stage, rates, make_trainer, training_data):
    """At high rates from vectors that have not settled, where each step of the order shows; at the published ones from
    settled vectors, as in a run's middle, also with the power iteration of the function that the published code calls.
    """
    rate, factor = {"high": (1e-2, 1.0), "published": (1e-4, 0.1)}[rates]
    settings = {"stage": stage, "learning_rate": rate, "discriminator_learning_rate_factor": factor}
    trainer, batches = make_trainer(published_update=True, **settings)
    generator = copy.deepcopy(trainer.networks[f"{stage}_generator"])
    convs = trainer.networks[f"{stage}_discriminator"].convs
    norms = [conv.parametrizations.weight for conv in convs]
    random = torch.Generator().manual_seed(0)
    for norm in norms:
        if rates == "published":
            left, _, right = torch.linalg.svd(norm.original.detach().flatten(1), full_matrices=False)
            norm[0]._u, norm[0]._v = left[:, 0].contiguous(), right[0].contiguous()
        else:
            norm[0]._v = unit(torch.randn(norm[0]._v.shape, generator=random, dtype=torch.float64))
    stated = StatedDiscriminator(
        [norm.original for norm in norms],
        [norm[0]._u.clone() for norm in norms],
        [norm[0]._v.clone() for norm in norms],
        columns_first=rates == "published",
    )
    vgg = {name: tensor.double() for name, tensor in load_file(training_data / "vgg.safetensors").items()}
    expected = state_updates(stage, generator, stated, batches, vgg, (rate, rate * factor))
    for losses in expected:
        _, _, got = trainer._update()
        assert {name: loss.item() for name, loss in got.items()} == pytest.approx(losses, rel=1e-5)
    got_generator = trainer.networks[f"{stage}_generator"]
    for name, weight in generator.named_parameters():
        assert_close(got_generator.get_parameter(name), weight, rtol=0, atol=1e-5, msg=name)
    for norm, weight, row, column in zip(norms, stated.weights, stated.rows, stated.columns, strict=True):
        assert_close(norm.original, weight, rtol=0, atol=1e-5)
        if rates == "high":  # else half a step apart
            assert_close(norm[0]._u, row, rtol=0, atol=1e-5)
            assert_close(norm[0]._v, column, rtol=0, atol=1e-5)


def test_without_the_flag_they_are_others(make_trainer):
    """So that the tolerances above mean something."""
    weights = []
    for published_update in (True, False):
        trainer, _ = make_trainer(published_update=published_update, learning_rate=1e-2)
        for _ in range(UPDATES):
            trainer._update()
        weights.append(nn.utils.parameters_to_vector(trainer.networks["edge_generator"].parameters()))
    assert (weights[0] - weights[1]).abs().max() > 1e-3


def test_it_is_refused_with_accumulation(training_data, tmp_path, monkeypatch):
    settings = tiny_settings(training_data, tmp_path / "run", published_update=True)
    with pytest.raises(ValueError, match="`gradient_accumulation_steps` is 2, which `published_update`"):
        TrainingConfig(**settings, gradient_accumulation_steps=2)
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2")
    with pytest.raises(ValueError, match="set gradient accumulation to 2, which `published_update`"):
        Trainer(TrainingConfig(**settings))
    assert not (tmp_path / "run").exists()

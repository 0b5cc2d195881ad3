"""How a discriminator judges what is real and what a generator made: for its own update, then for the generator's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training import losses


class Judging:
    """Real and fake in one forward pass for D's loss; a fresh pass of the updated D for the generator's losses.

    Each update takes one step of the spectral norm's power iteration. For each batch, `discriminator_term` is called
    before `generator_terms`.

    Args:
        weights (`Mapping[str, float]`): of `adversarial` and `feature_matching`; a loss of weight 0 is not computed.
        form (`str`): nsgan, lsgan or hinge.
    """

    def __init__(self, weights: Mapping[str, float], form: losses.AdversarialForm):
        self.weights = weights
        self.form = form

    def discriminator_term(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss on a real and a fake batch, `[N,C,H,W]` each."""
        raw_map, _ = discriminator(torch.cat([real, fake]))  # [2N,1,h,w]
        real_map, fake_map = raw_map.chunk(2)
        return losses.discriminator_adversarial(real_map, fake_map, self.form)

    def generator_terms(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The generator's losses by D: `adversarial` and `feature_matching`."""
        with frozen(discriminator) as judge:
            fake_map, fake_features = judge(fake)
            real_features = judge(real)[1] if self.weights["feature_matching"] else []
        return self._weighted_terms(fake_map, real_features, fake_features)

    def _weighted_terms(
        self, fake_map: Tensor, real_features: Sequence[Tensor], fake_features: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if self.weights["adversarial"]:
            terms["adversarial"] = losses.generator_adversarial(fake_map, self.form)
        if self.weights["feature_matching"]:
            terms["feature_matching"] = losses.feature_matching(real_features, fake_features)
        return terms


class PublishedJudging(Judging):
    """As in the published code: one pass for real, one for fake, one for the generator.

    Each pass takes a step of the power iteration. The features to match are those of the pass for real. Both methods
    are to be called before D's update. Arguments and methods as in `Judging`.
    """

    real_features: Sequence[Tensor] = ()  # of the latest `discriminator_term`

    def discriminator_term(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        real_map, real_features = discriminator(real)
        fake_map, _ = discriminator(fake)
        self.real_features = [features.detach() for features in real_features]
        return losses.discriminator_adversarial(real_map, fake_map, self.form)

    def generator_terms(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        with frozen(discriminator, is_training=True) as judge:
            fake_map, fake_features = judge(fake)
        return self._weighted_terms(fake_map, self.real_features, fake_features)


@contextmanager
def frozen(discriminator: nn.Module, is_training: bool = False) -> Iterator[nn.Module]:
    """The discriminator without its own gradients and, unless `is_training`, without power iteration.

    Gradients pass through to its input. Unwrapped from DistributedDataParallel, which has no gradients to average here.
    """
    module = getattr(discriminator, "module", discriminator)
    module.requires_grad_(False).train(is_training)
    try:
        yield module
    finally:
        module.requires_grad_(True).train()


def r1_term(discriminator: nn.Module, real: Tensor) -> Tensor:
    """The discriminator's R1 on a real batch `[N,C,H,W]`, without a step of power iteration; see `losses.r1`.

    The discriminator is unwrapped: where DistributedDataParallel averages gradients, they must reach the weights in the
    same backward pass as those of `discriminator_term`. The call of the class's own `forward` passes by
    `torch.compile`, which has no second derivative, and by autocast, which is too coarse for one.
    """
    was_training = discriminator.training
    discriminator.eval()
    real = real.detach().requires_grad_()
    real_map, _ = type(discriminator).forward(discriminator, real)  # [N,1,h,w]
    discriminator.train(was_training)
    return losses.r1(real_map, real)

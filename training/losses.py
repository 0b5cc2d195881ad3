"""The losses of both stages as pure functions (the paper's sections 3.1 and 3.2).

In the formulas, x is the truth, x' the prediction, M the hole mask (1 in the hole), D the discriminator, D_i its
layers, phi_i VGG19's layers; E is the mean over everything.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

AdversarialForm = Literal["nsgan", "lsgan", "hinge"]

_LINE_WEIGHT = 4  # in the cross-entropy


def discriminator_adversarial(real_map: Tensor, fake_map: Tensor, form: AdversarialForm = "nsgan") -> Tensor:
    """The discriminator's adversarial loss: the mean of its parts for real and fake images.

    With s the sigmoid, `nsgan`: (E[-log s(D(x))] + E[-log(1 - s(D(x')))]) / 2;
    `lsgan`: (E[(s(D(x)) - 1)^2] + E[s(D(x'))^2]) / 2; `hinge`: (E[max(0, 1 - D(x))] + E[max(0, 1 + D(x'))]) / 2.

    Args:
        real_map, fake_map (`torch.Tensor`): `[N,1,h,w]`, D's raw maps.
        form (`str`): nsgan, lsgan or hinge.

    Returns:
        A scalar.
    """
    if form == "hinge":
        return (F.relu(1 - real_map).mean() + F.relu(1 + fake_map).mean()) / 2
    return (_score(real_map, 1, form) + _score(fake_map, 0, form)) / 2


def generator_adversarial(fake_map: Tensor, form: AdversarialForm = "nsgan") -> Tensor:
    """The generator's adversarial loss.

    With s the sigmoid, `nsgan` (not saturating): E[-log s(D(x'))]; `lsgan`: E[(s(D(x')) - 1)^2];
    `hinge`: -E[D(x')].

    Args:
        fake_map (`torch.Tensor`): `[N,1,h,w]`, D's raw map.
        form (`str`): nsgan, lsgan or hinge.

    Returns:
        A scalar.
    """
    return -fake_map.mean() if form == "hinge" else _score(fake_map, 1, form)


def _score(raw_map: Tensor, target: float, form: AdversarialForm) -> Tensor:
    wanted = torch.full_like(raw_map, target)
    if form == "nsgan":
        return F.binary_cross_entropy_with_logits(raw_map, wanted)
    return F.mse_loss(raw_map.sigmoid(), wanted)


def feature_matching(real_features: Sequence[Tensor], fake_features: Sequence[Tensor]) -> Tensor:
    """Feature matching: sum_i E[|D_i(x) - D_i(x')|] over D's layers, without gradient to the real features.

    Args:
        real_features, fake_features (`Sequence[torch.Tensor]`): one `[N,C_i,h_i,w_i]` per layer.

    Returns:
        A scalar.
    """
    pairs = zip(real_features, fake_features, strict=True)
    return torch.stack([mean_difference(fake, real.detach()) for real, fake in pairs]).sum()


def r1(real_map: Tensor, real: Tensor) -> Tensor:
    """R1 (Mescheder et al., 2018): E[||dD(x)/dx||^2] / 2, with D(x) the sum of an image's map. Not in the paper.

    Args:
        real_map (`torch.Tensor`): `[N,1,h,w]`, D's raw map.
        real (`torch.Tensor`): `[N,C,H,W]`, what D has made it of, requiring a gradient.

    Returns:
        A scalar with a gradient to D's weights.
    """
    (gradient,) = torch.autograd.grad(real_map.sum(), real, create_graph=True)  # [N,C,H,W]
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2


def l1(real: Tensor, fake: Tensor, mask_mean: Tensor) -> Tensor:
    """E[|x - x'|] / E[M]: the absolute difference over the whole image, scaled by the share of the hole.

    Args:
        real, fake (`torch.Tensor`): `[N,3,H,W]`.
        mask_mean (`torch.Tensor`): a scalar, the share of the hole in the whole update (all batches and processes).

    Returns:
        A scalar.
    """
    return F.l1_loss(fake, real) / mask_mean


def hole_l1(real: Tensor, fake: Tensor, mask: Tensor, mask_mean: Tensor) -> Tensor:
    """E[M |x - x'|] / E[M]: the absolute difference in the hole. Not in the paper.

    Args:
        real, fake (`torch.Tensor`): `[N,3,H,W]`.
        mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.
        mask_mean (`torch.Tensor`): a scalar, the share of the hole in the whole update (all batches and processes).

    Returns:
        A scalar.
    """
    return (mask * (fake - real).abs()).mean() / mask_mean


def cross_entropy(edges: Tensor, pred_edges: Tensor, mask: Tensor, mask_mean: Tensor) -> Tensor:
    """-E[M (4 e log e' + (1 - e) log(1 - e'))] / E[M], for true lines e, drawn ones e'. Not in the paper.

    Lines cover a small part of an image. With a weight of 4, a line pixel of probability 1/5 is predicted as 0.5, about
    where precision and recall balance.

    Args:
        edges, pred_edges (`torch.Tensor`): `[N,1,H,W]` in [0,1].
        mask (`torch.Tensor`): `[N,1,H,W]`, values {0,1}; 1 marks the hole.
        mask_mean (`torch.Tensor`): a scalar, the share of the hole in the whole update (all batches and processes).

    Returns:
        A scalar.
    """
    weight = mask * (1 + (_LINE_WEIGHT - 1) * edges)  # [N,1,H,W]
    return F.binary_cross_entropy(pred_edges, edges, weight) / mask_mean


def perceptual(real_features: Mapping[str, Tensor], fake_features: Mapping[str, Tensor]) -> Tensor:
    """Perceptual loss: sum_i E[|phi_i(x) - phi_i(x')|].

    Args:
        real_features, fake_features (`Mapping[str, torch.Tensor]`): one `[N,C_i,h_i,w_i]` per layer of VGG19.

    Returns:
        A scalar.
    """
    return torch.stack([mean_difference(fake_features[name], real_features[name]) for name in real_features]).sum()


def style(real_features: Mapping[str, Tensor], fake_features: Mapping[str, Tensor]) -> Tensor:
    """Style loss: sum_j E[|G(phi_j(x * M)) - G(phi_j(x' * M))|], with G the Gram matrix.

    Args:
        real_features, fake_features (`Mapping[str, torch.Tensor]`): one `[N,C_j,h_j,w_j]` per layer of VGG19, computed
            from the hole's pixels only.

    Returns:
        A scalar.
    """
    return torch.stack(
        [F.l1_loss(gram(fake_features[name]), gram(real_features[name])) for name in real_features]
    ).sum()


def gram(features: Tensor) -> Tensor:
    """G(phi) = phi phi^T / (C h w), the correlations between channels.

    Args:
        features (`torch.Tensor`): `[N,C,h,w]`.

    Returns:
        `[N,C,C]`.
    """
    flat = features.float().flatten(2)  # [N,C,h*w]
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def mean_difference(fake: Tensor, real: Tensor) -> Tensor:
    """E[|x' - x|] of features, as `F.l1_loss` in float32, but in fewer passes and in the features' own dtype.

    Args:
        fake, real (`torch.Tensor`): `[N,C,h,w]`; only `fake` has a gradient.

    Returns:
        A float32 scalar.
    """
    mean: Tensor = _MeanDifference.apply(fake, real)
    return mean


class _MeanDifference(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fake: Tensor, real: Tensor) -> Tensor:
        difference = fake - real
        ctx.save_for_backward(difference)
        return difference.abs().sum(1).float().sum() / difference.numel()  # sums are exact, rounded once

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference.sign().mul_(gradient / difference.numel()), None

"""Weights of the losses, by the name of each loss."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class EdgeLossWeights:
    """Weights of the edge generator's losses."""

    adversarial: float = 1.0
    """Weight of the adversarial loss."""
    feature_matching: float = 10.0
    """Weight of the feature matching loss."""
    cross_entropy: float = 0.0
    """Weight of the cross-entropy of the lines in the hole. Not in the paper; speeds up the start."""


@dataclass
class CompletionLossWeights:
    """Weights of the completion generator's losses; `perceptual` and `style` are for torchvision's VGG19 on [0,1]."""

    l1: float = 1.0
    """Weight of the absolute difference, divided by the share of the hole."""
    hole_l1: float = 0.0
    """Weight of the absolute difference in the hole alone. Not in the paper; speeds up the start."""
    adversarial: float = 0.1
    """Weight of the adversarial loss."""
    perceptual: float = 0.1
    """Weight of the perceptual loss."""
    style: float = 250.0
    """Weight of the style loss."""
    feature_matching: float = 0.0
    """Weight of the feature matching loss. Not in the paper, which has it for the edge generator only."""


def check_weights(name: str, weights: Mapping[str, float]) -> None:
    """Raises a `ValueError` unless `weights` are finite, none is negative and one is above 0."""
    if min(weights.values()) < 0 or not 0 < sum(weights.values()) < math.inf:
        raise ValueError(f"{name} are {weights}, expected finite numbers, none negative and at least one above 0.")

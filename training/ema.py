"""The moving average of the generators' weights (EMA), and the weights that are validated and published."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from diffusers.training_utils import EMAModel
from torch import nn

from training.config import TrainingConfig


def make_ema(parameters: list[nn.Parameter], config: TrainingConfig) -> EMAModel | None:
    """The moving average of `parameters`; None without `use_ema`."""
    return EMAModel(parameters, decay=config.ema_decay) if config.use_ema else None


@contextmanager
def published_weights(generators: Sequence[nn.Module], ema: EMAModel | None) -> Iterator[None]:
    """Within it, the generators are as they are published: in evaluation mode and, if there is an `ema`, averaged.

    Args:
        generators (`Sequence[nn.Module]`): in training mode, in the order of the parameters of `ema`.
        ema (`EMAModel`, *optional*): their moving average.
    """
    parameters = [parameter for generator in generators for parameter in generator.parameters()]
    for generator in generators:
        generator.eval()
    if ema is not None:
        ema.store(parameters)
        ema.copy_to(parameters)
    try:
        yield
    finally:
        if ema is not None:
            ema.restore(parameters)
        for generator in generators:
            generator.train()

"""Adam with its learning rate schedule, for the generators or the discriminators of a stage."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from training.config import TrainingConfig


class ScheduledAdam:
    """Adam over some parameters, with gradient clipping and a learning rate schedule.

    Args:
        accelerator (`Accelerator`): of the run.
        parameters (`list[nn.Parameter]`): the parameters to optimise.
        learning_rate (`float`): before the schedule.
        config (`TrainingConfig`): betas, schedule and clipping.
    """

    def __init__(
        self, accelerator: Accelerator, parameters: list[nn.Parameter], learning_rate: float, config: TrainingConfig
    ):
        self.accelerator = accelerator
        self.parameters = parameters
        self.max_grad_norm = config.max_grad_norm
        betas = (config.adam_beta1, config.adam_beta2)
        adam = torch.optim.Adam(parameters, lr=learning_rate, betas=betas)
        # Not prepared: accelerate's scheduler would step once per process.
        self.schedule = LambdaLR(adam, lambda step: learning_rate_factor(step, config))
        self.optimizer = accelerator.prepare_optimizer(adam)

    def update(self, loss: Tensor) -> None:
        """Backward and, on the last batch of an accumulation, a step."""
        self.accelerator.backward(loss)
        if self.accelerator.sync_gradients and self.max_grad_norm is not None:
            # accelerate's own clipping would unscale the gradients of the other optimizer too (fp16).
            self.accelerator.unscale_gradients(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            self.schedule.step()

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    def moments(self) -> dict[str, Tensor]:
        """Adam's state itself, not a copy: `step`, `exp_avg` and `exp_avg_sq` of each parameter, by its number."""
        moments: dict[str, Tensor] = {}
        for number, parameter in enumerate(self.parameters):
            state = self.optimizer.state[parameter]
            if not state:  # before the first update: Adam's initial state
                state["step"] = torch.tensor(0.0)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            moments |= {f"{number}.{name}": tensor for name, tensor in state.items()}
        return moments

    def go_to(self, step: int) -> None:
        """Sets the learning rate to its value after `step` updates."""
        self.schedule.last_epoch = step
        for group, rate, factor in zip(
            self.optimizer.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True
        ):
            group["lr"] = rate * factor(step)


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """What the learning rate is multiplied by after `step` updates."""
    if config.lr_scheduler == "cosine" and config.max_train_steps is not None:
        return (1 + math.cos(math.pi * min(1, step / config.max_train_steps))) / 2
    return 1.0 if config.lr_drop_step is None or step < config.lr_drop_step else 0.1

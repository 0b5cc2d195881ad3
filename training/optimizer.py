"""Adam with its learning rate schedule, for the generators or the discriminators of a stage."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor, nn

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
        self.config = config
        self.full_rate = learning_rate
        betas = (config.adam_beta1, config.adam_beta2)
        self.optimizer = accelerator.prepare_optimizer(torch.optim.Adam(parameters, lr=learning_rate, betas=betas))
        self.go_to(0)

    def update(self, loss: Tensor, minutes: float = 0) -> None:
        """Backward and, on the last batch of an accumulation, a step, `minutes` after the start of the run."""
        self.accelerator.backward(loss)
        if self.accelerator.sync_gradients and self.max_grad_norm is not None:
            # accelerate's own clipping would unscale the gradients of the other optimizer too (fp16).
            self.accelerator.unscale_gradients(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            self.go_to(self.step + 1, minutes)

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

    def go_to(self, step: int, minutes: float = 0) -> None:
        """Sets the learning rate to its value after `step` updates and `minutes`."""
        self.step = step
        for group in self.optimizer.param_groups:
            group["lr"] = self.full_rate * learning_rate_factor(step, minutes, self.config)


def learning_rate_factor(step: int, minutes: float, config: TrainingConfig) -> float:
    """What the learning rate is multiplied by after `step` updates and `minutes`."""
    if config.lr_scheduler == "cosine":  # along the run's length: that of the two limits which it reaches first
        by_steps = 0 if config.max_train_steps is None else step / config.max_train_steps
        by_minutes = 0 if config.max_train_minutes is None else minutes / config.max_train_minutes
        return (1 + math.cos(math.pi * min(1, max(by_steps, by_minutes)))) / 2
    return 1.0 if config.lr_drop_step is None or step < config.lr_drop_step else 0.1

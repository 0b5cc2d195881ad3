"""One side of the game: what it may move, and how."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from training.config import TrainingConfig


class Player:
    """One side of the game, generators or discriminators: its parameters, its optimiser, its learning rate.

    Args:
        accelerator (`Accelerator`): of the run.
        parameters (`list[nn.Parameter]`): what it may move.
        learning_rate (`float`): Adam's, before the drop.
        config (`TrainingConfig`): the settings.
    """

    def __init__(
        self, accelerator: Accelerator, parameters: list[nn.Parameter], learning_rate: float, config: TrainingConfig
    ):
        def factor(step: int) -> float:
            if config.lr_scheduler == "cosine":
                return (1 + math.cos(math.pi * min(1, step / config.max_train_steps))) / 2
            return 1.0 if config.lr_drop_step is None or step < config.lr_drop_step else 0.1

        self.accelerator = accelerator
        self.parameters = parameters
        self.max_grad_norm = config.max_grad_norm
        betas = (config.adam_beta1, config.adam_beta2)
        adam = torch.optim.Adam(parameters, lr=learning_rate, betas=betas)
        self.schedule = LambdaLR(adam, factor)  # bare: accelerate's would step once for each process
        self.optimizer = accelerator.prepare_optimizer(adam)

    def update(self, loss: Tensor) -> None:
        """Backward and, on the last batch of an accumulation, a step."""
        self.accelerator.backward(loss)
        if self.accelerator.sync_gradients and self.max_grad_norm is not None:
            # Only this side's: accelerate's own clipping takes fp16's scale off the other side's gradients too.
            self.accelerator.unscale_gradients(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            self.schedule.step()

    def moments(self) -> dict[str, Tensor]:
        """Adam's state, not a copy of it: `step`, `exp_avg` and `exp_avg_sq` of each parameter, by its number."""
        moments = {}
        for number, parameter in enumerate(self.parameters):
            state = self.optimizer.state[parameter]
            if not state:  # no update yet: what Adam would begin with
                state["step"] = torch.tensor(0.0)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            moments |= {f"{number}.{name}": tensor for name, tensor in state.items()}
        return moments

    def go_to(self, step: int) -> None:
        """Gives the learning rate its value after `step` updates."""
        self.schedule.last_epoch = step
        for group, rate, factor in zip(
            self.optimizer.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True
        ):
            group["lr"] = rate * factor(step)

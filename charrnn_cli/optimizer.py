"""AdamW (Loshchilov and Hutter 2019) with clipping by global norm, its state as named tensors.

torch.optim's would do the same arithmetic, but the first optimizer in a process imports torch's compiler: 2 s of
every start. A test holds the two equal.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from charrnn_cli.config import TrainConfig

EPSILON = 1e-8


class AdamW:
    """Moments m and v of each parameter; weight decay on matrices only."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self.parameters = dict(model.named_parameters())
        self.exp_avg = {name: torch.zeros_like(tensor) for name, tensor in self.parameters.items()}
        self.exp_avg_sq = {name: torch.zeros_like(tensor) for name, tensor in self.parameters.items()}

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...], step: int, learning_rate: float) -> bool:
        """One update, number `step` from 0. False, and nothing changed, when the gradient is not finite."""
        config = self._config
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        total = norm.item()
        if not math.isfinite(total):
            return False
        scale = min(1.0, config.clip / (total + 1e-6)) if config.clip else 1.0
        correction1 = 1 - config.beta1 ** (step + 1)
        correction2 = math.sqrt(1 - config.beta2 ** (step + 1))
        for (name, parameter), gradient in zip(self.parameters.items(), gradients, strict=True):
            first, second = self.exp_avg[name], self.exp_avg_sq[name]
            gradient.mul_(scale)
            first.lerp_(gradient, 1 - config.beta1)
            second.mul_(config.beta2).addcmul_(gradient, gradient, value=1 - config.beta2)
            if parameter.dim() > 1 and config.weight_decay:
                parameter.mul_(1 - learning_rate * config.weight_decay)
            denominator = second.sqrt().div_(correction2).add_(EPSILON)
            parameter.addcdiv_(first, denominator, value=-learning_rate / correction1)
        return True

    def state(self) -> dict[str, Tensor]:
        """The moments by name, the live tensors."""
        return {
            **{f"exp_avg.{name}": tensor for name, tensor in self.exp_avg.items()},
            **{f"exp_avg_sq.{name}": tensor for name, tensor in self.exp_avg_sq.items()},
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def learning_rate(config: TrainConfig, step: int, total_steps: int) -> float:
    """Rises over the warm-up, then falls to 0 at `total_steps` (linear, cosine) or stays (constant)."""
    warmup = round(config.warmup * total_steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    match config.schedule:
        case "constant":
            return config.lr
        case "linear":
            return config.lr * (1 - progress)
        case "cosine":
            return config.lr * (1 + math.cos(math.pi * progress)) / 2

"""AdamW (Loshchilov and Hutter 2019) with clipping by global norm, its state as named tensors.

torch.optim does the same arithmetic, but the first optimizer in a process imports torch's compiler,
which adds 2 s to every start. A test checks that the results are equal.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from charrnn_cli.config import TrainConfig

EPSILON = 1e-8

# torch.optim's own kernel makes one pass over each tensor instead of ten, in a third of the time.
# It is not public; if torch does not have it, the plain arithmetic is used.
_FUSED = getattr(torch, "_fused_adamw_", None)


@dataclass(frozen=True, slots=True)
class _Group:
    """Parameters w of equal weight decay, and in the same order their moments m and v."""

    names: list[str]
    w: list[Tensor]
    m: list[Tensor]
    v: list[Tensor]
    weight_decay: float


class AdamW:
    """AdamW over a model's parameters; weight decay applies to matrices only."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self.parameters = dict(model.named_parameters())
        self._groups = []
        for are_matrices in (True, False):
            group = {
                name: tensor
                for name, tensor in self.parameters.items()
                if (tensor.dim() > 1) == are_matrices
            }
            m, v = ([torch.zeros_like(tensor) for tensor in group.values()] for _ in range(2))
            decay = config.weight_decay if are_matrices else 0.0
            self._groups.append(_Group(list(group), list(group.values()), m, v, decay))

    @torch.no_grad()
    def step(
        self, gradients: tuple[Tensor, ...], norm: Tensor, step: int, learning_rate: float
    ) -> None:
        """Apply update number `step`, counted from 0, given gradients and their global norm.

        The gradients are in the order of `parameters`, and are scaled in place.
        """
        if self._config.clip:
            torch._foreach_mul_(gradients, (self._config.clip / (norm + 1e-6)).clamp_(max=1.0))
        by_name = dict(zip(self.parameters, gradients, strict=True))
        update = _plain_update if _FUSED is None else functools.partial(_fused_update, _FUSED)
        for group in self._groups:
            update(
                group, [by_name[name] for name in group.names], self._config, step, learning_rate
            )

    def state(self) -> dict[str, Tensor]:
        """Return the live moments by name, not copies."""
        return {
            f"{kind}.{name}": tensor
            for group in self._groups
            for kind, tensors in (("exp_avg", group.m), ("exp_avg_sq", group.v))
            for name, tensor in zip(group.names, tensors, strict=True)
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy the moments of a snapshot."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    """Return the Euclidean norm of all elements; not finite if any element is not."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def learning_rate(config: TrainConfig, step: int, total_steps: int) -> float:
    """Return the learning rate of a step, counted from 0.

    It rises linearly over the warm-up, then falls to 0 at `total_steps` (linear; cosine after
    Loshchilov and Hutter 2017) or stays constant. After a change of plan, the rest of the schedule
    is stretched or shortened to the new number of steps.
    """
    place, total_steps = _place(config, step, total_steps)
    warmup = round(config.warmup * total_steps)
    if place < warmup:
        return config.lr * (place + 1) / warmup
    progress = (place - warmup) / max(1, total_steps - warmup)
    match config.schedule:
        case "constant":
            return config.lr
        case "linear":
            return config.lr * (1 - progress)
        case "cosine":
            return config.lr * (1 + math.cos(math.pi * progress)) / 2


def _place(config: TrainConfig, step: int, total_steps: int) -> tuple[float, int]:
    """Return a step's place in the schedule that was planned first, and the steps of that."""
    changed_at, planned = config.replanned_at, config.replanned_from
    if changed_at is None or planned is None:
        return step, total_steps
    if step <= changed_at:
        return step, planned
    share = (step - changed_at) / max(1, total_steps - changed_at)
    return changed_at + share * (planned - changed_at), planned


def _fused_update(
    kernel: Callable[..., Any],
    group: _Group,
    gradients: list[Tensor],
    config: TrainConfig,
    step: int,
    learning_rate: float,
) -> None:
    # Filled on the device: a copy of the number would wait for all work before it.
    done = [torch.full((), step + 1.0, device=gradients[0].device)] * len(gradients)
    kernel(
        group.w,
        gradients,
        group.m,
        group.v,
        [],
        done,
        lr=learning_rate,
        beta1=config.beta1,
        beta2=config.beta2,
        weight_decay=group.weight_decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def _plain_update(
    group: _Group, gradients: list[Tensor], config: TrainConfig, step: int, learning_rate: float
) -> None:
    correction1 = 1 - config.beta1 ** (step + 1)
    correction2 = math.sqrt(1 - config.beta2 ** (step + 1))
    for w, m, v, gradient in zip(group.w, group.m, group.v, gradients, strict=True):
        m.lerp_(gradient, 1 - config.beta1)
        v.mul_(config.beta2).addcmul_(gradient, gradient, value=1 - config.beta2)
        w.mul_(1 - learning_rate * group.weight_decay)
        w.addcdiv_(m, v.sqrt().div_(correction2).add_(EPSILON), value=-learning_rate / correction1)

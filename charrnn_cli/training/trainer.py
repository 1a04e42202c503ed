"""Model, optimizer and position: all that a training step changes, and one step."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import MemoryShortageError
from charrnn_cli.text.rows import IGNORED
from charrnn_cli.training.batch_loader import BatchLoader, has_room
from charrnn_cli.training.device import autocast
from charrnn_cli.training.dropout import DropoutMasks
from charrnn_cli.training.network import CharRNN, RecurrentState
from charrnn_cli.training.optimizer import AdamW, global_norm, learning_rate
from charrnn_cli.training.windows import Windows

# T time · B batch rows · V vocabulary

Tensors = Mapping[str, npt.NDArray[np.float32]]

SMOOTHING = 0.98  # the reported train loss is a mean over about the last 1 / (1 - 0.98) steps
DIVERGENCE_FACTOR = 10.0  # times the loss of a guess among all characters

# Steps between looks at the loss: on an accelerator each look waits until all that was asked for is computed.
CHECK_EVERY = {"cpu": 1, "cuda": 32, "mps": 32}


class Trainer:
    """Stateful truncated BPTT: the recurrent state goes from window to window, from zero where a window says so.

    Everything random is a function of (seed, step), so `snapshot` and `restore` continue a run bit for bit.
    """

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        windows: Windows,
        total_steps: int,
        frequencies_V: npt.NDArray[np.float64] | None = None,
    ) -> None:
        assert config.seed is not None
        assert config.dropout is not None
        self.config = config
        self.windows = windows
        self.total_steps = total_steps
        self.device = torch.device(config.device)
        self.model = CharRNN(model)
        self.model.initialize(config.seed, config.initialization, frequencies_V)
        self.model.to(self.device)
        self.optimizer = AdamW(self.model, config)
        self._masks = DropoutMasks(config.dropout, config.seed, config.batch_size)
        self._parameters = tuple(self.optimizer.parameters.values())
        self._average: CharRNN | None = None
        if config.ema:
            self._average = CharRNN(model)
            self._average.load(self.model.export())
            self._average.to(self.device)
        self._batches = BatchLoader(windows, self.device, resident=has_room(windows, self.device))
        self._state: RecurrentState | None = None
        self._smoothed = torch.tensor(math.nan, device=self.device)
        self._healthy = torch.tensor(True, device=self.device)
        self._limit = DIVERGENCE_FACTOR * max(1.0, math.log(model.vocabulary_size))
        self._check_every = CHECK_EVERY[self.device.type]
        self.step = 0
        self.characters = 0
        """Targets trained on since this object was made."""
        self.lr_scale = 1.0
        """Halved after each divergence."""
        self.parts = 1
        """The batch goes through the model in so many parts, one after the other; more where memory is short."""

    def load_initial_weights(self, weights: Tensors) -> None:
        """Take these weights before the first step."""
        self.model.load(weights)
        if self._average is not None:
            self._average.load(weights)

    @property
    def evaluated(self) -> CharRNN:
        """The model to evaluate and to save: the average of the weights where there is one."""
        return self.model if self._average is None else self._average

    @property
    def train_loss(self) -> float:
        """Smoothed, nats a character, dropout on; nan before the first step."""
        return self._smoothed.item()

    @train_loss.setter
    def train_loss(self, value: float) -> None:
        self._smoothed = torch.tensor(value, device=self.device)

    @property
    def epoch(self) -> float:
        return self.step / self.windows.per_epoch

    @property
    def learning_rate(self) -> float:
        return self.lr_scale * learning_rate(self.config, self.step, self.total_steps)

    def update(self) -> bool:
        """One step on the next window. False, with nothing changed, when it has blown up: see `is_healthy`.

        On an accelerator that is looked at every 32 steps alone, so that it never waits: until then, what is not
        finite spreads to every later loss, and `is_healthy` tells it before anything is evaluated or saved.
        Where the device's memory does not suffice, the batch is halved into more parts, with the same result.
        """
        while True:
            try:
                loss, gradients, state, count = self._gradients()
                break
            except torch.OutOfMemoryError:
                if self.parts >= self.config.batch_size:
                    raise MemoryShortageError(
                        "not even one row of the batch fits into the memory",
                        hint="use a smaller --seq-len or --size",
                    ) from None
                self.parts *= 2
        norm = global_norm(gradients)
        self._healthy = torch.isfinite(norm) & (loss < self._limit)  # which is false for nan
        if self.step % self._check_every == 0 and not self.is_healthy():
            return False
        self.optimizer.step(gradients, norm, self.step, self.learning_rate)
        self._state, self.characters = state, self.characters + count
        self._smoothed = loss if self.step == 0 else torch.lerp(loss, self._smoothed, SMOOTHING)
        self.step += 1
        if self._average is not None:
            self._update_average(self._average)
        return True

    def is_healthy(self) -> bool:
        """Whether the last step's loss and gradient were finite, and the loss not absurd: ten times a blind guess."""
        return bool(self._healthy.item())

    def _gradients(self) -> tuple[Tensor, tuple[Tensor, ...], RecurrentState, int]:
        """The mean loss of the next window, its gradients, the state after it, and its number of targets."""
        batch, batch_size = self._batches.batch(self.step), self.config.batch_size
        before = self._state_before(batch.reset_rows)
        self._masks.step = self.step
        total, sums, states = torch.zeros((), device=self.device), None, []
        for part in range(self.parts):
            rows = slice(batch_size * part // self.parts, batch_size * (part + 1) // self.parts)
            self._masks.rows = rows
            part_state = (
                None
                if before is None
                else [tuple(tensor[:, rows] for tensor in layer) for layer in before]
            )
            with autocast(self.device, self.config.precision):
                logits_TBV, state = self.model(
                    batch.inputs[:, rows], part_state, self._masks or None
                )
            targets = batch.targets[:, rows].flatten()
            logits = logits_TBV.flatten(0, 1).float()
            loss = (
                functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
                / batch.count
            )
            gradients = torch.autograd.grad(loss, self._parameters)
            sums = (
                gradients
                if sums is None
                else tuple(one.add_(other) for one, other in zip(sums, gradients, strict=True))
            )
            total = total + loss.detach()
            # float32, so that what a resume file holds is exactly what an uninterrupted run goes on with
            states.append([tuple(tensor.detach().float() for tensor in layer) for layer in state])
        assert sums is not None
        if self.parts == 1:
            return total, sums, states[0], batch.count
        joined = [
            tuple(torch.cat(tensors, dim=1) for tensors in zip(*layers, strict=True))
            for layers in zip(*states, strict=True)
        ]
        return total, sums, joined, batch.count

    def _state_before(self, reset_rows_B: Tensor | None) -> RecurrentState | None:
        """The state that the last window left, zero in the rows that start afresh."""
        if self._state is None or reset_rows_B is None:
            return self._state
        gone_1B1 = reset_rows_B[None, :, None]
        return [
            tuple(tensor.masked_fill(gone_1B1, 0.0) for tensor in layer) for layer in self._state
        ]

    @torch.no_grad()
    def _update_average(self, average: CharRNN) -> None:
        # In the first steps the decay is lower, so that the average forgets the random beginning.
        decay = min(self.config.ema, self.step / (self.step + 10))
        for mean, parameter in zip(average.parameters(), self._parameters, strict=True):
            mean.lerp_(parameter, 1 - decay)

    def snapshot(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of all that a step changes besides the weights of `evaluated`."""
        tensors = dict(self.optimizer.state())
        if self._average is not None:
            tensors |= {f"raw.{name}": tensor for name, tensor in self.optimizer.parameters.items()}
        for layer, parts in enumerate(self._state or ()):
            for number, part in enumerate(parts):
                tensors[f"state.{layer}.{number}"] = part
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}

    def restore(self, weights: Tensors, tensors: Tensors) -> None:
        """Continue from the weights of `evaluated` and a `snapshot`; the caller sets step, train_loss and lr_scale."""
        self._healthy = torch.tensor(True, device=self.device)
        self.evaluated.load(weights)
        if self._average is not None:
            self.model.load({name: tensors[f"raw.{name}"] for name in weights})
        moments = {name: torch.from_numpy(tensors[name].copy()) for name in self.optimizer.state()}
        self.optimizer.load(moments)
        parts = 2 if self.model.config.cell == "lstm" else 1
        self._state = None
        if "state.0.0" in tensors:
            self._state = [
                tuple(
                    torch.from_numpy(tensors[f"state.{layer}.{number}"].copy()).to(self.device)
                    for number in range(parts)
                )
                for layer in range(self.model.config.layers)
            ]


def resume_tensor_shapes(model: ModelConfig, config: TrainConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of a `snapshot`, for checking a file before it is used."""
    kinds = ["exp_avg", "exp_avg_sq", *(["raw"] if config.ema else [])]
    shapes = {
        f"{kind}.{name}": shape for kind in kinds for name, shape in model.tensor_shapes().items()
    }
    for layer in range(model.layers):
        for number in range(2 if model.cell == "lstm" else 1):
            shapes[f"state.{layer}.{number}"] = (1, config.batch_size, model.size)
    return shapes

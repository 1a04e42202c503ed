"""One step of truncated BPTT and everything it changes: model, optimizer, recurrent state."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import MemoryShortageError
from charrnn_cli.text.rows import IGNORED
from charrnn_cli.training.batch_loader import Batch, BatchLoader, has_room
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.device import autocast, float32_products
from charrnn_cli.training.dropout import DropoutMasks
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loss_scale import loss_scale, scaled_gradients
from charrnn_cli.training.network import CharRNN, RecurrentState, joined_rows
from charrnn_cli.training.ngram_device import InputsOfSteps, inputs_of_steps
from charrnn_cli.training.optimizer import AdamW, global_norm, learning_rate
from charrnn_cli.training.processes import Processes, own_rows
from charrnn_cli.training.recurrent_state import state_of, state_tensors
from charrnn_cli.training.window import Windows

# T time · B batch rows · V vocabulary

Tensors = Mapping[str, npt.NDArray[np.float32]]

SMOOTHING = 0.98  # the reported train loss averages about the last 1 / (1 - 0.98) steps
DIVERGENCE_FACTOR = 10.0  # times the loss of guessing uniformly among all characters
AVERAGE_WARMUP = 10  # steps in which the weight average forgets the random initial weights

# Steps between checks of the loss. On an accelerator, a check waits for all work queued before it.
CHECK_EVERY = {"cpu": 1, "cuda": 32, "mps": 32}


def make_trainer(
    job: TrainingJob,
    decisions: Decisions,
    windows: Windows,
    frequencies_V: npt.NDArray[np.float64] | None = None,
    processes: Processes | None = None,
) -> "Trainer":
    """Return a trainer for a job, at its first step; see `Trainer`."""
    processes = processes or Processes()
    device = torch.device(decisions.device)
    has_free_core = device.type != "cpu" or decisions.threads < processes.threads
    ngrams = inputs_of_steps(job, windows, device, processes.share, ahead=has_free_core)
    return Trainer(job.model, job.config, decisions, windows, frequencies_V, ngrams, processes)


class Trainer:
    """Stateful truncated BPTT: the recurrent state is carried from window to window.

    Everything random is a function of (seed, step), so that `snapshot` and `restore` continue a run
    bit for bit. `frequencies_V` are the symbols' fractions of the training text, (V,), for the
    initial output bias; None for a model whose weights are loaded next. `ngrams` are the inputs of
    a model with n-grams. With several `processes`, each has a trainer, and they take equal steps.
    """

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        decisions: Decisions,
        windows: Windows,
        frequencies_V: npt.NDArray[np.float64] | None = None,
        ngrams: InputsOfSteps | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes()
        self.config = config
        self.decisions = decisions
        self.windows = windows
        self.device = torch.device(decisions.device)
        self.model = CharRNN(model)
        self.model.initialize(decisions.seed, config.initialization, frequencies_V)
        self.model.to(self.device)
        self.optimizer = AdamW(self.model, config)
        self._masks = DropoutMasks(decisions.dropout, decisions.seed)
        self._parameters = tuple(self.optimizer.parameters.values())
        self._average: CharRNN | None = None
        if config.ema:
            self._average = CharRNN(model)
            self._average.load(self.model.export())
            self._average.to(self.device)
        self.ngrams = None if ngrams is None else ngrams.text
        """What n-grams predict, for `evaluate`."""
        resident = has_room(windows, self.device)
        share = self.processes.share
        self._batches = BatchLoader(
            windows, self.device, resident=resident, ngrams=ngrams, share=share
        )
        self._state: RecurrentState | None = None
        self._smoothed = torch.tensor(math.nan, device=self.device)
        self._healthy = torch.tensor(True, device=self.device)
        self._limit = DIVERGENCE_FACTOR * max(1.0, math.log(model.vocabulary_size))
        self._check_every = CHECK_EVERY[self.device.type]
        self.step = 0
        self.characters = 0
        """Targets trained on since this object was created."""
        self.lr_scale = 1.0
        """Factor on the learning rate; halved after each divergence."""
        self.parts = 1
        """Parts in which the batch passes through the model; more than 1 if memory is short."""
        self.loss_scale = loss_scale(self.device, decisions.precision)

    def follow(self, config: TrainConfig, decisions: Decisions) -> None:
        """Go on with another plan of the same run: other numbers of steps, of the same work."""
        self.config, self.decisions = config, decisions

    def load_initial_weights(self, weights: Tensors) -> None:
        """Replace the fresh weights before the first step."""
        self.model.load(weights)
        if self._average is not None:
            self._average.load(weights)

    @property
    def evaluated(self) -> CharRNN:
        """The model that is evaluated and saved: the weight average if there is one."""
        return self.model if self._average is None else self._average

    @property
    def running_loss(self) -> float:
        """Nats per character with dropout, averaged over about 50 steps; nan before the first."""
        return self._smoothed.item()

    @property
    def epoch(self) -> float:
        """Passes over the training text so far."""
        return self.step / self.windows.per_epoch

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.lr_scale * learning_rate(self.config, self.step, self.decisions.steps)

    @property
    def _num_own_rows(self) -> int:
        share = self.processes.share
        return share.count(self.windows.num_rows(self.step))

    @float32_products("ieee")
    def update(self) -> bool:
        """Train on the next window. Return False, with nothing changed, after a divergence.

        An accelerator is checked only every 32 steps, so that it rarely waits. In between, a
        divergence is remembered, so that `is_healthy` reports it before anything is evaluated or
        saved. If the device's memory is too small, the batch is split into twice as many parts,
        with the same result.
        Raises MemoryShortageError if not even one row fits.
        """
        while True:
            try:
                loss, gradients, state, count = self._gradients()
                break
            except torch.OutOfMemoryError:
                if self.parts >= self._num_own_rows:
                    raise MemoryShortageError(
                        "not even one row of the batch fits into memory",
                        hint="use a smaller --seq-len or --size",
                    ) from None
                self.parts *= 2
        loss, gradients = self.processes.add_up(loss, gradients)
        norm = global_norm(gradients)
        # A nan loss compares false.
        self._healthy = self._healthy & torch.isfinite(norm) & (loss < self._limit)
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
        """Whether all losses and gradients since `restore` were finite and below the limit."""
        return bool(self._healthy.item())

    def _gradients(self) -> tuple[Tensor, tuple[Tensor, ...], RecurrentState, int]:
        """Return the next window's mean loss, gradients, final state and number of targets.

        Loss and gradients are the parts of this process's rows in those of the whole batch.
        """
        batch, num_rows = self._batches.batch(self.step), self.windows.num_rows(self.step)
        before = self._state_before(batch)
        self._masks.step, self._masks.num_rows = self.step, num_rows
        own = self._num_own_rows
        parts = min(self.parts, own)
        total, sums, states = torch.zeros((), device=self.device), None, []
        for part in range(parts):
            rows = slice(own * part // parts, own * (part + 1) // parts)
            loss, state = self._loss_of_rows(batch, before, rows)
            gradients = scaled_gradients(loss, self._parameters, self.loss_scale)
            sums = gradients if sums is None else _added(sums, gradients)
            total = total + loss.detach()
            # float32, so that a resume file stores exactly what an uninterrupted run continues with
            states.append([tuple(tensor.detach().float() for tensor in layer) for layer in state])
        if sums is None:  # a batch of fewer rows than processes
            return total, tuple(map(torch.zeros_like, self._parameters)), [], batch.count
        joined = states[0] if parts == 1 else joined_rows(states)
        return total, sums, joined, batch.count

    def _loss_of_rows(
        self, batch: Batch, before: RecurrentState | None, rows: slice
    ) -> tuple[Tensor, RecurrentState]:
        """Return the sum of some own rows' losses, divided by the targets in the whole batch."""
        first = self.processes.share.of(self._masks.num_rows).start
        self._masks.rows = slice(first + rows.start, first + rows.stop)
        state = before
        if before is not None:
            state = [tuple(tensor[:, rows] for tensor in layer) for layer in before]
        ngrams_TBV = None if batch.ngrams is None else batch.ngrams[:, rows]
        with autocast(self.device, self.decisions.precision):
            logits_TBV, state = self.model(
                batch.inputs[:, rows], state, self._masks or None, ngrams_TBV
            )
        loss = functional.cross_entropy(
            logits_TBV.flatten(0, 1).float(),
            batch.targets[:, rows].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return loss / batch.count, state

    def _state_before(self, batch: Batch) -> RecurrentState | None:
        """Return the state after the last window, set to zero in the rows to reset."""
        if not self._state or batch.reset_rows is None:
            return self._state or None
        if batch.is_fresh:  # and may have other rows than the state
            return None
        mask_1B1 = batch.reset_rows[None, :, None]
        return [
            tuple(tensor.masked_fill(mask_1B1, 0.0) for tensor in layer) for layer in self._state
        ]

    @torch.no_grad()
    def _update_average(self, average: CharRNN) -> None:
        """Update the weight average; its decay rises from 0 to forget the initial weights.

        The warm-up follows TensorFlow's ExponentialMovingAverage, which bounds the decay by
        (1 + step) / (10 + step).
        """
        decay = min(self.config.ema, self.step / (self.step + AVERAGE_WARMUP))
        for mean, parameter in zip(average.parameters(), self._parameters, strict=True):
            mean.lerp_(parameter, 1 - decay)

    def snapshot(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return copies of the tensors that a step changes, apart from the weights of `evaluated`.

        Names and shapes are those of `snapshot_shapes`.
        """
        tensors = dict(self.optimizer.state())
        if self._average is not None:
            raw = self.optimizer.parameters.items()
            tensors |= {f"raw.{name}": tensor for name, tensor in raw}
        if self.step and self._state is not None:
            num_rows = self.windows.num_rows(self.step - 1)
            tensors |= state_tensors(self.processes.all_rows(self._state, num_rows))
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}

    def restore(
        self,
        weights: Tensors,
        tensors: Tensors,
        *,
        step: int,
        running_loss: float | None,
        lr_scale: float,
    ) -> None:
        """Continue from the weights of `evaluated`, a `snapshot` and a position."""
        self.evaluated.load(weights)
        if self._average is not None:
            self.model.load({name: tensors[f"raw.{name}"] for name in weights})
        moments = {name: torch.from_numpy(tensors[name].copy()) for name in self.optimizer.state()}
        self.optimizer.load(moments)
        state = state_of(tensors, self.model.config, self.device)
        self._state = None if state is None else own_rows(state, self.processes.share)
        self.step, self.lr_scale = step, lr_scale
        loss = math.nan if running_loss is None else running_loss
        self._smoothed = torch.tensor(loss, device=self.device)
        self._healthy = torch.tensor(True, device=self.device)


def _added(sums: Sequence[Tensor], gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(one.add_(other) for one, other in zip(sums, gradients, strict=True))

"""What a training run tells about itself, as plain numbers and paths.

Losses are in nats a character, durations in seconds since the run began, resumed runs included.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingStarted:
    """Everything that was planned, before the first update."""

    run: str
    first_step: int
    """Steps done already; above 0 after a resume."""
    total_steps: int
    steps_per_epoch: int
    parameters: int
    train_characters: int
    val_characters: int
    batch_size: int
    seq_len: int
    dropout: float
    device: str
    precision: str
    threads: int
    seed: int
    eval_every: int
    """Steps between evaluations; 0 when there is no validation."""
    seconds_per_step: float
    """Measured on this machine before the start."""
    seconds_planned: float
    """About what is to come will take, evaluations included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLogged:
    """Progress: `train_loss` is smoothed over about the last 50 steps, dropout on."""

    step: int
    epoch: float
    train_loss: float
    learning_rate: float
    chars_per_second: float
    """Characters trained on since the line before, over the wall time since then."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """One pass over the validation text, dropout off."""

    step: int
    epoch: float
    train_loss: float
    """Smoothed over about the last 50 steps, dropout on."""
    clean_train_loss: float
    """On a part of the training text, dropout off: what `val_loss` may be compared with."""
    val_loss: float
    best: bool
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """What the model writes by now."""

    step: int
    prime: str
    text: str
    """New characters, without the prime."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved:
    """A step file is on disk, whole and synced."""

    step: int
    path: Path
    val_loss: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SaveFailed:
    """A file could not be written; training goes on and tries again."""

    step: int
    message: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged:
    """The loss or its gradient was not finite, or absurd: back to an earlier state, with a lower learning rate."""

    step: int
    back_to: int
    learning_rate: float
    """The peak of the schedule from now on."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSplit:
    """The device's memory did not suffice: the batch goes through the model in parts, with the same result."""

    step: int
    parts: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFinished:
    """The end, also of a run that was stopped early."""

    run: str
    step: int
    total_steps: int
    epoch: float
    train_loss: float | None
    """Measured on training text without dropout; None when there was no validation."""
    val_loss: float | None
    best_step: int | None
    best_val_loss: float | None
    reason: str
    """Why it ended: `complete`, `time`, `patience`, or `stopped` when something asked it to."""
    seconds: float


TrainEvent = (
    TrainingStarted
    | StepLogged
    | Evaluated
    | Sampled
    | CheckpointSaved
    | SaveFailed
    | Diverged
    | BatchSplit
    | TrainingFinished
)

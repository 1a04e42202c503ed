"""The events of a training run: plain numbers and paths.

Losses are in nats per character. `seconds` is the wall time of the run so far, including all
resumed parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingStarted:
    """The plan, before the first update."""

    run: str
    first_step: int
    """Steps already done; above 0 only for a resumed run."""
    total_steps: int
    steps_per_epoch: int
    model: str
    """Cell, layers and units: `lstm 2x512`."""
    parameters: int
    init_from: str | None
    """The checkpoint from which the run started, if any."""
    learning_rate: float
    """The peak of the schedule."""
    train_characters: int
    val_characters: int
    evaluated_characters: int
    """Characters of the validation text that every evaluation reads."""
    batch_size: int
    seq_len: int
    dropout: float
    device: str
    precision: str
    threads: int
    seed: int
    eval_every: int
    """Steps between evaluations; 0 without validation."""
    seconds_per_step: float
    """Measured on this machine before the first update."""
    seconds_planned: float
    """Estimated time for the remaining steps and evaluations."""
    disk_bytes: int
    """Estimated peak size of the run's files."""
    disk_free: int
    """Bytes that are free on the run's disk."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Bits per character of simple models on the validation text, by name; may be empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLogged:
    """Progress, by default about once per second."""

    step: int
    epoch: float
    running_loss: float
    """Loss in training, with dropout: moving average over about 50 steps."""
    learning_rate: float
    chars_per_second: float
    """Training speed since the previous `StepLogged`, by wall time."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """Losses without dropout on rows of the training and of the validation text."""

    step: int
    epoch: float
    train_loss: float
    """On rows like those of `val_loss`, so that both can be compared."""
    val_loss: float
    best: bool
    """Whether `val_loss` is the lowest so far."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BestTested:
    """The loss of the best checkpoint on the test text, at the end of a run."""

    step: int
    """The step of the checkpoint."""
    test_loss: float
    """By the definition of `val_loss`."""
    evaluated_characters: int
    """Characters that were read: fewer than `test_characters` if the time was short."""
    test_characters: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """A sample of the current model."""

    step: int
    prime: str
    text: str
    """New characters, without the prime."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved:
    """A checkpoint is on disk, complete and synced."""

    step: int
    path: Path
    val_loss: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SaveFailed:
    """A file could not be written; training continues and tries again later."""

    step: int
    message: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRemoved:
    """An old checkpoint was deleted to make room on a full disk for a newer one."""

    step: int
    """The step of the deleted checkpoint."""
    path: Path
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged:
    """The loss diverged: training restarts from an earlier state at a lower learning rate."""

    step: int
    back_to: int
    """The step of the earlier state."""
    learning_rate: float
    """The new peak of the schedule."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowedDown:
    """Training has been less than half as fast as before for half a minute."""

    step: int
    chars_per_second: float
    before: float
    """Characters per second in the fastest half minute."""
    one_thread: float | None
    """Estimated characters per second now with one thread; None unless that is faster."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Replanned:
    """The machine is slower than planned: the rest of the run is fitted to its time limit."""

    step: int
    planned_steps: int
    total_steps: int
    """Steps that will be done at the present speed."""
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSplit:
    """The batch does not fit into memory; each step runs it in parts, with the same result."""

    step: int
    parts: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFinished:
    """The end of training, as planned or early."""

    run: str
    step: int
    total_steps: int
    epoch: float
    train_loss: float | None
    """Like `val_loss`, that of an evaluation at this step; None without one."""
    val_loss: float | None
    best_step: int | None
    best_val_loss: float | None
    reason: str
    """`complete`, `time`, `patience`, or `stopped` by request."""
    seconds: float

    @property
    def chosen_step(self) -> int:
        """The step of the best checkpoint or, without validation, of the last."""
        return self.step if self.best_step is None else self.best_step


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplesCompared:
    """Samples of the best checkpoint, compared with the training text by `charrnn train`."""

    run: str
    step: int
    """The step of the checkpoint."""
    characters: int
    """Characters of the samples."""
    share: float
    """Fraction of them in spans of 30 or more characters that stand verbatim in the text."""
    longest: int
    """Characters of the longest such span, however short."""
    compared: int
    """Characters of the training text that were compared, spread evenly over it."""
    text_characters: int
    """Characters of the training text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemsCompared:
    """Items of the best checkpoint, compared with the training list by `charrnn train`."""

    run: str
    step: int
    """The step of the checkpoint."""
    items: int
    """Items that were drawn."""
    known: int
    """Number of them that are in the list."""
    compared: int
    """Items of the list that were compared, spread evenly over it."""
    list_items: int
    """Items of the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsFinished:
    """The end of several runs that differ in their seed alone."""

    runs: list[str]
    val_losses: list[float]
    """The lowest of each run; none without validation."""
    mean_val_loss: float | None
    spread: float | None
    """Standard deviation of these losses; None for a single run."""


Comparison = SamplesCompared | ItemsCompared
"""What samples share with the training text; `charrnn train` reports it after the run."""

TrainEvent = (
    TrainingStarted
    | StepLogged
    | Evaluated
    | BestTested
    | Sampled
    | CheckpointSaved
    | SaveFailed
    | CheckpointRemoved
    | Diverged
    | SlowedDown
    | Replanned
    | BatchSplit
    | TrainingFinished
)

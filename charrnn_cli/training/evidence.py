"""What is known of a run, before it and after it. Pure functions."""

import dataclasses
import math
from dataclasses import dataclass

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.training.candidates import affordable, training_operations
from charrnn_cli.training.recipe import (
    SHORT_TEXT,
    automatic_dropout,
    limited_settings,
    warm_settings,
)

OTHER_SIZE = 1.5  # times as many operations per character: a smaller or larger model
GAP_LARGE = 0.25  # nats between train and val loss
OTHER_DROPOUT = 0.15  # a difference that matters
RISE = 0.03  # nats of val loss above its lowest


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """The losses of a run, in nats per character, without dropout."""

    train: float
    val: float
    best_val: float
    best_passes: float
    """Passes over the text at the lowest val loss."""
    fall: float = 0.0
    """By how much the val loss fell in the last quarter of the run."""
    trigram: float | None = None
    """Loss of counts after two characters on the validation text, if it was measured."""
    best_ngram: float | None = None
    """Loss of counts after the best number of characters."""
    initial: float | None = None
    """Val loss of the checkpoint that the run started from, before the first step."""

    @property
    def gap(self) -> float:
        return self.val - self.train

    @property
    def is_overfit(self) -> bool:
        """Whether the val loss was lower before, or does not fall although the gap is large."""
        is_rising = self.val - self.best_val > RISE
        return is_rising or (self.gap > GAP_LARGE and self.fall <= RISE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What is known of a run."""

    model: ModelConfig
    train_characters: int
    evaluated_characters: int
    steps: int
    passes: float
    """Passes over the training text."""
    positions: int
    """Characters per step."""
    dropout: float
    weight_decay: float
    seconds_per_step: float
    limit: str
    """The setting that limits the steps: `epochs`, `max_steps` or `max_time`."""
    start: str = ""
    """The checkpoint that the run goes on from, which sets the architecture; empty without one."""
    is_list: bool = False
    """Whether the text is a list of items."""
    is_planned: bool = False
    """Whether the time has chosen the model."""
    built_in: float | None = None
    """Loss of the built-in model on the validation text, if a run could start from it."""
    losses: Losses | None = None
    """None before the run."""

    @property
    def is_warm(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return bool(self.start)

    @property
    def has_little_dropout(self) -> bool:
        """Whether more dropout is usual for such a run from random weights."""
        return not self.is_warm and self.dropout < self.usual_dropout - OTHER_DROPOUT

    @property
    def has_many_epochs(self) -> bool:
        """Whether far fewer epochs help such a run from random weights."""
        return not self.is_warm and self.passes > 1.5 * self.epochs_that_help()

    @property
    def noise(self) -> float:
        """The standard error of a val loss, nats: the loss of one character deviates by about 2."""
        return 2 / math.sqrt(max(self.evaluated_characters, 1))

    @property
    def usual_dropout(self) -> float:
        """The automatic dropout for this run."""
        return automatic_dropout(self.passes, self.train_characters)

    def resized(self) -> int:
        """Return -1 if a smaller model learns more in the same time, 1 if a larger one does."""
        if self.is_warm or self.is_planned:
            return 0
        operations = self.steps * training_operations(self.model, self.positions)
        best, _ = affordable(operations, self.model, self.positions, self.train_characters)
        better = dataclasses.replace(self.model, layers=best.layers, size=best.size)
        ratio = better.multiplications / self.model.multiplications
        return (ratio >= OTHER_SIZE) - (ratio * OTHER_SIZE <= 1)

    def epochs_that_help(self) -> float:
        """Return how many epochs do not overfit the text."""
        if self.is_warm:
            return warm_settings((), self.train_characters)["epochs"]
        if self.train_characters >= SHORT_TEXT:
            return math.inf
        return limited_settings((), self.train_characters, is_list=self.is_list)["epochs"]


def rounded(value: float) -> str:
    """Format a positive number with two digits, and from 10 on without a fraction."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

"""The events of a study: plain numbers and names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningStarted:
    """A process has begun to work on a study."""

    study: str
    budget: float | None
    """Seconds for the whole study; None if the trials have a length of their own."""
    spent: float
    """Seconds of it that are spent."""
    trials: list[int]
    """Number of trials in each round."""
    space: list[str]
    """What is searched, in words."""
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStarted:
    """A trial begins, or goes on after an interruption."""

    study: str
    trial: int
    round: int
    """From 1 on."""
    run: str
    params: Mapping[str, Any]
    max_seconds: float | None
    resumed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFinished:
    """A trial has ended."""

    study: str
    trial: int
    round: int
    run: str
    val_loss: float | None
    """The lowest; None for a trial that failed."""
    seconds: float
    problem: str | None
    """Why it failed."""
    best_run: str | None
    """The run with the lowest val loss so far."""
    best_val_loss: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningFinished:
    """Every round of a study is done."""

    study: str
    run: str
    """The winner."""
    val_loss: float
    test_loss: float | None
    seconds: float
    """Time spent by all processes."""


TuningEvent = TuningStarted | TrialStarted | TrialFinished | TuningFinished

"""Choosing the model that learns most in a time limit, from steps timed on this machine."""

import dataclasses
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from charrnn_cli.training.calibration import TimedTraining, time_training
from charrnn_cli.training.candidates import (
    CANDIDATES,
    Candidate,
    training_operations,
)
from charrnn_cli.training.device import restored_threads
from charrnn_cli.training.evaluation_plan import SHARE
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.plan import EXIT_RESERVE, Calibration
from charrnn_cli.training.recipe import limited_settings
from charrnn_cli.training.windows import make_windows

TIMING_SHARE = 0.01  # of the time limit, for the steps of one candidate
MOST_TIMING = 0.5  # seconds
FASTER = 2.0  # a larger model may do as many times the operations per second


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that was chosen, and the next larger one that was not."""

    job: TrainingJob
    calibration: Calibration
    candidate: Candidate
    steps: int
    larger: Candidate | None
    larger_seconds: float
    """The time limit that it needs, at least; models that cannot be chosen are not timed."""
    is_whole: bool
    """Whether there is time for all passes over the text that help."""


def choose_model(
    job: TrainingJob, seconds: float, should_stop: Callable[[], bool], given: Collection[str]
) -> Choice:
    """Return the job with the best model for the seconds that are left of its time limit.

    The models are timed from the smallest to the first for which the time is too short. The job's
    settings that are `given` are kept.
    Raises DeviceError, TextError.
    """
    training = max(1e-9, seconds - EXIT_RESERVE) * (1 - SHARE)
    budget = min(MOST_TIMING, TIMING_SHARE * seconds)
    chosen: tuple[Candidate, TimedTraining] | None = None
    most = _most_steps(job, given)
    larger, larger_seconds = None, 0.0
    with restored_threads():
        for candidate in CANDIDATES:
            lr = job.config.lr if "lr" in given else candidate.lr
            resized = job.resized(candidate.layers, candidate.size, lr)
            if chosen is None:
                chosen = candidate, time_training(resized, budget, should_stop)
                continue
            needed = candidate.needed_steps(job.split.train_characters, _operations(resized))
            per_step = _least_seconds(chosen[1], resized)
            if needed <= min(most, training / per_step):
                timed = time_training(resized, budget, should_stop)
                per_step = timed.seconds_per_step
                if needed <= training / per_step:
                    chosen = candidate, timed
                    continue
            if needed <= most:
                larger, larger_seconds = candidate, seconds * needed * per_step / training
            break
        assert chosen is not None
        candidate, timed = chosen
        steps = int(min(most, training / timed.seconds_per_step))
        chosen_settings: dict[str, Any] = limited_settings(given, job.split.train_characters)
        if "lr" not in given:
            chosen_settings["lr"] = candidate.rate(steps)
        config = dataclasses.replace(timed.job.config, **chosen_settings)
        epochs = config.epochs
        return Choice(
            job=dataclasses.replace(timed.job, config=config),
            calibration=timed.calibration(),
            candidate=candidate,
            steps=steps,
            larger=larger,
            larger_seconds=larger_seconds,
            is_whole=epochs is not None and steps >= epochs * timed.trainer.windows.per_epoch,
        )


def _operations(job: TrainingJob) -> float:
    return training_operations(job.model, job.config.batch_size * job.config.seq_len)


def _least_seconds(timed: TimedTraining, larger: TrainingJob) -> float:
    """Return the least seconds per step to expect of a larger model."""
    return timed.seconds_per_step * _operations(larger) / _operations(timed.job) / FASTER


def _most_steps(job: TrainingJob, given: Collection[str]) -> float:
    """Return how many steps the given settings allow."""
    config, limits = job.config, [math.inf]
    if config.max_steps is not None:
        limits.append(config.max_steps)
    if config.epochs is not None and "epochs" in given:
        windows = make_windows(job.corpus, job.split, config, seed=0)
        limits.append(config.epochs * windows.per_epoch)
    return min(limits)

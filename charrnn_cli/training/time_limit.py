"""Choosing the model that learns most in a time limit, from steps timed on this machine."""

import dataclasses
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
from charrnn_cli.training.phases import Announce, not_announced
from charrnn_cli.training.plan import EXIT_RESERVE, Calibration
from charrnn_cli.training.recipe import limited_settings

TIMING_SHARE = 0.01  # of the time limit, for the steps of one candidate
MOST_TIMING = 0.5  # seconds
SECONDS_TO_TIME = 3.0  # of one candidate: with its preparation, and on a busy machine
FASTER = 2.0  # a larger model may do as many times the operations per second


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that was chosen, and the next larger one that was not."""

    job: TrainingJob
    calibration: Calibration
    candidate: Candidate
    steps: int
    larger: Candidate | None
    larger_steps: int
    """At most; models that cannot be chosen are not timed."""
    is_whole: bool
    """Whether there is time for all passes over the text that help."""


def choose_model(
    job: TrainingJob,
    seconds: float,
    should_stop: Callable[[], bool],
    given: Collection[str],
    announce: Announce = not_announced,
) -> Choice:
    """Return the job with the best model for the seconds that are left of its time limit.

    The models are timed from the smallest to the first for which the time is too short. The job's
    settings that are `given` are kept.
    Raises DeviceError, TextError.
    """
    training = max(0.0, seconds - EXIT_RESERVE) * (1 - SHARE)
    budget = min(MOST_TIMING, TIMING_SHARE * seconds)
    chosen: tuple[Candidate, TimedTraining] | None = None
    larger, larger_steps = None, 0
    with restored_threads():
        for candidate in CANDIDATES:
            lr = job.config.lr if "lr" in given else candidate.lr
            resized = job.resized(candidate.layers, candidate.size, lr)
            if chosen is None:
                announce(f"timing steps of {candidate}", SECONDS_TO_TIME)
                chosen = candidate, time_training(resized, budget, should_stop)
                continue
            steps = int(training / _least_seconds(chosen[1], resized))
            if _fits(candidate, resized, steps):
                announce(f"timing steps of {candidate}", SECONDS_TO_TIME)
                timed = time_training(resized, budget, should_stop)
                steps = int(training / timed.seconds_per_step)
                if _fits(candidate, resized, steps):
                    chosen = candidate, timed
                    continue
            larger, larger_steps = candidate, steps
            break
        assert chosen is not None
        candidate, timed = chosen
        steps = int(training / timed.seconds_per_step)
        chosen_settings: dict[str, Any] = limited_settings(given, job.split.train_characters)
        config = dataclasses.replace(timed.job.config, **chosen_settings)
        epochs = config.epochs
        return Choice(
            job=dataclasses.replace(timed.job, config=config),
            calibration=timed.calibration(),
            candidate=candidate,
            steps=steps,
            larger=larger,
            larger_steps=larger_steps,
            is_whole=epochs is not None and steps >= epochs * timed.trainer.windows.per_epoch,
        )


def _operations(job: TrainingJob) -> float:
    return training_operations(job.model, job.config.batch_size * job.config.seq_len)


def _least_seconds(timed: TimedTraining, larger: TrainingJob) -> float:
    """Return the least seconds per step to expect of a larger model."""
    return timed.seconds_per_step * _operations(larger) / _operations(timed.job) / FASTER


def _fits(candidate: Candidate, job: TrainingJob, steps: int) -> bool:
    return candidate.fits(job.split.train_characters, steps, steps * _operations(job))

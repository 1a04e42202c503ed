"""Choosing the model that learns most in a time limit, from steps timed on this machine."""

import dataclasses
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from charrnn_cli.training.calibration import TimedTraining, time_training
from charrnn_cli.training.candidates import (
    CANDIDATES,
    FALLBACK,
    FEWEST_STEPS,
    Candidate,
    training_operations,
)
from charrnn_cli.training.decisions import Calibration
from charrnn_cli.training.device import restored_threads
from charrnn_cli.training.ending import EXIT_RESERVE
from charrnn_cli.training.evaluation_plan import SHARE
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.phases import Announce, not_announced
from charrnn_cli.training.recipe import limited_settings
from charrnn_cli.training.windows import make_windows

TIMING_SHARE = 0.01  # of the time limit, for the steps of one candidate
MOST_TIMING = 1.5  # seconds
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
    larger_seconds: float
    """The time limit that it needs, at least; models that cannot be chosen are not timed."""
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
    with restored_threads():
        search = _Search(job, seconds, should_stop, given, announce)
        candidate, timed, larger, larger_seconds = search.run()
        steps = int(min(search.most_steps, search.training / timed.seconds_per_step))
        decided: dict[str, Any] = limited_settings(
            given, job.split.train_characters, is_list=job.corpus.has_items
        )
        if "lr" not in given:
            decided["lr"] = candidate.rate(steps)
        config = dataclasses.replace(timed.job.config, **decided)
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


class _Search:
    """Times models in search of the best one."""

    def __init__(
        self,
        job: TrainingJob,
        seconds: float,
        should_stop: Callable[[], bool],
        given: Collection[str],
        announce: Announce,
    ) -> None:
        self._job, self._seconds, self._should_stop, self._given = job, seconds, should_stop, given
        self._announce = announce
        self.training = max(1e-9, seconds - EXIT_RESERVE) * (1 - SHARE)
        """Seconds for the steps."""
        self.most_steps = _most_steps(job, given)

    def run(self) -> tuple[Candidate, TimedTraining, Candidate | None, float]:
        """Return the best model, timed, the next larger one, and the limit that that one needs."""
        best = CANDIDATES[0]
        timed = self._time(best)
        if timed.seconds_per_step * FEWEST_STEPS > self.training:
            limit = self._limit(FEWEST_STEPS * timed.seconds_per_step)
            return FALLBACK, self._time(FALLBACK), best, limit
        for larger in CANDIDATES[1:]:
            operations = _operations(self._sized(larger))
            needed = larger.needed_steps(self._job.split.train_characters, operations)
            if needed > self.most_steps:
                break
            # No model that surely does too few steps is timed.
            per_step = timed.seconds_per_step * operations / _operations(timed.job) / FASTER
            if needed * per_step <= self.training:
                trial = self._time(larger)
                per_step = trial.seconds_per_step
                if needed * per_step <= self.training:
                    best, timed = larger, trial
                    continue
            return best, timed, larger, self._limit(needed * per_step)
        return best, timed, None, 0.0

    def _sized(self, candidate: Candidate) -> TrainingJob:
        lr = self._job.config.lr if "lr" in self._given else candidate.lr
        return self._job.resized(candidate.layers, candidate.size, lr)

    def _time(self, candidate: Candidate) -> TimedTraining:
        self._announce(f"timing steps of {candidate}", SECONDS_TO_TIME)
        budget = min(MOST_TIMING, TIMING_SHARE * self._seconds)
        return time_training(self._sized(candidate), budget, self._should_stop)

    def _limit(self, training: float) -> float:
        """Return the time limit that leaves these seconds for the steps."""
        return self._seconds * training / self.training


def _operations(job: TrainingJob) -> float:
    return training_operations(job.model, job.config.batch_size * job.config.seq_len)


def _most_steps(job: TrainingJob, given: Collection[str]) -> float:
    """Return how many steps the given settings allow."""
    config, limits = job.config, [math.inf]
    if config.max_steps is not None:
        limits.append(config.max_steps)
    if config.epochs is not None and "epochs" in given:
        windows = make_windows(job.corpus, job.split, config, seed=0)
        limits.append(config.epochs * windows.per_epoch)
    return min(limits)

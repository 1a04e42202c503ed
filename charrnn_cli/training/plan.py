"""The plan of a run, with every open setting decided."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.events import TrainingStarted
from charrnn_cli.seeds import random_seed
from charrnn_cli.text.splits import Split
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.recipe import automatic_dropout
from charrnn_cli.training.windows import Windows, make_windows

EVALUATIONS = 20  # per run
EVALUATION_INTERVAL = 30.0  # seconds between evaluations; less if evaluations are cheap
EVALUATION_SHARE = 0.02  # largest fraction of the time for evaluations less than 30 s apart
EXIT_RESERVE = 1.5  # seconds from the last save to the end of the process


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The device settings and timings of this machine, measured before the run."""

    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    seconds_per_step: float
    evaluation_seconds: float
    """Seconds of one evaluation on validation and training text; 0 without validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """The settings that a configuration may leave open, decided."""

    seed: int
    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    steps: int
    dropout: float
    eval_every: int
    """Steps between evaluations; 0 without validation."""

    def recorded(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with nothing left open, as checkpoints record it."""
        return dataclasses.replace(
            config,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            epochs=None,
            max_steps=self.steps,
            max_time=None,
            dropout=self.dropout,
            eval_every=self.eval_every,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The work of a run, and how long it takes."""

    config: TrainConfig
    decisions: Decisions
    split: Split
    windows: Windows
    seconds_per_step: float
    evaluation_seconds: float
    deadline: float | None
    """The time by which the process must end, on `time.monotonic`'s clock."""

    def started(
        self, run: str, model: ModelConfig, first_step: int, disk_free: int
    ) -> TrainingStarted:
        """Return the event that opens a run."""
        decisions = self.decisions
        return TrainingStarted(
            run=run,
            first_step=first_step,
            total_steps=decisions.steps,
            steps_per_epoch=self.windows.per_epoch,
            parameters=model.num_parameters,
            train_characters=self.split.train_characters,
            val_characters=self.split.val_characters,
            batch_size=self.config.batch_size,
            seq_len=self.config.seq_len,
            dropout=decisions.dropout,
            device=decisions.device,
            precision=decisions.precision,
            threads=decisions.threads,
            seed=decisions.seed,
            eval_every=decisions.eval_every,
            seconds_per_step=self.seconds_per_step,
            seconds_planned=self.seconds_from(first_step),
            disk_bytes=self.disk_bytes(model),
            disk_free=disk_free,
        )

    def seconds_from(self, step: int) -> float:
        """Estimate the seconds from a step to the end of the process."""
        left = self.decisions.steps - step
        every = self.decisions.eval_every
        evaluations = left // every if every else 0
        return (
            left * self.seconds_per_step
            + evaluations * self.evaluation_seconds
            + ending_seconds(self.evaluation_seconds)
        )

    def disk_bytes(self, model: ModelConfig) -> int:
        """Estimate the peak bytes on disk; each of two resume files stores three or four models."""
        every = [number for number in (self.decisions.eval_every, self.config.save_every) if number]
        step_files = sum(self.decisions.steps // number for number in every) + 1
        kept = min(self.config.keep, step_files)
        return 4 * model.num_parameters * (kept + 2 * self._models_per_resume_file)

    def first_save_bytes(self, model: ModelConfig) -> int:
        """Return the bytes of a step file and a resume file, without which a run keeps nothing."""
        return 4 * model.num_parameters * (1 + self._models_per_resume_file)

    @property
    def _models_per_resume_file(self) -> int:
        """Weights, both moments and, with it, the weights' average."""
        return 4 if self.config.ema else 3

    def is_late(self, now: float) -> bool:
        """Whether one more step would leave too little time to finish."""
        if self.deadline is None:
            return False
        needed = self.seconds_per_step + ending_seconds(self.evaluation_seconds)
        return now + needed > self.deadline


def make_plan(job: TrainingJob, calibration: Calibration, *, started: float, now: float) -> Plan:
    """Decide what the configuration leaves open.

    `max_time` counts from `started`; both times are on `time.monotonic`'s clock. The steps that
    `max_time` allows are added to those that a resumed run has done.
    Raises ConfigError for a `max_time` too short for one step, TextError for a short text.
    """
    config = job.config
    seed = random_seed() if config.seed is None else config.seed
    windows = make_windows(job.corpus, job.split, config, seed)
    deadline = None if config.max_time is None else started + config.max_time
    limits = []
    if config.max_steps is not None:
        limits.append(config.max_steps)
    if config.epochs is not None:
        limits.append(config.epochs * windows.per_epoch)
    if deadline is not None:
        limits.append(job.first_step + _steps_until(deadline, calibration, started, now))
    steps = min(limits)
    passes = steps / windows.per_epoch
    decisions = Decisions(
        seed=seed,
        device=calibration.device,
        precision=calibration.precision,
        threads=calibration.threads,
        steps=steps,
        dropout=automatic_dropout(passes) if config.dropout is None else config.dropout,
        eval_every=_steps_between_evaluations(job, calibration, steps),
    )
    return Plan(
        config=config,
        decisions=decisions,
        split=job.split,
        windows=windows,
        seconds_per_step=calibration.seconds_per_step,
        evaluation_seconds=calibration.evaluation_seconds,
        deadline=deadline,
    )


def ending_seconds(evaluation_seconds: float) -> float:
    """Estimate the seconds of the last evaluations, the last saves and the exit."""
    return EXIT_RESERVE + 2.5 * evaluation_seconds


def _steps_until(deadline: float, calibration: Calibration, started: float, now: float) -> int:
    per_step, per_evaluation = calibration.seconds_per_step, calibration.evaluation_seconds
    ending = ending_seconds(per_evaluation)
    left = deadline - now - ending
    if left < per_step:
        needed = 2 * (deadline - started - left + per_step)
        raise ConfigError(
            f"max time {deadline - started:g} s is too short: "
            f"startup took {now - started:.1f} s, and finishing will take {ending:.1f} s",
            hint=f"use at least --max-time {needed:.0f}s",
        )
    evaluations = min(EVALUATIONS, left / max(_interval(per_evaluation), 1e-6))
    return max(1, int((left - evaluations * per_evaluation) / per_step))


def _interval(evaluation_seconds: float) -> float:
    return min(EVALUATION_INTERVAL, evaluation_seconds / EVALUATION_SHARE)


def _steps_between_evaluations(job: TrainingJob, calibration: Calibration, steps: int) -> int:
    if not job.split.val:
        return 0
    if job.config.eval_every is not None:
        return job.config.eval_every or steps
    seconds = _interval(calibration.evaluation_seconds)
    apart = math.ceil(seconds / max(calibration.seconds_per_step, 1e-6))
    return min(steps, max(apart, math.ceil(steps / EVALUATIONS)))

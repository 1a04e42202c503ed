"""The plan of a run, with every open setting decided."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.events import TrainingStarted
from charrnn_cli.seeds import random_seed
from charrnn_cli.text.rows import Span
from charrnn_cli.text.splits import Split, matching_rows
from charrnn_cli.training.evaluation_plan import (
    LEAST_CHARACTERS,
    evaluation_work,
    evenly_spread,
    fitting_rows,
    num_evaluations,
    train_share,
)
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.recipe import automatic_dropout
from charrnn_cli.training.window import Windows
from charrnn_cli.training.windows import make_windows

EXIT_RESERVE = 1.5  # seconds from the last save to the end of the process


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The device settings and timings of this machine, measured before the run."""

    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    seconds_per_step: float
    evaluation_seconds: float
    """Seconds of one evaluation of all validation rows; 0 without validation."""


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
    val_rows: int
    """Rows of the validation text that every evaluation reads."""

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
            val_rows=self.val_rows or None,
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
    """Seconds of one evaluation of the rows that are read."""
    deadline: float | None
    """The time by which the process must end, on `time.monotonic`'s clock."""

    @property
    def val(self) -> tuple[Span, ...]:
        """The rows of validation text that are evaluated; none without validation."""
        return evenly_spread(self.split.val, self.decisions.val_rows)

    @property
    def matching(self) -> tuple[Span, ...]:
        """Rows of training text, like those of `val` or a part of them."""
        count = math.ceil(train_share(self.split.val_characters) * self.decisions.val_rows)
        return evenly_spread(matching_rows(self.split), count)

    def started(self, job: TrainingJob, first_step: int, disk_free: int) -> TrainingStarted:
        """Return the event that opens a run."""
        decisions = self.decisions
        return TrainingStarted(
            run=job.run.name,
            first_step=first_step,
            total_steps=decisions.steps,
            steps_per_epoch=self.windows.per_epoch,
            model=str(job.model),
            parameters=job.model.num_parameters,
            init_from=job.init_from,
            learning_rate=self.config.lr,
            train_characters=self.split.train_characters,
            val_characters=self.split.val_characters,
            evaluated_characters=sum(stop - start for start, stop in self.val),
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
            disk_bytes=self.disk_bytes(job.model),
            disk_free=disk_free,
            scale=job.scale,
        )

    def seconds_from(self, step: int) -> float:
        """Estimate the seconds from a step to the end of the process."""
        left = self.decisions.steps - step
        evaluations = left // self.decisions.eval_every if self.decisions.eval_every else 0
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

    def replanned(self, step: int, steps: int, seconds_per_step: float) -> Self:
        """Return the plan for a machine that is slower than planned, from a step on.

        The learning rate falls to its end in the new number of steps.
        """
        old = self.decisions
        every = old.eval_every
        if self.config.eval_every is None and every:
            every = max(1, round(every * steps / old.steps))
        return dataclasses.replace(
            self,
            config=dataclasses.replace(self.config, replanned_at=step, replanned_from=old.steps),
            decisions=dataclasses.replace(old, steps=steps, eval_every=every),
            seconds_per_step=seconds_per_step,
            evaluation_seconds=self.evaluation_seconds * seconds_per_step / self.seconds_per_step,
        )

    def is_late(self, now: float, slowness: float = 1.0) -> bool:
        """Whether one more step would leave too little time to finish.

        `slowness` is the time of the last steps relative to the plan.
        """
        if self.deadline is None:
            return False
        needed = self.seconds_per_step + ending_seconds(self.evaluation_seconds)
        return now + slowness * needed > self.deadline


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
    limits = [] if config.max_steps is None else [config.max_steps]
    if config.epochs is not None:
        limits.append(config.epochs * windows.per_epoch)
    rows = _rows_to_evaluate(job, calibration, deadline, now, limits)
    each = calibration.evaluation_seconds * rows / max(len(job.split.val), 1)
    per_step = calibration.seconds_per_step
    if deadline is not None:
        seconds = _seconds_until(deadline, per_step, each, started, now)
        needed = per_step
        if config.eval_every:
            needed += each / config.eval_every
        elif config.eval_every is None:
            seconds -= num_evaluations(each, seconds, int(seconds / per_step)) * each
        limits.append(job.first_step + max(1, int(seconds / needed)))
    steps = min(limits)
    dropout = config.dropout
    if dropout is None:
        dropout = automatic_dropout(steps / windows.per_epoch, job.split.train_characters)
    decisions = Decisions(
        seed=seed,
        device=calibration.device,
        precision=calibration.precision,
        threads=calibration.threads,
        steps=steps,
        dropout=dropout,
        eval_every=_steps_between_evaluations(job, steps, rows, each, per_step),
        val_rows=rows,
    )
    return Plan(
        config=config,
        decisions=decisions,
        split=job.split,
        windows=windows,
        seconds_per_step=per_step,
        evaluation_seconds=each,
        deadline=deadline,
    )


def ending_seconds(evaluation_seconds: float) -> float:
    """Estimate the seconds of the last evaluation, the last saves and the exit."""
    return EXIT_RESERVE + 1.5 * evaluation_seconds


def _rows_to_evaluate(
    job: TrainingJob,
    calibration: Calibration,
    deadline: float | None,
    now: float,
    limits: Sequence[int],
) -> int:
    """Return how many rows of validation text the evaluations read; `limits` are those of steps."""
    config, rows = job.config, len(job.split.val)
    if not rows:
        return 0
    if config.val_rows is not None:
        return min(rows, config.val_rows)
    if deadline is not None:
        return fitting_rows(rows, calibration.evaluation_seconds, deadline - now - EXIT_RESERVE)
    if config.eval_every is not None:
        return rows
    characters = job.split.val_characters
    fitting = fitting_rows(rows, evaluation_work(characters), _work(job, min(limits)))
    return max(fitting, min(rows, math.ceil(rows * LEAST_CHARACTERS / characters)))


def _seconds_until(
    deadline: float, per_step: float, per_evaluation: float, started: float, now: float
) -> float:
    """Return the seconds left for steps and evaluations. Raises ConfigError for less than one."""
    ending = ending_seconds(per_evaluation)
    left = deadline - now - ending
    if left < per_step:
        needed = 2 * (deadline - started - left + per_step)
        raise ConfigError(
            f"max time {deadline - started:g} s is too short: "
            f"startup took {now - started:.1f} s, and finishing will take {ending:.1f} s",
            hint=f"use at least --max-time {needed:.0f}s",
        )
    return left


def _steps_between_evaluations(
    job: TrainingJob, steps: int, rows: int, per_evaluation: float, per_step: float
) -> int:
    """Return the steps between evaluations; 0 without validation.

    Without a limit of time, they do not depend on measured seconds, so that a seeded run is the
    same everywhere.
    """
    config = job.config
    if not job.split.val:
        return 0
    if config.eval_every is not None:
        return config.eval_every or steps
    if config.max_time is not None:
        cost, work = per_evaluation, steps * per_step
    else:
        cost = evaluation_work(job.split.val_characters) * rows / len(job.split.val)
        work = _work(job, steps)
    return math.ceil(steps / num_evaluations(cost, work, steps))


def _work(job: TrainingJob, steps: int) -> int:
    return steps * job.config.batch_size * job.config.seq_len

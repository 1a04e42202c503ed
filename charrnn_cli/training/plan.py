"""A run's plan: every open setting decided, once, so that the same plan gives the same run."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.events import TrainingStarted
from charrnn_cli.seeds import random_seed
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import Split, split_corpus
from charrnn_cli.training.calibration import time_run
from charrnn_cli.training.device import choose_device, choose_precision
from charrnn_cli.training.recipe import automatic_dropout
from charrnn_cli.training.windows import Windows, make_windows

EVALUATIONS = 20
EVALUATION_INTERVAL = 30.0  # seconds between evaluations, or less where they cost less than
EVALUATION_SHARE = 0.02  # of the time
EXIT_RESERVE = 1.5  # seconds from the last save to the process's exit


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done. `config` holds no open setting: `max_steps` is the plan's length."""

    config: TrainConfig
    split: Split
    windows: Windows
    steps: int
    seconds_per_step: float
    evaluation_seconds: float
    """What one evaluation takes."""
    deadline: float | None
    """On `time.monotonic`'s clock: the moment when the run must have ended."""

    def started(self, run: str, model: ModelConfig, first_step: int) -> TrainingStarted:
        """The plan as the event that opens a run."""
        config = self.config
        assert config.seed is not None
        assert config.dropout is not None
        assert config.threads is not None
        return TrainingStarted(
            run=run,
            first_step=first_step,
            total_steps=self.steps,
            steps_per_epoch=self.windows.per_epoch,
            parameters=model.num_parameters,
            train_characters=self.split.train_characters,
            val_characters=self.split.val_characters,
            batch_size=config.batch_size,
            seq_len=config.seq_len,
            dropout=config.dropout,
            device=config.device,
            precision=config.precision,
            threads=config.threads,
            seed=config.seed,
            eval_every=config.eval_every or 0,
            seconds_per_step=self.seconds_per_step,
            seconds_planned=self.seconds_from(first_step),
        )

    def seconds_from(self, step: int) -> float:
        """About what is to come after a step will take."""
        left = self.steps - step
        evaluations = left // self.config.eval_every if self.config.eval_every else 0
        return (
            left * self.seconds_per_step
            + evaluations * self.evaluation_seconds
            + ending_seconds(self.evaluation_seconds)
        )

    def disk_bytes(self, model: ModelConfig) -> int:
        """About what the run will take at most: step files of weights, and two resume files of three times as much."""
        every = [number for number in (self.config.eval_every, self.config.save_every) if number]
        checkpoints = min(self.config.keep, sum(self.steps // number for number in every) + 1)
        copies = 3 + (1 if self.config.ema else 0)
        return 4 * model.num_parameters * (checkpoints + 2 * copies)


def make_plan(
    corpus: Corpus,
    model: ModelConfig,
    config: TrainConfig,
    *,
    started: float,
    first_step: int,
    should_stop: Callable[[], bool],
) -> Plan:
    """Decide the seed, device, precision, steps, dropout and evaluations. Times a few steps, which are thrown away.

    `started` is the moment, on `time.monotonic`'s clock, from which `max_time` counts; the steps that it allows
    come on top of `first_step`.
    Raises ConfigError, TextError, DeviceError.
    """
    if model.vocabulary_size != len(corpus.vocab):
        raise ConfigError(
            f"the model has {model.vocabulary_size:,} symbols and the text {len(corpus.vocab):,}",
            hint="build it with vocabulary_size=len(corpus.vocab)",
        )
    device = choose_device(config.device)
    # Another number of threads rounds otherwise, so who names a seed gets the same one every time.
    threads_are_open = config.threads is None and config.seed is None and device.type == "cpu"
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    config = dataclasses.replace(
        config,
        seed=random_seed() if config.seed is None else config.seed,
        device=str(device),
        precision=choose_precision(config.precision, device),
    )
    split = split_corpus(corpus, config)
    windows = make_windows(corpus, split, config)
    seconds_per_step, evaluation_seconds = time_run(
        corpus, model, config, split, windows, should_stop, threads_are_open=threads_are_open
    )
    config = dataclasses.replace(config, threads=torch.get_num_threads())

    limits = []
    if config.max_steps is not None:
        limits.append(config.max_steps)
    if config.epochs is not None:
        limits.append(config.epochs * windows.per_epoch)
    deadline = None
    if config.max_time is not None:
        deadline = started + config.max_time
        left = deadline - time.monotonic() - ending_seconds(evaluation_seconds)
        evaluations = (
            min(EVALUATIONS, left / max(_apart(evaluation_seconds), 1e-6)) * evaluation_seconds
        )
        if left < seconds_per_step:
            raise ConfigError(
                f"max time {config.max_time:g} s is too short: the start took {time.monotonic() - started:.1f} s here, "
                f"and the end will take {ending_seconds(evaluation_seconds):.1f} s",
                hint=f"give it at least {2 * (config.max_time - left + seconds_per_step):.0f}s",
            )
        limits.append(first_step + max(1, int((left - evaluations) / seconds_per_step)))
    steps = min(limits)
    dropout = (
        automatic_dropout(steps / windows.per_epoch) if config.dropout is None else config.dropout
    )
    config = dataclasses.replace(
        config,
        epochs=None,
        max_steps=steps,
        max_time=None,
        dropout=dropout,
        eval_every=_evaluation_steps(config, split, steps, seconds_per_step, evaluation_seconds),
    )
    return Plan(config, split, windows, steps, seconds_per_step, evaluation_seconds, deadline)


def ending_seconds(evaluation_seconds: float) -> float:
    """Kept for the last evaluations, on validation and on training text, the saves and the exit."""
    return EXIT_RESERVE + 2.5 * evaluation_seconds


def _apart(evaluation_seconds: float) -> float:
    return min(EVALUATION_INTERVAL, evaluation_seconds / EVALUATION_SHARE)


def _evaluation_steps(
    config: TrainConfig,
    split: Split,
    steps: int,
    seconds_per_step: float,
    evaluation_seconds: float,
) -> int:
    if not split.val:
        return 0
    if config.eval_every is not None:
        return config.eval_every or steps
    apart = math.ceil(_apart(evaluation_seconds) / max(seconds_per_step, 1e-6))
    return min(steps, max(apart, math.ceil(steps / EVALUATIONS)))

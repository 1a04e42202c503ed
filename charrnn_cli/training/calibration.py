"""Seconds of a step and of an evaluation, measured on this machine."""

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch

from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import GAP_STRIDE, Split
from charrnn_cli.training.evaluation import MAX_ROWS, evaluate, window_length
from charrnn_cli.training.trainer import Trainer
from charrnn_cli.training.windows import Windows

LONG_STEP = 1.0  # seconds; one thread is not tried where steps are longer, and hardly wins
SPEEDUP_TO_USE_ONE_THREAD = 1.5  # times, from which one thread is better than all


def time_steps(trainer: Trainer, budget: float, should_stop: Callable[[], bool]) -> float:
    """Seconds of a step: of up to 20 steps in about `budget` seconds, three at least."""
    durations: list[float] = []
    begun = time.monotonic()
    while len(durations) < 3 or (len(durations) < 20 and time.monotonic() - begun < budget):
        if should_stop() and durations:
            break
        before = time.monotonic()
        trainer.update()
        trainer.is_healthy()  # waits for the device
        durations.append(time.monotonic() - before)
    return statistics.fmean(durations[2:] or durations)  # the first two prepare kernels and buffers


def time_run(
    corpus: Corpus,
    model: ModelConfig,
    config: TrainConfig,
    split: Split,
    windows: Windows,
    should_stop: Callable[[], bool],
    *,
    threads_are_open: bool,
) -> tuple[float, float]:
    """Seconds of a step and of an evaluation, from a model of the same shape that is thrown away.

    Where the number of threads is open, one thread is tried too, and stays where it is much faster: threads that
    wait for each other are slow while other programs run, and for tiny models.
    """
    dropout = 0.25 if config.dropout is None else config.dropout
    trainer = Trainer(
        model, dataclasses.replace(config, dropout=dropout), windows, total_steps=1000
    )
    budget = 2.0 if config.max_time is None else min(4.0, config.max_time / 20)
    seconds_per_step = time_steps(trainer, budget, should_stop)
    threads = torch.get_num_threads()
    if threads_are_open and threads > 1 and seconds_per_step < LONG_STEP:
        torch.set_num_threads(1)
        alone = time_steps(trainer, budget / 8, should_stop)
        if SPEEDUP_TO_USE_ONE_THREAD * alone < seconds_per_step:
            seconds_per_step = alone
        else:
            torch.set_num_threads(threads)
    if not split.val:
        return seconds_per_step, 0.0
    some = split.val[:MAX_ROWS]
    length = min(
        max(stop - start for start, stop in some), window_length(len(some), model.vocabulary_size)
    )
    rows = [(start, min(stop, start + length)) for start, stop in some]
    for _ in range(2):  # the first prepares kernels for these shapes
        before = time.monotonic()
        evaluate(trainer.model, corpus, rows, config.precision)
        seconds = time.monotonic() - before
    share = sum(stop - start for start, stop in rows) / split.val_characters
    return seconds_per_step, seconds / share * (1 + 1 / GAP_STRIDE)

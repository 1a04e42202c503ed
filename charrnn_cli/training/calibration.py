"""Choose device, precision and threads on this machine, and measure steps and evaluations."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from charrnn_cli.training.decisions import Calibration, Decisions
from charrnn_cli.training.device import (
    check_precision,
    choose_device,
    set_threads,
    supports_bf16,
)
from charrnn_cli.training.evaluation import (
    MAX_ROWS,
    evaluate,
    never_stop,
    window_length,
)
from charrnn_cli.training.evaluation_plan import train_share
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.processes import Processes
from charrnn_cli.training.products import BUDGET, ProductTimes, step_products, time_products
from charrnn_cli.training.trainer import Trainer, make_trainer
from charrnn_cli.training.windows import make_windows

TIMED_STEPS = 20
WARM_UP_STEPS = 2  # prepare kernels and buffers
STEPS_BUDGET = 2.0  # seconds
LONG_STEP = 1.0  # seconds; for longer steps, products say whether one thread is worth trying
SPEEDUP_TO_USE_ONE_THREAD = 1.5
WORTHWHILE = 1.25  # times as fast in products: converting numbers costs some of what is saved


@dataclass(frozen=True, slots=True)
class TimedTraining:
    """A trainer of a job's model on this machine, and how fast it is."""

    job: TrainingJob
    trainer: Trainer
    threads: int
    seconds_per_step: float

    def calibration(self) -> Calibration:
        """Time an evaluation as well; torch is set to the chosen number of threads."""
        torch.set_num_threads(self.threads)
        decisions, has_val = self.trainer.decisions, bool(self.job.split.val)
        return Calibration(
            device=decisions.device,
            precision=decisions.precision,
            threads=self.threads,
            seconds_per_step=self.seconds_per_step,
            evaluation_seconds=time_evaluation(self.job, self.trainer) if has_val else 0.0,
        )


def calibrate(
    job: TrainingJob, should_stop: Callable[[], bool], processes: Processes | None = None
) -> Calibration:
    """Choose the device, the precision and the threads, and time steps and an evaluation.

    A model of the job's shape trains for a few steps and is discarded. torch is set to the
    returned number of threads. `processes` says which rows of a batch are timed.
    Raises DeviceError, TextError.
    """
    config = job.config
    budget = STEPS_BUDGET if config.max_time is None else min(4.0, config.max_time / 20)
    return time_training(job, budget, should_stop, processes).calibration()


def time_training(
    job: TrainingJob,
    budget: float,
    should_stop: Callable[[], bool],
    processes: Processes | None = None,
) -> TimedTraining:
    """Choose the device, the precision and the threads, and time steps for `budget` seconds.

    Raises DeviceError, TextError.
    """
    config = job.config
    device = choose_device(config.device)
    if config.threads is not None:
        set_threads(config.threads)  # that of a resume file may come from a larger machine
    decisions = Decisions(
        seed=config.seed or 0,
        device=str(device),
        precision=choose_precision(job, device),
        threads=torch.get_num_threads(),
        steps=1000,
        dropout=0.25 if config.dropout is None else config.dropout,
        eval_every=0,
        val_rows=0,
    )
    windows = make_windows(job.corpus, job.split, config, decisions.seed)
    trainer = make_trainer(job, decisions, windows, processes=processes)
    seconds_per_step = time_steps(trainer, budget, should_stop)
    if (
        config.threads is None
        and device.type == "cpu"
        and may_use_one_thread(job, seconds_per_step)
    ):
        seconds_per_step = fastest_threads(trainer, seconds_per_step, budget / 8, should_stop)
    return TimedTraining(job, trainer, torch.get_num_threads(), seconds_per_step)


def choose_precision(job: TrainingJob, device: torch.device) -> Literal["fp32", "bf16"]:
    """Return the precision of a run; `auto` is bf16 where its own products are much faster.

    Raises DeviceError.
    """
    config = job.config
    check_precision(config.precision, device)
    if config.precision != "auto":
        return config.precision
    if not supports_bf16(device):
        return "fp32"
    products = step_products(job.model, config.batch_size, config.seq_len)
    budget = BUDGET if config.max_time is None else min(BUDGET, config.max_time / 200)
    return faster_precision(time_products(products, device, budget=budget))


def faster_precision(times: ProductTimes) -> Literal["fp32", "bf16"]:
    """Return bf16 if its products are at least 1.25 times as fast as those of fp32."""
    return "bf16" if times.fp32 >= WORTHWHILE * times.bf16 else "fp32"


def one_thread_speedup(job: TrainingJob, device: torch.device) -> float | None:
    """Return how many times as fast one thread computes products now; None if it is not faster.

    Does not change what a run computes. Takes up to half a second.
    """
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu":
        return None
    products = step_products(job.model, job.config.batch_size, job.config.seq_len)
    together, alone = (time_products(products, device, threads=number) for number in (threads, 1))
    speedup = together.fp32 / alone.fp32
    return speedup if speedup > 1 else None


def may_use_one_thread(job: TrainingJob, seconds_per_step: float) -> bool:
    """Return whether one thread is worth the time of a few steps with it."""
    if seconds_per_step < LONG_STEP:
        return True
    speedup = one_thread_speedup(job, torch.device("cpu"))
    return speedup is not None and speedup >= SPEEDUP_TO_USE_ONE_THREAD


def time_steps(trainer: Trainer, budget: float, should_stop: Callable[[], bool]) -> float:
    """Return the mean seconds per step, from up to 20 steps in about `budget` seconds.

    There are at least three, unless they take more than four times as long, and at least one.
    """
    durations: list[float] = []
    begun = time.monotonic()
    while not durations or (
        len(durations) < TIMED_STEPS
        and time.monotonic() - begun < (4 * budget if len(durations) < 3 else budget)
        and not should_stop()
    ):
        before = time.monotonic()
        trainer.update()
        trainer.is_healthy()  # waits for the device
        durations.append(time.monotonic() - before)
    return statistics.fmean(durations[WARM_UP_STEPS:] or durations)


def fastest_threads(
    trainer: Trainer, seconds_per_step: float, budget: float, should_stop: Callable[[], bool]
) -> float:
    """Try one thread, keep it if it is much faster, and return the seconds per step.

    Several threads are slow while other programs run, and for tiny models, because they wait for
    each other.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return seconds_per_step
    torch.set_num_threads(1)
    alone = time_steps(trainer, budget, should_stop)
    if SPEEDUP_TO_USE_ONE_THREAD * alone < seconds_per_step:
        return alone
    torch.set_num_threads(threads)
    return seconds_per_step


def time_evaluation(job: TrainingJob, trainer: Trainer) -> float:
    """Estimate the seconds of an evaluation on validation and training text from a part of it."""
    val = job.split.val
    some = val[:MAX_ROWS]
    longest = max(stop - start for start, stop in some)
    length = min(longest, window_length(len(some), job.model.vocabulary_size))
    rows = [(start, min(stop, start + length)) for start, stop in some]
    precision, ngrams = trainer.decisions.precision, trainer.ngrams
    seconds = 0.0
    for _ in range(2):  # the first prepares kernels for these shapes
        before = time.monotonic()
        evaluate(trainer.model, job.corpus, rows, precision, never_stop, ngrams)
        seconds = time.monotonic() - before
    fraction = sum(stop - start for start, stop in rows) / job.split.val_characters
    return seconds / fraction * (1 + train_share(job.split.val_characters))

"""Training, a generator of events."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from charrnn_cli.errors import ConfigError, RunBusyError
from charrnn_cli.events import TrainEvent
from charrnn_cli.storage.metrics_log import record
from charrnn_cli.text.splits import symbol_frequencies
from charrnn_cli.training.action_loop import ActionLoop
from charrnn_cli.training.calibration import calibrate
from charrnn_cli.training.decisions import Calibration
from charrnn_cli.training.device import restored_threads, translate_memory_errors
from charrnn_cli.training.evaluation import never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.plan import make_plan
from charrnn_cli.training.processes import Processes
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.saver import Saver
from charrnn_cli.training.shared_plan import plan_message
from charrnn_cli.training.trainer import make_trainer

if TYPE_CHECKING:
    from charrnn_cli.training.process_group import ProcessGroup


def train(
    job: TrainingJob,
    *,
    should_stop: Callable[[], bool] = never_stop,
    started: float | None = None,
    calibration: Calibration | None = None,
    reserve: float = 0.0,
    group: "ProcessGroup | None" = None,
) -> Iterator[TrainEvent]:
    """Train a job, and report progress as events; nothing is printed.

    The generator is lazy: work is done only while events are taken from it. A `break` loses the
    steps since the last save, about a minute at most; `should_stop` is polled between steps and
    saves before the run ends. `max_time` counts from `started`, on `time.monotonic`'s clock; by
    default, from the first event. `calibration` is that of this job, if it was measured before.
    `reserve` seconds of `max_time` are left for the caller's work after the last event. `group` are
    the processes that train the run; this is the first of them, and the others follow.
    Raises ConfigError, TextError, DeviceError, FileFormatError, RunBusyError, StorageError,
    MemoryShortageError, DivergedError, ProcessLostError.
    """
    started = time.monotonic() if started is None else started
    if group is not None:
        job, calibration = _for_one_of(group, job), None
    with job.held() as held, restored_threads():
        saver = Saver(held.run, held.config.keep)  # puts a damaged resume file aside first
        _check_not_advanced(held)
        with translate_memory_errors("use a smaller --batch-size, --seq-len, --size or --layers"):
            if calibration is None:
                calibration = _calibrate(held, should_stop, group)
            torch.set_num_threads(calibration.threads)
            now = time.monotonic()
            plan = make_plan(held, calibration, started=started, now=now, reserve=reserve)
            is_fresh = held.snapshot is None and held.initial is None
            frequencies_V = symbol_frequencies(held.corpus, held.split) if is_fresh else None
            trainer = make_trainer(held, plan.decisions, plan.windows, frequencies_V, group)
            state = RunState(held, plan.decisions, trainer, started)
            if group is not None:
                group.send(*plan_message(held, plan, state))
            loop = ActionLoop(held, plan, saver, state, should_stop)
            yield from record(loop.events(), held.run)
            if group is not None:
                group.board.hear_stop()


def _for_one_of(group: "ProcessGroup", job: TrainingJob) -> TrainingJob:
    """Return a job with the threads of one of several processes on a machine.

    Raises ConfigError for a batch of fewer rows than processes.
    """
    config, size = job.config, group.share.size
    if size > config.batch_size:
        raise ConfigError(
            f"{size} processes cannot share a batch of {config.batch_size} rows",
            hint=f"use --batch-size {size} or more, or fewer processes",
        )
    threads = min(config.threads or group.threads, group.threads)
    return dataclasses.replace(job, config=dataclasses.replace(config, threads=threads))


def _calibrate(
    job: TrainingJob, should_stop: Callable[[], bool], group: "ProcessGroup | None"
) -> Calibration:
    """Return the decisions on this machine, with the time of a step of all processes."""
    if group is None:
        return calibrate(job, should_stop)
    alone = Processes(group.share, group.local_size)
    calibration = calibrate(job, should_stop, alone)
    device, parameters = group.device(calibration.device), job.model.num_parameters
    group.send({"device": str(device), "parameters": parameters})
    seconds = calibration.seconds_per_step + group.time_sum(parameters, device)
    return dataclasses.replace(calibration, device=str(device), seconds_per_step=seconds)


def _check_not_advanced(job: TrainingJob) -> None:
    """Raise RunBusyError if the run has advanced since the job was prepared."""
    reached = job.run.resume_header()
    if reached is not None and reached.step != job.first_step:
        raise RunBusyError(
            f"another process has trained run {job.run.name!r} to step {reached.step}",
            hint=f"charrnn train --resume {job.run.name}",
        )

"""The part of a process that is not the first: it trains its rows, and writes nothing."""

import dataclasses
import time
from collections.abc import Callable

import torch

from charrnn_cli.errors import DivergedError
from charrnn_cli.training.action_loop import ActionLoop
from charrnn_cli.training.device import restored_threads, set_threads, translate_memory_errors
from charrnn_cli.training.process_board import FirstEnded
from charrnn_cli.training.process_group import ProcessGroup
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.saver import NoSaver
from charrnn_cli.training.shared_plan import job_and_plan
from charrnn_cli.training.trainer import make_trainer


def follow(processes: ProcessGroup, should_stop: Callable[[], bool]) -> int:
    """Train with the first process until that ends, and return its exit code.

    Raises ProcessLostError, and errors of this process alone: TextError, MismatchError,
    MemoryShortageError.
    """
    try:
        _train(processes, should_stop)
    except FirstEnded as end:
        return end.code
    except DivergedError:  # of all processes
        pass
    return processes.board.wait_for_end()


def _train(processes: ProcessGroup, should_stop: Callable[[], bool]) -> None:
    started = time.monotonic()
    measured, _ = processes.receive()
    device = processes.device(measured["device"])
    torch.set_num_threads(processes.threads)
    processes.time_sum(measured["parameters"], device)
    job, plan = job_and_plan(*processes.receive())
    plan = dataclasses.replace(
        plan, decisions=dataclasses.replace(plan.decisions, device=str(device))
    )
    smaller = "use a smaller --batch-size, --seq-len, --size or --layers"
    with restored_threads(), translate_memory_errors(smaller):
        set_threads(plan.decisions.threads)
        trainer = make_trainer(job, plan.decisions, plan.windows, processes=processes)
        state = RunState(job, plan.decisions, trainer, started)
        for _ in ActionLoop(job, plan, NoSaver(), state, should_stop).events():
            pass

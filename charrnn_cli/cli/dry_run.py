"""The plan of a run from a few timed steps, without training it."""

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.sample_copies import seconds_to_compare
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.cli.terminal.phases import SECONDS_TO_TIME, Phases
from charrnn_cli.cli.terminal.run_facts import Facts
from charrnn_cli.events import TrainingStarted
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.paths import free_bytes

if TYPE_CHECKING:
    from charrnn_cli.training.decisions import Calibration
    from charrnn_cli.training.job import TrainingJob


def timed_plan(
    job: "TrainingJob",
    calibration: "Calibration | None",
    stop: StopRequest,
    phases: Phases,
    *,
    as_json: bool,
) -> TrainingStarted:
    """Return the event that would open the run after a few timed steps; see `planned`."""
    if calibration is None:
        phases.announce(f"loading torch, and timing steps of {job.model}", SECONDS_TO_TIME)
    event = planned(job, calibration, stop)
    phases.close()
    if as_json:
        console.write_line(safe_text.to_json(event_to_json(event, utc_now())))
    return event


def planned(
    job: "TrainingJob", calibration: "Calibration | None", stop: StopRequest
) -> TrainingStarted:
    """Return the event that would open the run; nothing is saved.

    Raises ConfigError, TextError, DeviceError, InterruptionError.
    """
    from charrnn_cli.training.calibration import calibrate
    from charrnn_cli.training.device import restored_threads
    from charrnn_cli.training.plan import make_plan

    if calibration is None:
        with restored_threads():
            calibration = calibrate(job, stop)
    reserve = seconds_to_compare(job)
    plan = make_plan(job, calibration, started=STARTED, now=time.monotonic(), reserve=reserve)
    stop.check()
    return plan.started(job, 0, free_bytes(job.run.path))


def needs_facts(event: TrainingStarted) -> Facts:
    """Report the memory that the timed steps took, and the disk space that the run will take."""
    facts = []
    with contextlib.suppress(ImportError):  # not every platform has this module
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        facts.append(("memory", f"peak {format_size(peak)} after a few steps and an evaluation"))
    return [*facts, ("disk", f"up to {format_size(event.disk_bytes)}")]

"""The ordinary run that a trial of a study is."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from charrnn_cli.errors import MismatchError
from charrnn_cli.events import TrainEvent
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, best
from charrnn_cli.text.corpus import ProgressCallback
from charrnn_cli.training.calibration import calibrate
from charrnn_cli.training.device import restored_threads, translate_memory_errors
from charrnn_cli.training.ending import EXIT_RESERVE
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.phases import Announce
from charrnn_cli.training.plan import make_plan
from charrnn_cli.training.recipe import DROPOUT_LEVELS
from charrnn_cli.training.tuning.dimension import RELATIVE
from charrnn_cli.training.tuning.rounds import Known, ranked
from charrnn_cli.training.tuning.space import MAX_DROPOUT, settings_of
from charrnn_cli.training.tuning.spec import StudySpec

MEMORY_HINT = "use a smaller --batch-size, --seq-len, --size or --layers"


def run_of_trial(study: str, number: int) -> str:
    """Return the name of a trial's run."""
    return f"{study}-{number:02}"


def trial_run(study: str, number: int) -> Run:
    """Return the run of a trial, which may not exist."""
    name = run_of_trial(study, number)
    return Run(name, Registry().root / name)


def trial_job(
    spec: StudySpec,
    params: Mapping[str, Any],
    *,
    name: str,
    machine: Mapping[str, Any],
    seconds: float | None,
    progress: ProgressCallback,
    announce: Announce,
) -> TrainingJob:
    """Prepare the run of a trial, as `charrnn train` does with its settings.

    `machine` has settings of this computer that replace the study's, such as the device, and
    `seconds` is the limit of its time. Raises as `TrainingJob.new` does, MismatchError if the text
    has changed.
    """
    settings = {**spec.settings, **machine, **settings_of(params)}
    if seconds is not None:
        settings["max_time"] = seconds
    source = dataclasses.replace(spec.source, test=None)  # the winner alone is scored on it
    job = TrainingJob.new(
        source,
        settings,
        preset=spec.preset,
        name=name,
        options=spec.options,
        progress=progress,
        announce=announce,
    )
    if job.corpus.sha256 != spec.sha256:
        raise MismatchError(
            "the text has changed since the study began", hint="start a new study with it"
        )
    return job


def with_limit(job: TrainingJob, seconds: float | None) -> TrainingJob:
    """Return a job with another limit of its time."""
    return dataclasses.replace(job, config=dataclasses.replace(job.config, max_time=seconds))


def train_trial(
    job: TrainingJob, params: Mapping[str, Any], should_stop: Callable[[], bool], started: float
) -> Iterator[TrainEvent]:
    """Train a trial's run. A limit of time counts from `started`.

    Raises as `train` does.
    """
    # The process goes on after the run, so most of the time for its exit is not needed.
    reserve = -EXIT_RESERVE / 2 if job.config.max_time is not None else 0.0
    if RELATIVE not in params or job.snapshot is not None:
        yield from train(job, should_stop=should_stop, started=started, reserve=reserve)
        return
    with restored_threads(), translate_memory_errors(MEMORY_HINT):
        calibration = calibrate(job, should_stop)
        now = time.monotonic()
        plan = make_plan(job, calibration, started=started, now=now, reserve=reserve)
    dropout = _shifted(plan.decisions.dropout, float(params[RELATIVE]))
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, dropout=dropout))
    yield from train(
        job, should_stop=should_stop, started=started, calibration=calibration, reserve=reserve
    )


def _shifted(automatic: float, shift: float) -> float:
    shifted = min(MAX_DROPOUT, max(0.0, automatic + shift))
    return round(shifted * DROPOUT_LEVELS) / DROPOUT_LEVELS


def belongs(run: Run, spec: StudySpec) -> bool:
    """Return whether all checkpoints of a run are of the study's text, as those of its trials."""
    return all(
        entry.header is not None and entry.header.data.sha256 == spec.sha256
        for entry in run.checkpoints()
    )


def prune_to_best(run: Run, spec: StudySpec) -> None:
    """Delete all step files of a finished trial but the best one. Raises StorageError."""
    entries = run.checkpoints()
    lowest = best(entries)
    if lowest is not None and belongs(run, spec):
        for entry in entries:
            if entry.step != lowest.step:
                run.remove(entry.path)


def prune_loser(study: str, spec: StudySpec, known: Sequence[Known], number: int) -> None:
    """Keep one checkpoint of the trial that has ended or, if it wins, of the one that it beat.

    It happens once, at this moment: later, the user may have trained the run further.
    Raises StorageError.
    """
    last = len(spec.rounds) - 1
    best = [each.number for each in ranked(known) if each.round == last][:2]
    for loser in best[1:] if best[:1] == [number] else [number]:
        run = trial_run(study, loser)
        if run.has_checkpoint() and not run.is_training():
            prune_to_best(run, spec)


def discard_unsaved(run: Run, spec: StudySpec) -> None:
    """Delete the step files of a trial that was killed before its first resume file was written.

    Raises StorageError.
    """
    if not run.has_resume_file() and belongs(run, spec):
        for entry in run.checkpoints():
            run.remove(entry.path)


def trained_seconds(run: Run) -> float:
    """Return the wall time of a run so far, as its resume file has it."""
    header = run.resume_header()
    return 0.0 if header is None else header.progress.seconds


def recorded_loss(run: Run) -> float | None:
    """Return the lowest validation loss of a run that has reached its end; None for any other."""
    header = run.resume_header()
    return None if header is None or not header.finished else header.progress.best_val_loss

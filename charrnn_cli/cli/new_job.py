"""The job of a new run, with what nobody chose decided for its text, its time and this machine."""

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.next_commands import AFRESH
from charrnn_cli.cli.process import STARTED, set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.corpus_output import describe_corpus
from charrnn_cli.cli.terminal.phases import SECONDS_TO_LOAD, Phases
from charrnn_cli.cli.terminal.run_facts import (
    Facts,
    choice_facts,
    name_facts,
    no_start_facts,
    start_facts,
)
from charrnn_cli.errors import FileFormatError, NotFoundError, StorageError
from charrnn_cli.settings import fields_of
from charrnn_cli.storage.built_in import NAME
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_read_once
from charrnn_cli.training.candidates import leaves_model_open
from charrnn_cli.training.diagnosis import WARM_GAIN
from charrnn_cli.training.recipe import SHORT_TEXT, limited_settings, warm_settings

if TYPE_CHECKING:
    from charrnn_cli.training.built_in_start import Comparison
    from charrnn_cli.training.decisions import Calibration
    from charrnn_cli.training.job import TrainingJob

# On a busy machine: to compare as much text as is compared at most, and to encode a character.
SECONDS_TO_COMPARE, SECONDS_TO_ENCODE = 3.0, 5e-7
_LENGTH = ("epochs", "max_steps", "max_time")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job, and the measurements that decided its model, if any."""

    job: "TrainingJob"
    calibration: "Calibration | None"
    is_open: bool
    """Whether nobody chose the model and the length of the run."""


def prepare(
    source: Source,
    settings: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None,
    preset: str | None,
    name: str | None,
    say: Callable[[Facts], None],
    stop: StopRequest,
    phases: Phases,
    started: float = STARTED,
) -> NewJob:
    """Read the text, and choose where training starts and which model it trains.

    A time limit counts from `started`, on `time.monotonic`'s clock.
    """
    set_blas_threads()
    from charrnn_cli.training.job import TrainingJob

    is_open = preset is None and leaves_model_open(settings)
    may_start_anywhere = (
        is_open
        and source.init_from is None
        and source.unknown == "error"
        and "ngram" not in settings
        and is_read_again(source)
    )
    if source.init_from == AFRESH:
        source = dataclasses.replace(source, init_from=None)
    job = TrainingJob.new(
        source,
        settings,
        options=options,
        preset=preset or "default",
        name=name,
        progress=phases.progress,
        announce=phases.announce,
    )
    say(describe_corpus(job.corpus))
    if may_start_anywhere and not job.corpus.has_items:  # the built-in model knows no items
        start = better_start(job, phases, say)
        if start is not None:
            say(start_facts(start))
            source = dataclasses.replace(source, init_from=start.reference, unknown="extend")
            phases.announce(
                f"encoding in the vocabulary of {start.reference}",
                SECONDS_TO_ENCODE * len(job.corpus),
            )
            job = TrainingJob.new(
                source,
                settings,
                options=options,
                name=name,
                progress=phases.progress,
                announce=phases.announce,
            )
    if not is_open or source.init_from is not None:
        return NewJob(job, None, is_open=False)
    if "max_time" not in settings:
        return NewJob(job, None, is_open=settings.keys().isdisjoint(_LENGTH))
    phases.announce("loading torch", SECONDS_TO_LOAD)
    from charrnn_cli.training.time_limit import choose_model

    limit = settings["max_time"]
    left = started + limit - time.monotonic()
    choice = choose_model(job, left, stop, settings, phases.announce)
    stop.check()
    say(choice_facts(choice, limit) if choice.steps else [])  # else an error follows
    return NewJob(choice.job, choice.calibration, is_open=False)


def decided_later(given: Collection[str]) -> list[str]:
    """Return the settings that `prepare` may decide for a run whose model is open."""
    names = [name for name in fields_of(ModelConfig) if name not in given]
    return [*names, *limited_settings(given, 0), *warm_settings(given, 0)]


def better_start(
    job: "TrainingJob", phases: Phases, say: Callable[[Facts], None]
) -> "Comparison | None":
    """Return how the built-in model compares, if the run should start from it."""
    from charrnn_cli.training.built_in_start import ROW, ROWS, compare_with_built_in

    say(name_facts(Registry().run(NAME)))
    fraction = min(1.0, job.split.val_characters / (ROWS * ROW))
    phases.announce("comparing with the built-in model", SECONDS_TO_COMPARE * fraction)
    try:
        found = compare_with_built_in(job)
    except (FileFormatError, NotFoundError, StorageError) as error:
        say([("note", f"starting afresh, because {error.message}")])
        return None
    if found is not None and not found.is_better:
        is_near = found.built_in < found.counted + WARM_GAIN
        say(no_start_facts(found) if is_near and len(job.corpus) < SHORT_TEXT else [])
        return None
    return found


def is_read_again(source: Source) -> bool:
    """Return whether a text can be read in another vocabulary: not from a pipe, nor if encoded."""
    from charrnn_cli.text.encoding import is_encoded

    return not any(
        path == STANDARD_INPUT or is_read_once(path) or is_encoded(path) for path in source.paths
    )

"""How much of a finished run's samples, or items, stands in its training text."""

import dataclasses
import time
from typing import TYPE_CHECKING

from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.run_facts import Facts
from charrnn_cli.cli.terminal.safe_text import to_json
from charrnn_cli.errors import CharrnnError
from charrnn_cli.events import (
    Comparison,
    ItemsCompared,
    SamplesCompared,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.evidence import rounded

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.training.job import TrainingJob

LEAST_LIMIT = 10.0  # seconds; after a shorter run, samples are not compared
SECONDS_TO_LOAD = 0.35  # a checkpoint with n-grams
SECONDS_PER_CHARACTER = 6e-8  # to compare a text
LEAST_DRAWING, MOST_DRAWING = 0.1, 0.5  # seconds to draw samples
DRAWING_SHARE = 0.01  # of a time limit
LEAST_LEFT = 0.2  # seconds of a time limit, to end the process


def seconds_to_compare(job: "TrainingJob") -> float:
    """Return the seconds that `compared` takes after a run; 0 if it has no time for that."""
    limit = job.config.max_time
    if limit is not None and limit < LEAST_LIMIT:
        return 0.0
    comparing = SECONDS_PER_CHARACTER * _compared_characters(job)
    return SECONDS_TO_LOAD + _drawing_seconds(job) + comparing


def compared(
    job: "TrainingJob",
    started: TrainingStarted,
    finished: TrainingFinished,
    began: float = STARTED,
) -> Comparison | None:
    """Compare samples of the best checkpoint with the training text; None if time is short.

    A time limit counts from `began`, on `time.monotonic`'s clock.
    The checkpoint may have been moved or damaged in the meantime; nothing is compared then.
    """
    needed, limit = seconds_to_compare(job), job.config.max_time
    is_late = limit is not None and time.monotonic() + needed + LEAST_LEFT > began + limit
    if not needed or is_late:
        return None
    from charrnn_cli.model.checkpoint import load_checkpoint

    path = Registry(job.run.path.parent).run(finished.run).step_path(finished.chosen_step)
    try:
        checkpoint = load_checkpoint(path)
        compare = _compared_items if job.corpus.has_items else _compared_samples
        return compare(job, checkpoint, finished, started.seed)
    except CharrnnError:
        return None


def _compared_samples(
    job: "TrainingJob", checkpoint: "Checkpoint", finished: TrainingFinished, seed: int
) -> SamplesCompared:
    from charrnn_cli.model.memorized_samples import compare_samples

    seconds = _drawing_seconds(job)
    found = compare_samples(checkpoint, job.corpus, job.split.train, seed, seconds)
    return SamplesCompared(
        run=finished.run,
        step=finished.chosen_step,
        **dataclasses.asdict(found),
        text_characters=job.split.train_characters,
    )


def _compared_items(
    job: "TrainingJob", checkpoint: "Checkpoint", finished: TrainingFinished, seed: int
) -> ItemsCompared:
    from charrnn_cli.model.memorized_items import compare_items

    found = compare_items(checkpoint, job.corpus, seed, _drawing_seconds(job))
    return ItemsCompared(
        run=finished.run,
        step=finished.chosen_step,
        **dataclasses.asdict(found),
        list_items=job.corpus.num_documents,
    )


def copy_facts(event: Comparison | None) -> Facts:
    """Describe the comparison, if there was one."""
    if event is None:
        return []
    if isinstance(event, ItemsCompared):
        where = "the list"
        if event.compared < event.list_items:
            where = f"an even {event.compared:,} of the {event.list_items:,} items of the list"
        if not event.items:  # drawing a single one took too long
            return []
        share = rounded(100 * event.known / event.items)
        return [("copying", f"{share} % of {format_count(event.items, 'item')} are in {where}")]
    text = "the text"
    if event.compared < event.text_characters:
        text = f"an even {event.compared:,} of the {event.text_characters:,} characters of the text"
    sampled = f"{rounded(100 * event.share)} % of {event.characters:,} sampled characters"
    longest = format_count(event.longest, "character")
    return [
        ("copying", f"{sampled} stand verbatim in {text} in runs of 30 or more; longest {longest}")
    ]


def write_json(event: Comparison | None) -> None:
    """Write the comparison as a line of JSON, like the events before it, if there was one."""
    if event is not None:
        console.write_line(to_json(event_to_json(event, utc_now())))


def _drawing_seconds(job: "TrainingJob") -> float:
    """Return the seconds for drawing, so that everything takes about one."""
    limit, comparing = job.config.max_time, SECONDS_PER_CHARACTER * _compared_characters(job)
    most = MOST_DRAWING if limit is None else min(MOST_DRAWING, DRAWING_SHARE * limit)
    return max(LEAST_DRAWING, min(most, 1 - SECONDS_TO_LOAD - comparing))


def _compared_characters(job: "TrainingJob") -> int:
    from charrnn_cli.model.memorized_samples import MOST_COMPARED

    return min(MOST_COMPARED, job.split.train_characters)

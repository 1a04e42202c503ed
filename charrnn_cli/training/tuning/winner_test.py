"""The loss of a study's winner on a test text, which no trial has seen."""

import dataclasses
import math
import time
from collections.abc import Callable

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.references import choose
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import ProgressCallback
from charrnn_cli.text.splits import split_corpus
from charrnn_cli.training.evaluation_plan import evenly_spread
from charrnn_cli.training.job_text import with_held_out
from charrnn_cli.training.own_text import read_own_text
from charrnn_cli.training.run_parts import PartText, recipe_of
from charrnn_cli.training.split_scoring import score_part
from charrnn_cli.training.tuning.spec import StudySpec


def score_winner(
    spec: StudySpec,
    run: Run,
    should_stop: Callable[[], bool],
    progress: ProgressCallback,
    seconds: float | None,
) -> float | None:
    """Return the mean nats per character of a run's best checkpoint on the study's test text.

    Within `seconds`, one row is timed, and as many rows are read as fit. None once `should_stop`
    returns True. Raises TextError, MismatchError, UnknownCharacterError, StorageError.
    """
    checkpoint = load_checkpoint(run.reference(choose(run, "").step))
    source, text = read_own_text(run, run.name, checkpoint, progress, "restore it")
    source = dataclasses.replace(source, test=spec.source.test)
    corpus = with_held_out(text, source, progress)
    split = split_corpus(corpus, recipe_of(checkpoint))
    rows = tuple(split.test)

    def loss_on(count: int) -> float | None:
        chosen = evenly_spread(rows, count)
        part = PartText(corpus, split, chosen, split.test_characters)
        return score_part(checkpoint, part, should_stop)

    if seconds is None:
        return loss_on(len(rows))
    before = time.monotonic()
    first = loss_on(1)
    fitting = math.floor((seconds / max(time.monotonic() - before, 1e-9)) - 1)
    return loss_on(min(len(rows), fitting)) if fitting > 1 else first

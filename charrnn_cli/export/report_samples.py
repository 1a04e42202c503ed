"""What the checkpoints of a run write, and how much of it stands in the run's text."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.export.report_options import LENGTH, ReportOptions
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.items import ItemWriter, default_length
from charrnn_cli.model.memorized_items import compare_items
from charrnn_cli.model.memorized_samples import compare_samples
from charrnn_cli.model.reading import as_read, has_items
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.references import spread
from charrnn_cli.storage.runs import CheckpointEntry, Run, best
from charrnn_cli.text.corpus import Corpus

NUM_ITEMS = 5


@dataclass(frozen=True, slots=True)
class StageSample:
    """What one checkpoint writes."""

    prime: str
    """As it is shown before the texts; empty if none was given."""
    texts: list[str]
    """One continuation of the prime or, of a model of items, whole items."""


def stages(run: Run, number: int) -> list[CheckpointEntry]:
    """Return up to `number` readable checkpoints, spread evenly over a run, the best among them.

    Raises NotFoundError, StorageError.
    """
    chosen = spread(run, max(2, number))
    lowest = best(run.checkpoints())
    if lowest is None or any(entry.step == lowest.step for entry in chosen):
        return chosen
    inner = chosen[1:-1] or chosen[:1]
    nearest = min(inner, key=lambda entry: abs(entry.step - lowest.step))
    kept = [entry for entry in chosen if entry.step != nearest.step]
    return sorted([*kept, lowest], key=lambda entry: entry.step)


def load_stage(run: Run, step: int, chosen: Checkpoint) -> Checkpoint:
    """Load the checkpoint of a step; `chosen` is another one of the run, or the same.

    Counted n-grams that both have are shared, because a new copy takes 0.2 s to prepare.
    Raises as `load_checkpoint` does.
    """
    if step == chosen.step:
        return chosen
    reference = run.reference(step)
    try:
        checkpoint = load_checkpoint(reference)
    except FileFormatError as error:
        hint = f"delete this checkpoint: charrnn checkpoints rm {reference}"
        raise FileFormatError(error.message, hint=error.hint or hint) from error
    if checkpoint.ngrams is None or chosen.ngrams is None:
        return checkpoint
    orders, others = checkpoint.ngrams.orders, chosen.ngrams.orders
    is_same = len(orders) == len(others) and all(
        np.array_equal(own.keys, other.keys) and np.array_equal(own.counts, other.counts)
        for own, other in zip(orders, others, strict=True)
    )
    return dataclasses.replace(checkpoint, ngrams=chosen.ngrams) if is_same else checkpoint


def sample_of(checkpoint: Checkpoint, options: ReportOptions) -> StageSample:
    """Draw a sample, as `charrnn sample` does.

    Raises UnknownCharacterError for the prime, ConfigError, FileFormatError.
    """
    if has_items(checkpoint):
        length = options.length or default_length(checkpoint)
        config = SampleConfig(length=length, seed=options.seed)
        writer = ItemWriter(checkpoint, options.prime or "", config)
        known = len(writer.prime)
        return StageSample(writer.prime, [item.text[known:] for item in writer.draw(NUM_ITEMS)])
    length = LENGTH if options.length is None else options.length
    config = SampleConfig(length=length, seed=options.seed)
    prime = ""
    if options.prime:
        prime = as_read(options.prime, checkpoint.data.reading, checkpoint.vocab)
    return StageSample(prime, ["".join(generate(checkpoint, options.prime, config))])


def described_copying(checkpoint: Checkpoint, text: Corpus, seed: int) -> str:
    """Say in one sentence how much of a larger sample stands verbatim in a text.

    Raises as `Corpus.read` does, FileFormatError.
    """
    if has_items(checkpoint):
        items = compare_items(checkpoint, text, seed, math.inf)
        where = _part(items.compared, text.num_documents, "items of the list")
        return f"{items.known:,} of {items.items:,} sampled items are in {where}."
    found = compare_samples(checkpoint, text, [(0, len(text))], seed, math.inf)
    where = _part(found.compared, len(text), "characters of the text")
    return (
        f"{100 * found.share:.1f} % of {found.characters:,} sampled characters stand verbatim in "
        f"{where}, in runs of 30 or more. The longest run has {found.longest:,} characters."
    )


def _part(compared: int, whole: int, things: str) -> str:
    if compared < whole:
        return f"an even {compared:,} of the {whole:,} {things}"
    return things.partition(" of ")[2]

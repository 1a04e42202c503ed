"""Everything that an inspection finds in a text, as one object."""

from collections.abc import Mapping
from dataclasses import dataclass

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.inspection import LENGTH
from charrnn_cli.model.inspection.bit_shares import (
    Example,
    Group,
    beyond_fivegrams,
    bits_by_kind,
    bits_by_place,
)
from charrnn_cli.model.inspection.counted_bits import FIVEGRAM, Floats, ngram_bits
from charrnn_cli.model.inspection.features import compiled_patterns, text_features
from charrnn_cli.model.inspection.trace import Trace, trace
from charrnn_cli.model.inspection.units import FoundUnit, SlowUnit, find_units, slowest_units
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress


@dataclass(frozen=True, slots=True)
class Counted:
    """What the n-grams of a model know without the network."""

    bits: Floats
    """Surprise at each character in bits, (N,); NaN for those that nothing predicts."""
    fivegram_bits: Floats
    """The same for 5-grams, (N,)."""
    share_beyond: float
    """Share of the characters at which the model saves more than 2 bits against 5-grams."""
    beyond: list[Example]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a model did while it read a text."""

    trace: Trace
    counted: Counted | None
    """None for a model without n-grams."""
    kinds: list[Group]
    places: list[Group]
    units: list[FoundUnit]
    slowest: list[SlowUnit]


def inspect_text(
    checkpoint: Checkpoint,
    corpus: Corpus,
    length: int = LENGTH,
    patterns: Mapping[str, str] | None = None,
    progress: ProgressCallback = no_progress,
) -> Inspection:
    """Inspect the first `length` characters of a text, whose ids are those of the model.

    `patterns` are regular expressions by name; the text inside their matches is a feature. Raises
    ConfigError for an invalid one, and as `trace` does.
    """
    compiled = compiled_patterns(patterns or {})  # reports an invalid one before the long work
    found = trace(checkpoint, corpus, length, progress)
    features = text_features(found, compiled)
    counted = None
    if checkpoint.ngrams is not None:
        fivegram_bits = ngram_bits(found, checkpoint.ngrams, FIVEGRAM)
        counted = Counted(
            ngram_bits(found, checkpoint.ngrams),
            fivegram_bits,
            *beyond_fivegrams(found, fivegram_bits),
        )
    bits = None if counted is None else counted.bits
    return Inspection(
        found,
        counted,
        bits_by_kind(found, corpus.end, bits),
        bits_by_place(found, bits),
        find_units(found.activations, features),
        slowest_units(found.activations),
    )

"""Automatic settings, chosen from the text and the plan. Pure functions."""

import dataclasses
import math
from collections.abc import Collection

from charrnn_cli.architecture import ModelConfig, automatic_ngram

# One random byte per unit is 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5.
DROPOUT_LEVELS = 256


def completed(model: ModelConfig, automatic: Collection[str], vocabulary_size: int) -> ModelConfig:
    """Return a model for a text; its automatic settings depend on the size of the vocabulary."""
    embed = automatic_embed(vocabulary_size) if "embed" in automatic else model.embed
    ngram = automatic_ngram(vocabulary_size) if "ngram" in automatic else model.ngram
    return dataclasses.replace(model, vocabulary_size=vocabulary_size, embed=embed, ngram=ngram)


def automatic_embed(vocabulary_size: int) -> int:
    """Return the width of the embedding: 64 up to 512 symbols, then about 4·√V, at most 512.

    The square root is this project's choice; its factor gives 64 at 256 symbols. Widths are
    multiples of 64, which suit matrix products.
    """
    if vocabulary_size <= 512:
        return 64
    return min(512, 64 * round(4 * math.sqrt(vocabulary_size) / 64))


def automatic_dropout(passes: float) -> float:
    """Return the dropout for a number of passes over the text.

    0 up to 2 passes, 0.25 at 10, 0.5 from 40 on, linear in between; a multiple of 1/256.
    """
    (start, low), (stop, high) = ((2, 0.0), (10, 0.25)) if passes < 10 else ((10, 0.25), (40, 0.5))
    progress = min(max((passes - start) / (stop - start), 0.0), 1.0)
    return round((low + progress * (high - low)) * DROPOUT_LEVELS) / DROPOUT_LEVELS

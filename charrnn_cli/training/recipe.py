"""Automatic settings, chosen from the text and the plan. Pure functions."""

import math
from collections.abc import Mapping
from typing import Any

from charrnn_cli.training.presets import PRESETS

# One random byte per unit is 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5.
DROPOUT_LEVELS = 256


def is_embed_fixed(preset: str, settings: Mapping[str, Any]) -> bool:
    """Whether the preset or a setting, not the text, determines the embedding's width."""
    return "embed" in {**PRESETS[preset], **settings}


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

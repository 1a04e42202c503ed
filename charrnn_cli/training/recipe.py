"""Settings that nobody chose, as pure functions of text and plan."""

import math

DROPOUT_LEVELS = (
    256  # a byte per unit: 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5
)


def automatic_embed(vocabulary_size: int) -> int:
    """Width of the embedding for a vocabulary: 64 up to 512 symbols, then about 4·√V, at most 512."""
    return (
        64 if vocabulary_size <= 512 else min(512, 64 * round(4 * math.sqrt(vocabulary_size) / 64))
    )


def automatic_dropout(passes: float) -> float:
    """Dropout for a number of passes over the text: 0 up to 2, 0.25 at 10, 0.5 from 40 on."""
    (start, low), (stop, high) = ((2, 0.0), (10, 0.25)) if passes < 10 else ((10, 0.25), (40, 0.5))
    share = min(max((passes - start) / (stop - start), 0.0), 1.0)
    return round((low + share * (high - low)) * DROPOUT_LEVELS) / DROPOUT_LEVELS

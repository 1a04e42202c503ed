"""Units of a loss: nats, bits per character, perplexity."""

import math


def bits_per_character(nats: float) -> float:
    """bpc = nats / ln 2."""
    return nats / math.log(2)

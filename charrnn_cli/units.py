"""Units of a loss."""

import math


def bits_per_character(nats: float) -> float:
    """Convert a loss from nats to bits: nats / ln 2."""
    return nats / math.log(2)


def nats_per_character(bits: float) -> float:
    """Convert a loss from bits to nats: bits * ln 2."""
    return bits * math.log(2)

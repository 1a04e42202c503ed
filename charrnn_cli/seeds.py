"""The one door to randomness: every random number begins with `derive_seed`."""

import secrets
from typing import Literal

Purpose = Literal["sample", "weights", "dropout", "reset", "shuffle"]

# These numbers are part of what a seed means: append, never renumber.
_PURPOSES: dict[Purpose, int] = {"sample": 0, "weights": 1, "dropout": 2, "reset": 3, "shuffle": 4}
_WORD = 2**32


def derive_seed(purpose: Purpose, seed: int, *counters: int) -> list[int]:
    """Entropy for `numpy.random.PCG64`, as 32-bit words.

    The first word is the purpose's number. Two words each follow for the seed and for every
    counter, the low half first, so that neither two purposes nor two counters share a stream.
    `seed` and `counters` are from 0 to 2**64 - 1.
    """
    words = [_PURPOSES[purpose]]
    for number in (seed, *counters):
        words += [number % _WORD, number // _WORD]
    return words


def random_seed() -> int:
    """Return a fresh seed, short enough to type."""
    return secrets.randbelow(_WORD)

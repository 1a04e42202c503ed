"""Seeds: every stream of random numbers starts from `derive_seed`."""

import os
from typing import Literal

Purpose = Literal[
    "sample", "weights", "dropout", "reset", "shuffle", "start", "items", "bootstrap", "tune"
]

# Only append: a renumbered purpose would change the results of every seed.
_PURPOSES: dict[Purpose, int] = {
    "sample": 0,
    "weights": 1,
    "dropout": 2,
    "reset": 3,
    "shuffle": 4,
    "start": 5,
    "items": 6,
    "bootstrap": 7,
    "tune": 8,
}
_WORD = 2**32


def derive_seed(purpose: Purpose, seed: int, *counters: int) -> list[int]:
    """Return entropy for `numpy.random.PCG64`, as 32-bit words.

    The first word is the number of the purpose. Two words follow for the seed and for each counter,
    the low half first, so that no two purposes or counters share a stream. `seed` and `counters`
    range from 0 to 2**64 - 1.
    """
    words = [_PURPOSES[purpose]]
    for number in (seed, *counters):
        words += [number % _WORD, number // _WORD]
    return words


def random_seed() -> int:
    """Return a random seed below 2**32, short enough to type."""
    return int.from_bytes(os.urandom(4), "little")

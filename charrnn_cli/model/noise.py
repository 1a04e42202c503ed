"""How far chance may move a loss: resampling the rows on which it was measured.

The bootstrap (Efron, 1979) draws as many rows as there are, with repetition, many times; the spread
of the losses on these draws estimates the spread over other texts of the same kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn_cli.model.row_losses import Floats, RowLosses
from charrnn_cli.seeds import derive_seed

# R rows · D draws

DRAWS = 2_000
MOST_NUMBERS = 1 << 20  # elements in memory at a time
CONFIDENCE = 0.95
SEED_NOISE = 0.01
"""Nats per character. Three seeds of 1x128 units on a novel of 148 kB differed by up to 0.006."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between the losses of two models, in nats per character."""

    mean: float
    """Loss of the first minus that of the second."""
    low: float
    """The true difference is between `low` and `high` with a probability of 95 %."""
    high: float
    is_paired: bool
    """Whether both were measured on the same rows."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the choice of rows does not explain the difference."""
        return not self.low <= 0 <= self.high

    def is_clear(self, seed_noise: float = SEED_NOISE) -> bool:
        """Return whether neither the choice of rows nor another seed explains the difference."""
        return abs(self.mean) > seed_noise and self.excludes_zero


def standard_error(losses: RowLosses) -> float | None:
    """Return the bootstrap's standard deviation of the mean; None for a single row."""
    if len(losses.nats) < 2:
        return None
    return float(np.concatenate(list(_draws([losses])), axis=1)[0].std(ddof=1))


def difference(one: RowLosses, other: RowLosses, *, is_paired: bool) -> Difference:
    """Compare two models on the same rows (paired), or on different ones."""
    if is_paired:
        means_2D = np.concatenate(list(_draws([one, other])), axis=1)
        draws_D = means_2D[0] - means_2D[1]
    else:
        first_D = np.concatenate(list(_draws([one])), axis=1)[0]
        second_D = np.concatenate(list(_draws([other], number=1)), axis=1)[0]
        draws_D = first_D - second_D
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws_D, [tail, 1 - tail])
    return Difference(one.mean - other.mean, float(low), float(high), is_paired)


def _draws(several: list[RowLosses], number: int = 0) -> Iterator[Floats]:
    """Yield the mean losses of all models on the same draws of rows, some draws at a time."""
    rows = len(several[0].nats)
    generator = np.random.Generator(np.random.PCG64(derive_seed("bootstrap", number)))
    at_once = max(1, min(DRAWS, MOST_NUMBERS // rows))
    for first in range(0, DRAWS, at_once):
        chosen_DR = generator.integers(rows, size=(min(at_once, DRAWS - first), rows))
        yield np.array(
            [
                each.nats[chosen_DR].sum(axis=1) / each.characters[chosen_DR].sum(axis=1)
                for each in several
            ]
        )

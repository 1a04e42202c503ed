"""How often a run is evaluated, and on how many rows of its validation text. Pure functions."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from charrnn_cli.text.rows import Span

MOST, FEWEST = 20, 8  # evaluations of a run of more than a few steps
FEW_STEPS = 2 * FEWEST
SHARE = 0.15  # largest fraction of a run's time that evaluations take
LEAST_CHARACTERS = 20_000  # of validation text; the loss on fewer is noisy

# The train loss is measured on a quarter as many rows as the val loss, or on more of a short text.
LEAST_SHARE, ENOUGH_CHARACTERS = 0.25, 25_000

FORWARD = 1 / 3  # of the time of training on a character; going back takes the rest


def train_share(val_characters: int) -> float:
    """Return how many rows of training text are evaluated for each row of validation text."""
    return max(LEAST_SHARE, min(1.0, ENOUGH_CHARACTERS / max(val_characters, 1)))


def evaluation_work(val_characters: int) -> float:
    """Return how many characters of training take as long as an evaluation of both texts."""
    return FORWARD * (1 + train_share(val_characters)) * val_characters


def fitting_rows(rows: int, cost: float, work: float) -> int:
    """Return how many rows can be evaluated eight times in 15 % of a run; at least one.

    `cost` is that of an evaluation of all `rows`, and `work` that of the run, in seconds or in
    characters.
    """
    return max(1, min(rows, int(rows * SHARE * work / max(FEWEST * cost, 1e-9))))


def num_evaluations(cost: float, work: float, steps: int) -> int:
    """Return how often to evaluate: 8 to 20 times, in 15 % of the work if possible.

    Few steps are evaluated once. Cost and work are those of `fitting_rows`.
    """
    if steps < FEW_STEPS:
        return 1
    return int(max(FEWEST, min(MOST, SHARE * work / max(cost, 1e-9))))


def train_rows(rows: "Sequence[Span]", val_characters: int, val_rows: int) -> "tuple[Span, ...]":
    """Return the rows of training text that are evaluated beside `val_rows` rows of validation."""
    return evenly_spread(rows, math.ceil(train_share(val_characters) * val_rows))


def evenly_spread(rows: "Sequence[Span]", count: int) -> "tuple[Span, ...]":
    """Return up to `count` of the rows, at even distances."""
    count = min(count, len(rows))
    return tuple(rows[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count))

"""How often a run is evaluated, and on how many rows of its validation text. Pure functions."""

from collections.abc import Sequence

from charrnn_cli.text.rows import Span

MOST, FEWEST = 20, 8  # evaluations of a run
SHARE = 0.15  # largest fraction of a run's time that evaluations take

# During training, the gap is measured on every fourth matching row of training text; at the end,
# on all of them.
GAP_STRIDE = 4
LAST = GAP_STRIDE / (GAP_STRIDE + 1)  # evaluations that the last one takes in addition

FORWARD = 1 / 3  # of the time of training on a character; going back takes the rest


def fitting_rows(rows: int, evaluation_seconds: float, seconds: float) -> int:
    """Return how many rows can be evaluated eight times and at the end in 15 % of the time.

    `evaluation_seconds` are those of an evaluation of all `rows`. At least one row is read.
    """
    needed = (FEWEST + LAST) * evaluation_seconds
    return max(1, min(rows, int(rows * SHARE * seconds / max(needed, 1e-9))))


def num_evaluations(cost: float, work: float) -> int:
    """Return how often to evaluate: 1 to 20 times, in 15 % of the work if possible.

    `cost` is that of one evaluation, and `work` that of the run, in seconds or in characters.
    """
    fitting = SHARE * work / max(cost, 1e-9) - LAST
    return int(max(1, min(MOST, fitting)))


def evenly_spread(rows: Sequence[Span], count: int) -> tuple[Span, ...]:
    """Return up to `count` of the rows, at even distances."""
    count = min(count, len(rows))
    return tuple(rows[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count))

"""How often a run is evaluated, and on how many rows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.training.evaluation_plan import (
    FEWEST,
    LAST,
    MOST,
    SHARE,
    evenly_spread,
    fitting_rows,
    num_evaluations,
)


@given(st.integers(1, 200), st.floats(0, 1e4), st.floats(1e-3, 1e6))
def test_evaluations_take_a_small_part_of_the_time(
    rows: int, evaluation_seconds: float, seconds: float
) -> None:
    """Eight evaluations and the last one take at most 15 % of the time, if one row allows that."""
    fitting = fitting_rows(rows, evaluation_seconds, seconds)
    assert 1 <= fitting <= rows
    each = evaluation_seconds * fitting / rows
    number = num_evaluations(each, seconds)
    assert 1 <= number <= MOST
    if fitting > 1:
        assert number >= FEWEST - 1  # of a quotient that rounding made smaller
    if number > 1:
        assert (number + LAST) * each <= SHARE * seconds * (1 + 1e-9)
    if fitting < rows:
        one_more = evaluation_seconds * (fitting + 1) / rows
        assert (FEWEST + LAST) * one_more >= SHARE * seconds * (1 - 1e-9)


@pytest.mark.parametrize(
    ("cost", "work", "expected"),
    [(0.0, 100.0, 20), (1.0, 1000.0, 20), (1.0, 100.0, 14), (10.0, 100.0, 1), (1e9, 1.0, 1)],
)
def test_how_often_is_limited_on_both_sides(cost: float, work: float, expected: int) -> None:
    """A run has 20 evaluations if they are cheap, and one however expensive it is."""
    assert num_evaluations(cost, work) == expected


@given(st.integers(1, 300), st.integers(1, 400))
def test_rows_are_spread_evenly(rows: int, count: int) -> None:
    """The rows are in order, all different, as far from each other, and from both ends."""
    spans = [(index, index + 1) for index in range(rows)]
    chosen = [start for start, _ in evenly_spread(spans, count)]
    assert len(chosen) == min(rows, count)
    before, after = chosen[0], rows - 1 - chosen[-1]
    assert abs(before - after) <= 1
    gaps = {later - earlier for earlier, later in itertools.pairwise(chosen)}
    assert all(gap >= 1 for gap in gaps)
    assert len(gaps) <= 2

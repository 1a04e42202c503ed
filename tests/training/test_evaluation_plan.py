"""How often a run is evaluated, and on how many rows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.training.evaluation_plan import (
    FEW_STEPS,
    FEWEST,
    MOST,
    SHARE,
    evenly_spread,
    fitting_rows,
    num_evaluations,
    train_share,
)


@given(st.integers(1, 200), st.floats(0, 1e4), st.floats(1e-3, 1e6))
def test_evaluations_take_a_small_part_of_the_time(
    rows: int, evaluation_seconds: float, seconds: float
) -> None:
    """Eight evaluations take at most 15 % of the time, if one row allows that."""
    fitting = fitting_rows(rows, evaluation_seconds, seconds)
    assert 1 <= fitting <= rows
    each = evaluation_seconds * fitting / rows
    number = num_evaluations(each, seconds, FEW_STEPS)
    assert FEWEST <= number <= MOST
    if number > FEWEST or fitting > 1:
        assert number * each <= SHARE * seconds * (1 + 1e-9)
    if fitting < rows:
        one_more = evaluation_seconds * (fitting + 1) / rows
        assert FEWEST * one_more >= SHARE * seconds * (1 - 1e-9)


@pytest.mark.parametrize(
    ("cost", "work", "expected"),
    [(0.0, 100.0, 20), (1.0, 1000.0, 20), (1.0, 100.0, 15), (10.0, 100.0, 8), (1e9, 1.0, 8)],
)
def test_how_often_is_limited_on_both_sides(cost: float, work: float, expected: int) -> None:
    """A run has 20 evaluations if they are cheap, and eight however expensive they are."""
    assert num_evaluations(cost, work, 16) == expected
    assert num_evaluations(cost, work, 15) == 1


@given(st.integers(1, 10**9))
def test_rows_of_training_text(val_characters: int) -> None:
    """The train loss is measured on a quarter of the characters, or on more of a short text."""
    share = train_share(val_characters)
    assert 0.25 <= share <= 1
    assert share * val_characters >= min(val_characters, 25_000) * (1 - 1e-9)
    assert share == 0.25 or share * val_characters <= 25_000 * (1 + 1e-9)


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

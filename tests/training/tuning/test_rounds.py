"""Rounds of a study: their sizes and times, and what a worker does next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.training.tuning.rounds import (
    LARGEST_SHARE,
    LAST_SHARE,
    Adopt,
    Begin,
    Enqueue,
    Finished,
    Known,
    Round,
    Wait,
    least_budget,
    next_of,
    number_of_trials,
    number_of_whole_trials,
    plan_rounds,
    seconds_for,
    winner,
)

NINE = plan_rounds(9, has_budget=True)


def done(number: int, loss: float, round_number: int = 0) -> Known:
    return Known(number, round_number, "done", loss)


@given(st.integers(1, 1000))
def test_the_rounds_fill_the_budget(trials: int) -> None:
    """All shares make 1, the last round has one trial and 35 % or more, the first a quarter."""
    rounds = plan_rounds(trials, has_budget=True)
    assert sum(each.share for each in rounds) == pytest.approx(1)
    assert (rounds[0].trials, rounds[-1].trials) == (trials, 1)
    assert rounds[-1].share >= LAST_SHARE - 1e-9
    assert all(each.share <= LARGEST_SHARE for each in rounds[:-1])


def test_a_later_round_is_three_times_as_long() -> None:
    """Nine trials become three, and one."""
    assert [each.trials for each in NINE] == [9, 3, 1]
    first, second, _ = (each.share / each.trials for each in NINE)
    assert second == pytest.approx(3 * first)


def test_without_a_budget_there_is_one_round() -> None:
    """Trials that have a length of their own are not trained again."""
    assert [each.trials for each in plan_rounds(6, has_budget=False)] == [6]


def test_the_number_of_trials_follows_the_budget() -> None:
    """There are up to 27 trials of at least 15 seconds; a short budget is for one run."""
    budgets = {10: 1, 40: 1, 119: 1, 120: 2, 360: 6, 3_600: 27, 360_000: 27}
    assert {seconds: number_of_trials(seconds) for seconds in budgets} == budgets
    assert plan_rounds(1, has_budget=True) == (Round(1, 1.0),)


def test_the_least_budget_gives_every_trial_a_short_run() -> None:
    """One run needs 15 seconds; of several trials, each needs as much of its round's share."""
    assert least_budget(plan_rounds(1, has_budget=True)) == 15
    assert least_budget(plan_rounds(3, has_budget=True)) == 70
    assert least_budget(plan_rounds(10, has_budget=True, is_whole=True)) == 60


def test_a_round_is_filled_and_then_halved() -> None:
    """A round begins its trials, waits for the running ones, and the best third goes on."""
    known = [done(number, 2.0 - number / 10) for number in range(8)]
    assert next_of(known, NINE) == Begin()
    running = Known(8, 0, "running", is_claimed=True)
    assert next_of([*known, running], NINE) == Wait(is_last_round=False)
    failed = Known(8, 0, "failed")
    assert next_of([*known, failed], NINE) == Enqueue(1, (7, 6, 5))
    waiting = [Known(number, 1, "waiting") for number in (9, 10, 11)]
    assert next_of([*known, failed, *waiting], NINE) == Begin()


def test_the_last_trial_ends_the_study() -> None:
    """A worker leaves the last trial to its process, and the study ends with it."""
    known = [done(number, 2.0) for number in range(9)]
    known += [done(number, 1.9, 1) for number in (9, 10, 11)]
    last = Known(12, 2, "running", is_claimed=True)
    assert next_of([*known, last], NINE) == Wait(is_last_round=True)
    assert next_of([*known, done(12, 1.8, 2)], NINE) == Finished()


def test_a_trial_of_a_dead_process_comes_first() -> None:
    """A running trial that no process claims is adopted before a new one begins."""
    known = [done(0, 2.0), Known(1, 0, "running"), Known(2, 0, "running", is_claimed=True)]
    assert next_of(known, NINE) == Adopt(1)


def test_a_round_of_failures_ends_the_study() -> None:
    """Without a single loss, no round follows."""
    known = [Known(number, 0, "failed") for number in range(9)]
    assert next_of(known, NINE) == Finished()
    assert winner(known) is None


def test_the_winner_has_the_lowest_loss_of_all_rounds() -> None:
    """A last round that went wrong does not win."""
    known = [done(0, 2.0), done(1, 1.5), done(2, 1.7, 1)]
    assert winner(known) == known[1]


def test_the_time_is_shared_by_what_follows() -> None:
    """Time that earlier trials did not use goes to later ones; the last gets all that is left."""
    budget = 900.0
    first = seconds_for(0, NINE, [], budget)
    assert first == pytest.approx(0.25 * budget / 9)
    half = [done(number, 2.0) for number in range(9)]
    waiting = [Known(number, 1, "waiting") for number in (10, 11)]
    later = seconds_for(1, NINE, [*half, *waiting], 0.75 * budget)
    assert later == pytest.approx(0.25 * budget / 3)
    assert seconds_for(2, NINE, half, 123.0) == pytest.approx(123.0)


def test_whole_runs_are_one_round() -> None:
    """If three whole runs fit into the budget, one round of them fills it."""
    assert number_of_whole_trials(360, 50) == 4
    assert number_of_whole_trials(200, 50) is None
    assert number_of_whole_trials(60, 1) == 4  # of 15 seconds
    assert number_of_whole_trials(40, 1) is None
    (only,) = plan_rounds(5, has_budget=True, is_whole=True)
    assert (only.trials, only.share) == (5, 1)
    assert seconds_for(0, (only,), [done(0, 2.0)], 280) == pytest.approx(70)


def test_a_round_beyond_the_last_is_as_the_last() -> None:
    """A larger budget adds a round, which gets all the time that is left."""
    assert seconds_for(3, NINE, [done(0, 2.0)], 100.0) == pytest.approx(100.0)

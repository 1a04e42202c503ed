"""What a run will do, decided from a job and a calibration."""

import math
from dataclasses import replace
from typing import Any

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.decisions import Calibration
from charrnn_cli.training.plan import Plan, make_plan
from tests.helpers import TINY, resume_state, tiny_job

CALIBRATION = Calibration(
    device="cpu", precision="bf16", threads=2, seconds_per_step=0.1, evaluation_seconds=0.5
)
OPEN = replace(TINY, dropout=None, eval_every=None, seed=None)


def planned(corpus: Corpus, config: TrainConfig, **times: Any) -> Plan:
    return make_plan(tiny_job(corpus, config), CALIBRATION, **{"started": 0.0, "now": 1.0, **times})


def test_every_open_setting_is_decided(corpus: Corpus) -> None:
    """A plan decides what a configuration leaves open, and records a complete configuration."""
    plan = planned(corpus, replace(OPEN, max_steps=500))
    decisions = plan.decisions
    assert (decisions.device, decisions.precision, decisions.threads) == ("cpu", "bf16", 2)
    assert decisions.steps == 500
    assert decisions.dropout == 0.5  # about nine passes over a short text
    assert 500 / 20 <= decisions.eval_every <= 500
    assert decisions.val_rows == len(plan.split.val)
    recorded = decisions.recorded(plan.config)
    assert None not in (recorded.seed, recorded.dropout, recorded.eval_every, recorded.threads)
    assert (recorded.max_steps, recorded.epochs, recorded.max_time) == (500, None, None)


def test_the_tightest_limit_counts(corpus: Corpus) -> None:
    """Of epochs, steps and time, whichever ends first decides the number of steps."""
    per_epoch = planned(corpus, TINY).windows.per_epoch
    assert planned(corpus, replace(OPEN, epochs=2, max_steps=9)).decisions.steps == 9
    both = replace(OPEN, epochs=2, max_steps=10**6)
    assert planned(corpus, both).decisions.steps == 2 * per_epoch


def test_a_time_budget_counts_from_the_start(corpus: Corpus) -> None:
    """A budget becomes a number of steps that leaves time for evaluations and the end."""
    config = replace(OPEN, max_steps=None, max_time=60.0)
    early, late = (planned(corpus, config, now=now) for now in (1.0, 31.0))
    assert early.deadline == late.deadline == 60.0
    for plan, left in ((early, 60 - 1), (late, 60 - 31)):
        each = plan.evaluation_seconds
        assert each == 0.5 * plan.decisions.val_rows / len(plan.split.val)
        number = math.ceil(plan.decisions.steps / plan.decisions.eval_every)
        assert 8 <= number <= 20
        planned_seconds = plan.seconds_from(0)
        assert 0.9 * left < planned_seconds <= left
        assert number * each <= 0.15 * left
    # The hint is twice what was needed: the start, the end, and one step of 0.1 s.
    for now, hint in ((58.4, "120s"), (100.0, "204s")):
        with pytest.raises(ConfigError) as caught:
            planned(corpus, config, now=now)
        assert caught.value.message == (
            f"max time 60 s is too short: startup took {now:.1f} s, and finishing will take 1.7 s"
        )
        assert caught.value.hint == f"use at least --max-time {hint}"


def test_the_planned_seconds_are_what_is_to_come(corpus: Corpus) -> None:
    """The estimate adds steps, evaluations and the end, and shrinks as steps are done."""
    plan = planned(corpus, replace(OPEN, max_steps=500))
    number = 500 // plan.decisions.eval_every
    assert plan.seconds_from(0) == pytest.approx(500 * 0.1 + number * 0.5 + 2.25)
    assert plan.seconds_from(499) == pytest.approx(0.1 + 2.25)


def test_the_budget_of_a_resumed_run_is_for_more_steps(corpus: Corpus) -> None:
    """The steps that `max_time` allows come on top of those that were done."""
    config = replace(OPEN, max_steps=None, max_time=60.0)
    job = tiny_job(corpus, config)
    new = make_plan(job, CALIBRATION, started=0.0, now=1.0)
    resumed = make_plan(replace(job, snapshot=resume_state(100)), CALIBRATION, started=0.0, now=1.0)
    assert resumed.decisions.steps == new.decisions.steps + 100


def test_seeds_that_nobody_chose_differ(corpus: Corpus) -> None:
    """A plan draws a seed unless the configuration has one, which may be 0."""
    job = tiny_job(corpus, OPEN)
    drawn = {make_plan(job, CALIBRATION, started=0.0, now=1.0).decisions.seed for _ in range(3)}
    assert len(drawn) == 3
    zero = replace(job, config=replace(OPEN, seed=0))
    assert make_plan(zero, CALIBRATION, started=0.0, now=1.0).decisions.seed == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"eval_every": 7}, 7),
        ({"eval_every": 0}, 1000),  # only at the end
        ({"val_fraction": 0.0}, 0),
        ({"max_steps": 1}, 1),
    ],
    ids=str,
)
def test_how_often_a_run_is_evaluated(
    corpus: Corpus, changes: dict[str, Any], expected: int
) -> None:
    """A setting decides, or the text has nothing to evaluate."""
    plan = planned(corpus, replace(OPEN, **{"max_steps": 1000, **changes}))
    assert plan.decisions.eval_every == expected


def test_the_steps_of_evaluations_without_a_time_limit(corpus: Corpus) -> None:
    """They do not depend on the machine: a seeded run is the same everywhere."""
    job = tiny_job(corpus, replace(OPEN, max_steps=1000))
    found = set()
    for seconds in (0.0, 0.5, 10.0):
        calibration = replace(CALIBRATION, evaluation_seconds=seconds)
        decisions = make_plan(job, calibration, started=0.0, now=1.0).decisions
        found.add((decisions.eval_every, decisions.val_rows))
    assert len(found) == 1


def test_a_time_limit_may_leave_rows_out(corpus: Corpus) -> None:
    """Every evaluation reads the same rows, as many as fit into the time; a setting decides."""
    config = replace(OPEN, max_steps=None, max_time=60.0)
    for evaluation_seconds, rows in ((0.5, 4), (2.0, 2), (4.0, 1), (1e3, 1)):
        calibration = replace(CALIBRATION, evaluation_seconds=evaluation_seconds)
        job = tiny_job(corpus, config)
        if evaluation_seconds == 1e3:
            with pytest.raises(ConfigError, match="too short"):
                make_plan(job, calibration, started=0.0, now=1.0)
            continue
        plan = make_plan(job, calibration, started=0.0, now=1.0)
        assert plan.decisions.val_rows == len(plan.val) == len(plan.matching) == rows
        assert plan.decisions.recorded(config).val_rows == rows
        assert set(plan.val) <= set(plan.split.val)
    typed = planned(corpus, replace(config, val_rows=3))
    assert typed.decisions.val_rows == len(typed.val) == 3


def test_a_plan_for_a_slower_machine(corpus: Corpus) -> None:
    """It has other numbers of steps, and records since when."""
    config = replace(OPEN, max_steps=None, max_time=60.0)
    plan = planned(corpus, config)
    steps = plan.decisions.steps
    slower = plan.replanned(100, steps // 3, 0.3)
    assert slower.decisions.steps == steps // 3
    assert slower.decisions.eval_every == round(plan.decisions.eval_every / 3)
    recorded = slower.decisions.recorded(slower.config)
    assert (recorded.replanned_at, recorded.replanned_from) == (100, steps)
    assert (recorded.max_steps, recorded.max_time) == (steps // 3, None)


@pytest.mark.parametrize(
    ("changes", "files"),
    [
        ({}, 4 + 6),  # three evaluations and the end; two resume files of three times the weights
        ({"ema": 0.9}, 4 + 8),
        ({"keep": 2}, 2 + 6),
        ({"save_every": 5}, 10 + 6),
        ({"val_fraction": 0.0, "eval_every": None}, 1 + 6),
    ],
    ids=str,
)
def test_the_most_bytes_on_disk(corpus: Corpus, changes: dict[str, Any], files: int) -> None:
    """The estimate counts float32 weights in all step files and in both resume files."""
    plan = planned(corpus, replace(TINY, **changes))
    model = tiny_job(corpus, name="other").model
    assert plan.disk_bytes(model) == 4 * model.num_parameters * files


def test_the_first_event_shows_the_plan(corpus: Corpus) -> None:
    """The event that opens a run has the plan's decisions, and the time from its first step."""
    plan = planned(corpus, replace(OPEN, max_steps=500, seed=3))
    job = replace(tiny_job(corpus, name="other"), scale={"uniform": 6.0})
    started = plan.started(job, 400, 10**9)
    decisions = plan.decisions
    for name in ("seed", "device", "precision", "threads", "dropout", "eval_every"):
        assert getattr(started, name) == getattr(decisions, name)
    assert (started.run, started.first_step, started.total_steps) == ("other", 400, 500)
    assert started.scale == {"uniform": 6.0}
    assert started.steps_per_epoch == plan.windows.per_epoch
    assert started.train_characters + started.val_characters == len(corpus)
    assert started.val_characters == round(len(corpus) * TINY.val_fraction)
    assert (started.parameters, started.batch_size, started.seq_len) == (
        job.model.num_parameters,
        4,
        16,
    )
    assert started.seconds_per_step == CALIBRATION.seconds_per_step
    assert started.seconds_planned == plan.seconds_from(400)

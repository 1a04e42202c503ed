"""What a run will do, decided from a job and a calibration."""

from dataclasses import replace
from typing import Any

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.plan import Calibration, Plan, make_plan
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
    assert decisions.dropout == pytest.approx(0.2, abs=0.1)  # about nine passes
    assert decisions.eval_every == 250  # an evaluation of 0.5 s is 2 % of 25 s, or 250 steps
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
    # 60 s less 1 s of start, 2.75 s of end, and at most 20 evaluations of 0.5 s 25 s apart
    assert early.decisions.steps == int((60 - 1 - 2.75) * (1 - 0.02) / 0.1)
    assert late.decisions.steps == early.decisions.steps - 294
    # The hint is twice what was needed: the start, the end, and one step of 0.1 s.
    for now, hint in ((57.2, "120s"), (100.0, "206s")):
        with pytest.raises(ConfigError) as caught:
            planned(corpus, config, now=now)
        assert caught.value.message == (
            f"max time 60 s is too short: startup took {now:.1f} s, and finishing will take 2.8 s"
        )
        assert caught.value.hint == f"use at least --max-time {hint}"


def test_the_planned_seconds_are_what_is_to_come(corpus: Corpus) -> None:
    """The estimate adds steps, evaluations and the end, and shrinks as steps are done."""
    plan = planned(corpus, replace(OPEN, max_steps=500))
    assert plan.seconds_from(0) == pytest.approx(500 * 0.1 + 2 * 0.5 + 2.75)
    assert plan.seconds_from(400) == pytest.approx(100 * 0.1 + 2.75)


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
    ("config", "evaluation_seconds", "expected"),
    [
        (replace(OPEN, max_steps=1000), 0.0, 50),  # 20 evaluations
        (replace(OPEN, max_steps=1001), 0.0, 51),
        (replace(OPEN, max_steps=1000), 0.5, 250),  # 2 % of the time
        (replace(OPEN, max_steps=1000), 10.0, 300),  # 30 s apart, although that is 33 %
        (replace(OPEN, max_steps=100), 10.0, 100),  # at the end at least
        (replace(OPEN, max_steps=1000, eval_every=7), 10.0, 7),
        (replace(OPEN, max_steps=1000, eval_every=0), 0.5, 1000),  # only at the end
        (replace(OPEN, max_steps=1000, val_fraction=0.0), 0.5, 0),
    ],
)
def test_how_often_a_run_is_evaluated(
    corpus: Corpus, config: TrainConfig, evaluation_seconds: float, expected: int
) -> None:
    """Evaluations come about 20 times per run, in 2 % of the time or every 30 s."""
    calibration = replace(CALIBRATION, evaluation_seconds=evaluation_seconds)
    plan = make_plan(tiny_job(corpus, config), calibration, started=0.0, now=1.0)
    assert plan.decisions.eval_every == expected


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
    model = tiny_job(corpus, name="other").model
    started = plan.started("run", model, 400, 10**9)
    decisions = plan.decisions
    for name in ("seed", "device", "precision", "threads", "dropout", "eval_every"):
        assert getattr(started, name) == getattr(decisions, name)
    assert (started.run, started.first_step, started.total_steps) == ("run", 400, 500)
    assert started.steps_per_epoch == plan.windows.per_epoch
    assert started.train_characters + started.val_characters == len(corpus)
    assert started.val_characters == round(len(corpus) * TINY.val_fraction)
    assert (started.parameters, started.batch_size, started.seq_len) == (
        model.num_parameters,
        4,
        16,
    )
    assert started.seconds_per_step == CALIBRATION.seconds_per_step
    assert started.seconds_planned == plan.seconds_from(400)

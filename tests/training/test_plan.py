"""What a run will do, decided from a job and a calibration."""

from dataclasses import replace
from typing import Any

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.plan import Calibration, Plan, make_plan
from tests.helpers import TINY, tiny_job

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
    with pytest.raises(ConfigError) as caught:
        planned(corpus, config, now=57.2)
    assert caught.value.message == (
        "max time 60 s is too short: the start took 57.2 s, and the end will take 2.8 s"
    )
    assert caught.value.hint == "use at least --max-time 120s"


def test_the_planned_seconds_are_what_is_to_come(corpus: Corpus) -> None:
    """The estimate adds steps, evaluations and the end, and shrinks as steps are done."""
    plan = planned(corpus, replace(OPEN, max_steps=500))
    assert plan.seconds_from(0) == pytest.approx(500 * 0.1 + 2 * 0.5 + 2.75)
    assert plan.seconds_from(400) == pytest.approx(100 * 0.1 + 2.75)

"""The diagnosis of a run, before and after it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.training.candidates import CANDIDATES, training_operations
from charrnn_cli.training.diagnosis import (
    Diagnosis,
    Kind,
    Remedy,
    cannot_learn,
    diagnose,
)
from charrnn_cli.training.evidence import Losses, RunFacts

LONG, SHORT = 2_000_000, 60_000  # characters
POSITIONS = 2048


def model(layers: int, size: int, **changes: Any) -> ModelConfig:
    return ModelConfig(vocabulary_size=83, layers=layers, size=size, **{"ngram": 9, **changes})


def facts(shape: ModelConfig, characters: int, steps: int, **changes: Any) -> RunFacts:
    """Return the facts of a run with the automatic dropout."""
    passes = steps * POSITIONS / characters
    known = RunFacts(
        model=shape,
        train_characters=characters,
        evaluated_characters=characters // 9,
        steps=steps,
        passes=passes,
        positions=POSITIONS,
        dropout=0.0,
        weight_decay=0.1,
        seconds_per_step=0.1,
        limit="max_time",
    )
    return replace(known, **{"dropout": known.usual_dropout, **changes})


def losses(train: float, val: float, **changes: Any) -> Losses:
    return replace(Losses(train=train, val=val, best_val=val, best_passes=2.0), **changes)


RIGHT = facts(model(2, 512), LONG, 8720)  # ten epochs
SMALL = facts(model(1, 16), LONG, 8720)
HURRIED = facts(model(2, 768), LONG, 200)

CASES: dict[str, tuple[RunFacts, Kind, Remedy]] = {
    "plan": (RIGHT, Kind.BALANCED, Remedy.NONE),
    "plan, small": (SMALL, Kind.UNDERFITTING, Remedy.REPLAN),
    "plan, large": (HURRIED, Kind.UNDERTRAINED, Remedy.REPLAN),
    "plan, one pass": (facts(model(1, 256), LONG, 900), Kind.UNDERTRAINED, Remedy.NONE),
    "plan, no dropout": (replace(RIGHT, dropout=0.0), Kind.OVERFITTING, Remedy.CHANGE),
    "plan, short": (facts(model(1, 256), SHORT, 2000), Kind.OVERFITTING, Remedy.REPLAN),
    "right": (replace(RIGHT, losses=losses(1.0, 1.1)), Kind.BALANCED, Remedy.CONTINUE),
    "no gap": (replace(RIGHT, losses=losses(1.1, 1.1)), Kind.UNDERFITTING, Remedy.CONTINUE),
    "small": (replace(SMALL, losses=losses(2.0, 2.0)), Kind.UNDERFITTING, Remedy.REPLAN),
    "large": (replace(HURRIED, losses=losses(1.9, 1.9)), Kind.UNDERTRAINED, Remedy.REPLAN),
    "few steps": (
        replace(HURRIED, model=model(1, 256), steps=49, losses=losses(2.9, 2.9)),
        Kind.UNDERTRAINED,
        Remedy.CONTINUE,
    ),
    "few steps of a large model": (
        replace(HURRIED, steps=7, losses=losses(2.9, 2.9)),
        Kind.UNDERTRAINED,
        Remedy.REPLAN,
    ),
    "above the 3-gram": (
        replace(RIGHT, losses=losses(1.9, 2.0, trigram=1.9)),
        Kind.UNDERTRAINED,
        Remedy.CONTINUE,
    ),
    "still falling": (
        replace(RIGHT, losses=losses(1.0, 1.1, fall=0.11)),
        Kind.UNDERTRAINED,
        Remedy.CONTINUE,
    ),
    "no dropout": (
        replace(RIGHT, dropout=0.0, losses=losses(0.8, 1.2)),
        Kind.OVERFITTING,
        Remedy.CHANGE,
    ),
    "much dropout": (
        replace(RIGHT, dropout=0.7, losses=losses(1.2, 1.2)),
        Kind.UNDERFITTING,
        Remedy.CHANGE,
    ),
    "beaten": (
        replace(
            RIGHT, model=model(2, 512, ngram=0), losses=losses(1.3, 1.4, best_ngram=1.3, trigram=2)
        ),
        Kind.BEATEN,
        Remedy.CHANGE,
    ),
    "a tiny validation text": (
        replace(RIGHT, evaluated_characters=200, losses=losses(1.0, 1.1)),
        Kind.NOISE,
        Remedy.CHANGE,
    ),
    "warm, in vain": (
        facts(model(1, 512), SHORT, 230, start="other@1", losses=losses(1.1, 1.2, initial=1.2)),
        Kind.OVERFITTING,
        Remedy.NONE,
    ),
    "warm": (
        facts(model(1, 512), SHORT, 230, start="other@1", losses=losses(1.1, 1.2)),
        Kind.BALANCED,
        Remedy.NONE,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_has_one_diagnosis(case: str) -> None:
    """The facts decide the kind and the remedy."""
    known, kind, remedy = CASES[case]
    found = diagnose(known)
    assert (found.kind, found.remedy) == (kind, remedy)
    assert str(found).startswith(f"{kind.value}: ")
    assert bool(found.change) == (remedy is Remedy.CHANGE)


OVERFIT = facts(model(1, 512), SHORT, 450, weight_decay=0.5, losses=losses(0.5, 1.5))


@pytest.mark.parametrize(
    ("known", "remedy", "change"),
    [
        (replace(OVERFIT, built_in=1.4), Remedy.CHANGE, {"init_from": "english"}),
        (replace(OVERFIT, built_in=1.9, dropout=0.2), Remedy.CHANGE, {"dropout": None}),
        (replace(OVERFIT, steps=2000, passes=70.0), Remedy.REPLAN, {}),
        (
            replace(OVERFIT, losses=losses(0.5, 1.5, best_val=1.4, best_passes=6.1)),
            Remedy.CHANGE,
            {"epochs": 8, "max_steps": None},
        ),
        (replace(OVERFIT, model=model(2, 768)), Remedy.REPLAN, {}),
        (
            replace(OVERFIT, model=model(1, 256), weight_decay=0.1),
            Remedy.CHANGE,
            {"weight_decay": 0.5},
        ),
        (replace(OVERFIT, model=model(1, 256)), Remedy.NONE, {}),
    ],
    ids=["other text", "dropout", "epochs", "shorter", "smaller", "decay", "nothing"],
)
def test_remedies_of_overfitting(known: RunFacts, remedy: Remedy, change: dict[str, Any]) -> None:
    """They are tried in the order of what they gain."""
    found = diagnose(known)
    assert (found.kind, found.remedy, found.change) == (Kind.OVERFITTING, remedy, change)


@given(
    st.sampled_from(CANDIDATES),
    st.integers(20_000, 10**8),
    st.integers(50, 10**6),
    st.floats(0.5, 4.0),
    st.floats(-0.1, 1.0),
    st.booleans(),
)
def test_the_verdict_does_not_contradict_the_plan(
    candidate: Any, characters: int, steps: int, train: float, gap: float, warm: bool
) -> None:
    """A model that is too large for the time before a run is not too small after it."""
    shape = model(candidate.layers, candidate.size)
    before = facts(shape, characters, steps, start="other@1" if warm else "")
    after = replace(before, losses=losses(train, train + gap))
    assert "larger" not in diagnose(after).reason or "smaller" not in diagnose(before).reason
    assert "smaller" not in diagnose(after).reason or "larger" not in diagnose(before).reason
    operations = steps * training_operations(shape, POSITIONS)
    assert operations > 0
    assert isinstance(diagnose(after), Diagnosis)


@pytest.mark.parametrize(
    ("steps", "passes", "expected"),
    [
        (1, 0.001, "1 step is too few to learn much; use at least --max-time 20s"),
        (49, 3.0, "49 steps are too few to learn much; use at least --max-time 20s"),
        (60, 0.1, "0.1 epochs leave most of this text unread; use at least --max-time 80s"),
        (60, 0.2, None),
    ],
)
def test_plans_that_cannot_work(steps: int, passes: float, expected: str | None) -> None:
    """Fewer than 50 steps or 0.2 epochs are a warning that names a setting that fits."""
    assert cannot_learn(replace(RIGHT, steps=steps, passes=passes)) == expected


@pytest.mark.parametrize(
    ("limit", "setting"), [("epochs", "--epochs 4"), ("max_steps", "--max-steps 100")]
)
def test_the_setting_that_limits_the_plan_is_named(limit: str, setting: str) -> None:
    """More time does not help where the epochs or the steps are limited."""
    found = cannot_learn(replace(RIGHT, steps=30, passes=1.0, limit=limit))
    assert found == f"30 steps are too few to learn much; use at least {setting}"

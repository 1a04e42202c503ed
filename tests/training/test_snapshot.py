"""What a resume file holds, and the counters that it keeps."""

from dataclasses import asdict, replace

import pytest

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.header import RunCounters
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import new_run, resume_state

COUNTERS = RunCounters(
    running_loss=1.25,
    lr_scale=0.5,
    last_saved_step=90,
    best_step=80,
    best_val_loss=1.5,
    evaluations_since_best=1,
    divergences=2,
    seconds=12.5,
    finished=True,
)


def test_every_counter_survives() -> None:
    """A resume file keeps every counter, and whether the run has finished is in its header."""
    assert not [
        name for name, value in asdict(COUNTERS).items() if value == asdict(RunCounters())[name]
    ]
    run = new_run("one")
    for finished in (True, False):
        counters = replace(COUNTERS, finished=finished)
        save_resume(run, replace(resume_state(), counters=counters))
        assert load_resume(run.resume_path).counters == counters
        assert read_header(run.resume_path).metadata["finished"] is finished


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", None),
        ("seconds", "1"),
        ("seconds", -1.0),
        ("lr_scale", 0.0),
        ("lr_scale", 2.0),
        ("best_step", -1),
        ("best_step", 10**10),
        ("best_val_loss", "low"),
        ("divergences", True),
        ("finished", 1),
        ("running_loss", []),
        ("last_saved_step", 1.5),
    ],
)
def test_counters_have_their_types_and_ranges(name: str, value: object) -> None:
    """A counter of a wrong type, out of range or missing is refused; an unknown one is ignored."""
    raw = asdict(COUNTERS)
    assert RunCounters.from_json({**raw, "new": 1}) == COUNTERS
    with pytest.raises(ConfigError, match=name.replace("_", " ")):
        RunCounters.from_json({**raw, name: value})
    del raw[name]
    with pytest.raises(ConfigError, match=f"missing counter '{name}'"):
        RunCounters.from_json(raw)


def test_the_best_evaluation_is_the_first_of_the_lowest() -> None:
    """An equal loss is no improvement, and evaluations since the best are counted."""
    counters = RunCounters()
    found = []
    for step, loss in enumerate([2.0, 2.0, 1.0, 3.0, 1.0, 0.5], start=1):
        best = counters.record_evaluation(step, loss)
        found.append((best, counters.best_step, counters.evaluations_since_best))
    assert found == [
        (True, 1, 0),
        (False, 1, 1),
        (True, 3, 0),
        (False, 3, 1),
        (False, 3, 2),
        (True, 6, 0),
    ]
    assert counters.best_val_loss == 0.5

"""What a resume file holds, and the counters that it keeps."""

from dataclasses import asdict, replace

import pytest

from charrnn_cli.errors import FileFormatError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.training.snapshot import RunCounters, load_resume, save_resume
from tests.helpers import resume_state

COUNTERS = RunCounters(
    train_loss=1.25,
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
    run = Registry().create("one")
    for finished in (True, False):
        counters = replace(COUNTERS, finished=finished)
        save_resume(run, replace(resume_state(), counters=counters))
        assert load_resume(run.resume_path).counters == counters
        assert read_header(run.resume_path).metadata["finished"] is finished


def test_counters_that_are_missing_or_unknown_are_named() -> None:
    """Counters of another version are refused with the names that differ."""
    raw = {**asdict(COUNTERS), "new": 1}
    del raw["seconds"]
    with pytest.raises(FileFormatError) as caught:
        RunCounters.from_json(raw)
    assert (
        caught.value.message == "the resume file is damaged or from another version: new, seconds"
    )


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

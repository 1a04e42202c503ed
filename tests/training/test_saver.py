"""Saving a run on a disk that refuses, and on a run that was resumed."""

import dataclasses
import errno
import os

import pytest

from charrnn_cli.events import CheckpointSaved, SaveFailed
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.saver import Saver
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import make_checkpoint, resume_state


def test_a_damaged_resume_file_never_pushes_out_the_good_one(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The previous state replaces a damaged resume file at once, before any save."""
    run = Registry().create("one")
    for step in (100, 200):
        save_resume(run, resume_state(step))
    raw = bytearray(run.resume_path.read_bytes())
    raw[-1] ^= 1
    run.resume_path.write_bytes(raw)
    saver = Saver(run, keep=100)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert [type(event) for event in saver.save_resume(resume_state(150), 0.0)] == [SaveFailed]
    assert load_resume(run.resume_path).checkpoint.step == 100


def test_a_step_file_that_failed_is_tried_again(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step file that failed is written with the next save; until then the saver has an error."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert [type(event) for event in saver.save(resume_state(100), 0.0)] == [SaveFailed]
        assert [type(event) for event in saver.save(resume_state(200), 0.0)] == [
            SaveFailed,
            SaveFailed,
        ]
    assert saver.error is not None
    events = list(saver.save_resume(resume_state(210), 0.0))
    assert [(type(event), event.step) for event in events] == [(CheckpointSaved, 200)]
    assert saver.error is None
    assert load_resume(run.resume_path).checkpoint.step == 210


def test_a_step_of_another_plan_stays(home: object) -> None:
    """A step file of an earlier plan is never overwritten; the run reports it and continues."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)
    list(saver.save(resume_state(100), 0.0))
    other = resume_state(100)
    other = dataclasses.replace(other, checkpoint=make_checkpoint(step=100, seed=9))
    before = run.step_path(100).read_bytes()
    assert [type(event) for event in saver.save(other, 0.0)] == [SaveFailed]
    assert saver.error is not None
    assert run.step_path(100).read_bytes() == before
    assert [type(event) for event in saver.save(resume_state(200), 0.0)] == [CheckpointSaved]
    assert saver.error is None

"""Saving a run on a disk that refuses, and on a run that was resumed."""

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from charrnn_cli.errors import StorageError
from charrnn_cli.events import CheckpointSaved, SaveFailed
from charrnn_cli.model.checkpoint import Checkpoint, save_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.saver import Saver
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import make_checkpoint, resume_state


def full(*arguments: object) -> None:
    """Refuse as a full disk does, in the place of `posix_fallocate`."""
    raise OSError(errno.ENOSPC, "No space left on device")


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

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert [type(event) for event in saver.save_resume(resume_state(150), 0.0)] == [SaveFailed]
    assert load_resume(run.resume_path).checkpoint.step == 100


def test_a_step_file_that_failed_is_tried_again(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step file that failed is written with the next save; until then the saver has an error."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert [type(event) for event in saver.save(resume_state(100), 0.0)] == [SaveFailed]
        assert [type(event) for event in saver.save(resume_state(200), 0.0)] == [
            SaveFailed,
            SaveFailed,
        ]
    assert saver.error is not None
    assert not run.resume_path.exists()  # without its step file it would be ahead of the run
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


@pytest.mark.parametrize(("losses", "kept"), [((1.0, 2.0), 100), ((2.0, 1.0), 200)])
def test_the_better_of_two_failed_steps_is_tried_again(
    home: object, monkeypatch: pytest.MonkeyPatch, losses: tuple[float, float], kept: int
) -> None:
    """Memory holds one step that could not be written: that of the lower validation loss."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        for step, loss in zip((100, 200), losses, strict=True):
            list(saver.save(resume_state(step, val_loss=loss), 0.0))
    list(saver.save(resume_state(300, val_loss=3.0), 0.0))
    assert [entry.step for entry in run.checkpoints()] == [kept, 300]
    assert saver.error is None


def test_a_step_file_without_room_for_the_resume_file(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume file that fails is an error until a later one is written."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)

    def refused(*arguments: object) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("charrnn_cli.training.saver.save_resume", refused)
        events = list(saver.save(resume_state(100), 2.5))
    assert events == [
        CheckpointSaved(step=100, path=run.step_path(100), val_loss=1.5, seconds=2.5),
        SaveFailed(step=100, message="no room", seconds=2.5),
    ]
    assert saver.error is not None
    assert saver.error.message == "no room"
    assert list(saver.save_resume(resume_state(110), 3.0)) == []
    assert saver.error is None


def test_old_step_files_make_room(home: object) -> None:
    """After each save the newest `keep` step files stay, and the best."""
    run = Registry().create("one")
    saver = Saver(run, keep=2)
    for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5), (5, 2.6)):
        list(saver.save(resume_state(step, val_loss=loss), 0.0))
    assert [entry.step for entry in run.checkpoints()] == [2, 4, 5]


@pytest.mark.parametrize("next_step", [100, 200])
@pytest.mark.parametrize("restart", [False, True])
def test_an_interrupted_step_file_is_replaced(home: object, next_step: int, restart: bool) -> None:
    """A step file of an interruption goes when the next is written, in the same process or not."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)
    list(saver.save(resume_state(50), 0.0))
    list(saver.save(resume_state(100, interrupted=True), 0.0))
    assert [entry.step for entry in run.checkpoints()] == [50, 100]
    if restart:
        saver = Saver(run, keep=100)
    (event,) = saver.save(resume_state(next_step, val_loss=1.0, seed=next_step), 0.0)
    assert isinstance(event, CheckpointSaved)
    assert [entry.step for entry in run.checkpoints()] == [50, next_step]
    (event,) = saver.save(resume_state(300, val_loss=2.0), 0.0)
    assert [entry.step for entry in run.checkpoints()] == [50, next_step, 300]


def test_a_step_that_is_still_missing_stays_an_error(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later step file that succeeds does not hide an earlier one that is still missing."""
    run = Registry().create("one")
    saver = Saver(run, keep=100)

    def refused(path: Path, checkpoint: Checkpoint, **options: bool) -> None:
        if checkpoint.step == 100:
            raise StorageError("no room for step 100")
        save_checkpoint(path, checkpoint, **options)

    with monkeypatch.context() as patch:
        patch.setattr("charrnn_cli.training.saver.save_checkpoint", refused)
        list(saver.save(resume_state(100), 0.0))
        events = list(saver.save(resume_state(200), 0.0))
    assert [(type(event), event.step) for event in events] == [
        (SaveFailed, 100),
        (CheckpointSaved, 200),
        (SaveFailed, 100),  # tried again before the resume file
    ]
    assert saver.error is not None
    assert saver.error.message == "no room for step 100"
    list(saver.save_resume(resume_state(210), 0.0))
    assert saver.error is None
    assert [entry.step for entry in run.checkpoints()] == [100, 200]

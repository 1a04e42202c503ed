"""Saving a run on a disk that refuses, and on a run that was resumed."""

import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, RunMovedError, StorageError
from charrnn_cli.events import CheckpointRemoved, CheckpointSaved, SaveFailed
from charrnn_cli.model.checkpoint import Checkpoint, save_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.training.saver import Saver
from charrnn_cli.training.snapshot import check_snapshot, load_resume, save_resume
from tests.helpers import make_checkpoint, resume_state, save


@pytest.fixture
def run(home: Path) -> Iterator[Run]:
    """An empty run that is held."""
    with Registry().create("one") as run:
        yield run


def full(*arguments: object) -> None:
    """Refuse as a full disk does, in the place of `posix_fallocate`."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_damaged_resume_file_never_pushes_out_the_good_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The previous state replaces a damaged resume file at once, before any save."""
    for step in (100, 200):
        save_resume(run, resume_state(step))
    raw = bytearray(run.resume_path.read_bytes())
    raw[-1] ^= 1
    run.resume_path.write_bytes(raw)
    saver = Saver(run, keep=100)

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert [type(event) for event in saver.save_resume(resume_state(150), 0.0)] == [SaveFailed]
    assert load_resume(run.resume_path).checkpoint.step == 100


def test_a_step_file_that_failed_is_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step file that failed is written with the next save; until then the saver has an error."""
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


def test_a_step_of_another_plan_stays(run: Run) -> None:
    """A step file of an earlier plan is never overwritten; the run reports it and continues."""
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
    run: Run, monkeypatch: pytest.MonkeyPatch, losses: tuple[float, float], kept: int
) -> None:
    """Memory holds one step that could not be written: that of the lower validation loss."""
    saver = Saver(run, keep=100)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        for step, loss in zip((100, 200), losses, strict=True):
            list(saver.save(resume_state(step, val_loss=loss), 0.0))
    list(saver.save(resume_state(300, val_loss=3.0), 0.0))
    assert [entry.step for entry in run.checkpoints()] == [kept, 300]
    assert saver.error is None


def test_a_step_file_without_room_for_the_resume_file(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume file that fails is an error until a later one is written."""
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


def test_old_step_files_make_room(run: Run) -> None:
    """After each save the newest `keep` step files stay, and the best."""
    saver = Saver(run, keep=2)
    for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5), (5, 2.6)):
        list(saver.save(resume_state(step, val_loss=loss), 0.0))
    assert [entry.step for entry in run.checkpoints()] == [2, 4, 5]


@pytest.mark.parametrize("next_step", [100, 200])
@pytest.mark.parametrize("restart", [False, True])
def test_an_interrupted_step_file_is_replaced(run: Run, next_step: int, restart: bool) -> None:
    """A step file of an interruption goes when the next is written, in the same process or not."""
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
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later step file that succeeds does not hide an earlier one that is still missing."""
    saver = Saver(run, keep=100)

    def refused(path: Path, checkpoint: Checkpoint, **options: Any) -> None:
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


def test_old_checkpoints_make_room_on_a_full_disk(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the oldest checkpoints go, one by one, but not the best or the latest."""
    saver = Saver(run, keep=100)
    for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5)):
        list(saver.save(resume_state(step, val_loss=loss), 0.0))
    fallocate = os.posix_fallocate

    def full_above_three(*arguments: int) -> None:
        if len(run.steps()) >= 4:
            full()
        fallocate(*arguments)

    monkeypatch.setattr(os, "posix_fallocate", full_above_three)
    events = list(saver.save(resume_state(5, val_loss=2.6), 1.5))
    assert [(type(event), event.step) for event in events] == [
        (CheckpointRemoved, 1),
        (CheckpointSaved, 5),
        (CheckpointRemoved, 3),  # for the resume file
    ]
    assert events[0] == CheckpointRemoved(step=1, path=run.step_path(1), seconds=1.5)
    assert run.steps() == [2, 4, 5]
    assert load_resume(run.resume_path).checkpoint.step == 5
    monkeypatch.setattr(os, "posix_fallocate", full)
    events = list(saver.save(resume_state(6, val_loss=2.7), 1.5))
    assert [(type(event), event.step) for event in events] == [
        (CheckpointRemoved, 4),
        (SaveFailed, 6),
    ]
    assert run.steps() == [2, 5]
    assert load_resume(run.resume_path).checkpoint.step == 5


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced", "unlocked"])
def test_a_run_whose_directory_has_gone_is_saved_as_a_new_run(
    run: Run, how: str, tmp_path: Path
) -> None:
    """The state goes to a new run with a number; what has taken the place is not touched."""
    saver = Saver(run, keep=100)
    list(saver.save(resume_state(1, run="one"), 0.0))
    match how:
        case "moved" | "replaced":
            run.path.rename(tmp_path / "moved")
        case "deleted":
            shutil.rmtree(run.path)
        case "unlocked":
            (run.path / ".lock").unlink()
    if how == "replaced":
        save(make_checkpoint(run="one", step=7))
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("*.safetensors"))
    for save_again in (saver.save, saver.save_resume):
        with pytest.raises(RunMovedError) as caught:
            list(save_again(resume_state(2, run="one"), 0.0))
        number = 2 if save_again == saver.save else 3
        assert caught.value.message == (
            f"{run.path} was moved or deleted while it was in use; "
            f"the last state is saved as run 'one-{number}'"
        )
        assert caught.value.hint == f"charrnn train --resume one-{number}"
        rescued = Registry().run(f"one-{number}")
        assert load_resume(rescued.resume_path).checkpoint.run == rescued.name
        assert rescued.steps() == [2]
    after = [
        (path, path.read_bytes())
        for path in tmp_path.rglob("*.safetensors")
        if path.parent.name not in ("one-2", "one-3")
    ]
    assert sorted(after) == before


def test_a_state_that_no_reader_would_accept_is_refused_before_training(tmp_path: Path) -> None:
    """A snapshot whose header is too long, or not valid, is an error before anything is done."""
    check_snapshot(resume_state())
    many = Source(tuple(tmp_path / f"{number:0100d}" for number in range(40_000)))
    with pytest.raises(ConfigError) as caught:
        check_snapshot(dataclasses.replace(resume_state(), source=many))
    assert "bytes; a file has room for 4,194,304" in caught.value.message
    half = Source((tmp_path,), TextOptions(separator="\udc80"))
    with pytest.raises(ConfigError, match="is not a valid character"):
        check_snapshot(dataclasses.replace(resume_state(), source=half))
    with pytest.raises(ConfigError, match="step must be from 0 to"):
        check_snapshot(resume_state(step=10**10))


def test_nothing_is_deleted_for_a_save_that_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older checkpoints are deleted after a newer one is on disk, not before."""
    saver = Saver(run, keep=1)
    for step, loss in ((1, 1.0), (2, 2.0)):
        list(saver.save(resume_state(step, val_loss=loss), 0.0))

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    assert [type(event) for event in saver.save(resume_state(3, val_loss=3.0), 0.0)] == [SaveFailed]
    assert run.steps() == [1, 2]
    assert load_resume(run.resume_path).checkpoint.step == 2

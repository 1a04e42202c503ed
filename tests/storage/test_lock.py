"""The lock that a trainer holds on its run."""

import os
from pathlib import Path

import pytest

from charrnn_cli.errors import RunBusyError, StorageError
from charrnn_cli.storage import lock
from charrnn_cli.storage.lock import check_unlocked, hold_lock


def test_a_second_holder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the process that holds the lock, and the lock is free afterwards."""
    monkeypatch.setattr(lock, "TIMEOUT", 0.0)
    run = tmp_path / "tiny"
    run.mkdir()
    message = f"run 'tiny' is in use by pid {os.getpid()} on host {os.uname().nodename}"
    hint = "wait for that process, or stop it"
    with hold_lock(run):
        with pytest.raises(RunBusyError) as caught, hold_lock(run):
            pass
        assert caught.value.message == message
        assert caught.value.hint == hint
        with pytest.raises(RunBusyError) as caught:
            check_unlocked(run)
        assert caught.value.message == message
        assert caught.value.hint == hint
    check_unlocked(run)
    with hold_lock(run):
        pass


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """A run without a directory is not locked, and cannot be."""
    check_unlocked(tmp_path / "missing")
    with pytest.raises(StorageError) as caught, hold_lock(tmp_path / "missing"):
        pass
    path = tmp_path / "missing" / ".lock"
    assert caught.value.message == f"cannot open {path}: No such file or directory"


def test_a_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fcntl nobody is refused."""
    monkeypatch.setattr(lock, "fcntl", None)
    with hold_lock(tmp_path), hold_lock(tmp_path):
        check_unlocked(tmp_path)

"""The lock that a trainer holds on its run."""

import fcntl
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.errors import AlreadyPublishedError, NotFoundError, RunBusyError, RunMovedError
from charrnn_cli.storage import lock, temporary
from charrnn_cli.storage.lock import check_unlocked, create_locked, hold_lock
from tests.helpers import TIMEOUT


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
    with pytest.raises(NotFoundError) as caught, hold_lock(tmp_path / "missing"):
        pass
    assert caught.value.message == f"no directory named {tmp_path / 'missing'}"


def test_a_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fcntl nobody is refused."""
    for module in (lock, temporary):
        monkeypatch.setattr(module, "fcntl", None)
    with hold_lock(tmp_path), hold_lock(tmp_path):
        check_unlocked(tmp_path)


def test_a_new_directory_is_locked_before_it_is_seen(tmp_path: Path) -> None:
    """A directory that is created with its lock is never seen without it."""
    path = tmp_path / "run"
    with create_locked(path) as held:
        assert [entry.name for entry in path.iterdir()] == [".lock"]
        assert path.stat().st_mode & 0o777 == 0o700
        held.check()
        with pytest.raises(RunBusyError, match=f"pid {os.getpid()}"):
            check_unlocked(path)
        with pytest.raises(AlreadyPublishedError), create_locked(path):
            pass
    assert list(tmp_path.iterdir()) == [path]


def test_many_processes_create_one_directory(tmp_path: Path) -> None:
    """Of many processes that create the same directory at once, one does."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from charrnn_cli.errors import AlreadyPublishedError\n"
        "from charrnn_cli.storage.lock import create_locked\n"
        "root = Path(sys.argv[1])\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "won = []\n"
        "for number in range(40):\n"
        "    try:\n"
        "        with create_locked(root / str(number)):\n            won.append(number)\n"
        "    except AlreadyPublishedError:\n        pass\n"
        "print(won)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = [process.communicate("go\n", timeout=TIMEOUT)[0] for process in processes]
    assert sorted(number for output in outputs for number in json.loads(output)) == list(range(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(40)))


def test_a_killed_creator_leaves_nothing_for_long(tmp_path: Path) -> None:
    """What a process left that was killed while it created a directory goes with the next one."""
    for name in (".run.1-0123abcd.tmp", ".other.1-0123abcd.tmp", ".mine.1-0123abcd.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / ".run.1-0123abcd.tmp" / ".lock").touch()
    (tmp_path / ".mine.1-0123abcd.tmp" / "notes.txt").touch()
    with create_locked(tmp_path / "new"):
        names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".mine.1-0123abcd.tmp", "new"]
    assert (tmp_path / ".mine.1-0123abcd.tmp" / "notes.txt").exists()


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    """Who waited for a lock that its holder removed does not hold a deleted file."""
    with hold_lock(tmp_path) as first:
        (tmp_path / ".lock").unlink()
        with pytest.raises(RunMovedError):
            first.check()
        with hold_lock(tmp_path) as second:
            second.check()


def test_a_dead_process_is_never_named(tmp_path: Path) -> None:
    """The record of an earlier holder that has ended does not name the one who holds the lock."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        check=True,
        capture_output=True,
        text=True,
    )
    (tmp_path / ".lock").write_text(json.dumps({"pid": int(ended.stdout), "host": platform.node()}))
    with (tmp_path / ".lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunBusyError, match="is in use by another process"):
            check_unlocked(tmp_path)

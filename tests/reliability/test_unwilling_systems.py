"""What an operating system may refuse or lack, and what the program does then."""

import errno
import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from charrnn_cli.errors import RunBusyError, StorageError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage import atomic, lock, temporary
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.lock import LOCK_NAME, check_unlocked, hold_lock
from charrnn_cli.storage.paths import (
    corpora_directory,
    logs_directory,
    make_directory,
    runs_directory,
)
from charrnn_cli.text.cache import cached_corpus
from tests.helpers import make_checkpoint, new_run, save
from tests.processes import exit_codes, forked


def refusing(number: int) -> Callable[..., NoReturn]:
    """Make a system call that always fails with this error number."""

    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_no_preallocation(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A checkpoint is written whole where the file system cannot preallocate."""
    monkeypatch.setattr(os, "posix_fallocate", refusing(number))
    load_checkpoint(save(make_checkpoint()))
    monkeypatch.delattr(os, "posix_fallocate")
    load_checkpoint(save(make_checkpoint(step=2)))


def test_no_room_is_noticed_before_writing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error before the first write, with the space needed where it is known."""
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    with pytest.raises(StorageError, match="bytes needed"):
        save(make_checkpoint())
    monkeypatch.setattr(shutil, "disk_usage", refusing(errno.EIO))
    with pytest.raises(StorageError, match=r"No space left on device$"):
        save(make_checkpoint())


@pytest.mark.parametrize(("number", "harmless"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_directories_that_cannot_be_synced(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int, harmless: bool
) -> None:
    """A system that cannot sync directories is accepted; a disk that fails is an error."""
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            refusing(number)()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    if harmless:
        load_checkpoint(save(make_checkpoint()))
    else:
        with pytest.raises(StorageError, match="Input/output error"):
            save(make_checkpoint())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.forks
def test_directories_that_cannot_be_listed(tmp_path: Path) -> None:
    """A file can be written to a directory that its user may not list."""
    shut = tmp_path / "shut"
    shut.mkdir()
    os.chown(shut, 65534, 65534)
    shut.chmod(0o300)
    for parent in shut.parents:
        parent.chmod(parent.stat().st_mode | 0o111)

    def write() -> None:
        os.setuid(65534)
        with atomic.atomic_write(shut / "f") as file:
            file.write(b"x")

    assert exit_codes([forked(write)]) == [0]
    assert (shut / "f").read_bytes() == b"x"


def test_a_failing_fsync_publishes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose fsync fails never appears, because its pages may be lost."""
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(StorageError, match="Input/output error"):
        save(make_checkpoint())
    assert list((home / "runs" / "tiny").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_links_that_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A link that is refused is an error, and no file appears."""
    monkeypatch.setattr(os, "link", refusing(number))
    with pytest.raises(StorageError, match=os.strerror(number)):
        save(make_checkpoint())
    assert list((home / "runs" / "tiny").iterdir()) == []
    (home / "a").write_text("a")
    with pytest.raises(StorageError, match=os.strerror(number)):
        atomic.keep_previous(home / "a", home / "b", directory=Directory(home))
    assert not (home / "b").exists()


def test_putting_the_previous_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The previous file replaces the damaged one if it exists, and a failing disk is an error."""
    previous, path = tmp_path / "previous", tmp_path / "path"
    path.write_text("damaged")
    atomic.move_over(previous, path, directory=Directory(tmp_path))
    assert path.read_text() == "damaged"
    previous.write_text("good")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refusing(errno.EIO))
        with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
            atomic.move_over(previous, path, directory=Directory(tmp_path))
    atomic.move_over(previous, path, directory=Directory(tmp_path))
    assert (path.read_text(), previous.exists()) == ("good", False)


def test_half_written_files_are_discarded_on_leaving_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discarding temporary files removes a file that is half written, and lets no other begin."""
    monkeypatch.setattr(temporary, "_creation", threading.RLock())

    def attempt() -> None:
        with atomic.atomic_write(tmp_path / "x") as file:
            file.write(b"half")
            assert len(list(tmp_path.iterdir())) == 1
            temporary.discard_temporaries()
            assert list(tmp_path.iterdir()) == []

    with pytest.raises(StorageError):
        attempt()
    assert list(tmp_path.iterdir()) == []
    other = threading.Thread(target=attempt, daemon=True)
    other.start()
    other.join(0.5)
    assert other.is_alive()  # it waits, until the process ends
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_is_there_for_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scratch file is removed when its block ends, and when temporary files are discarded."""
    monkeypatch.setattr(temporary, "_creation", threading.RLock())

    def attempt() -> None:
        with temporary.scratch_file(tmp_path) as (path, file):
            file.write(b"some")
            assert list(tmp_path.iterdir()) == [path]
            temporary.discard_temporaries()
            assert list(tmp_path.iterdir()) == []
            path.touch()
            raise KeyError

    with pytest.raises(KeyError):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_swept_of_what_killed_processes_left(story: Path, home: Path) -> None:
    """Temporary files that no process is writing are removed from the cache; other files stay."""
    cached_corpus(story)
    names = [
        f".{'0' * 32}.safetensors.1-0123abcd.tmp",
        f".{'1' * 32}.safetensors.1-0123abcd.tmp",
        ".scratch.1-0123abcd.tmp",
        ".notes.txt.1-0123abcd.tmp",
        "other.tmp",
    ]
    paths = [home / "corpora" / name for name in names]
    for path in paths:
        path.touch()
    with paths[1].open("r+b") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        cached_corpus(story)
        assert [path.exists() for path in paths] == [False, True, False, True, True]


def test_locks_that_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training works where locks are not supported, and fails where the lock cannot be opened."""
    run = new_run("one")
    with hold_lock(run.path):
        pass
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    with hold_lock(run.path):
        check_unlocked(run.path)
    monkeypatch.undo()
    (run.path / LOCK_NAME).unlink()
    check_unlocked(run.path)
    (run.path / LOCK_NAME).mkdir()
    with pytest.raises(StorageError, match="cannot open"), hold_lock(run.path):
        pass


class Clock:
    """A clock that moves only when someone sleeps, and counts how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.naps = 0.0, 0
        self.on_nap: Callable[[int], None] = lambda naps: None
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now, self.naps = self.now + seconds, self.naps + 1
        self.on_nap(self.naps)


def test_a_lock_is_waited_for_a_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer waits for a process that only asks about the lock and releases it soon."""
    run = new_run("one")
    asking = (run.path / LOCK_NAME).open("w")
    fcntl.flock(asking, fcntl.LOCK_SH)
    clock = Clock(monkeypatch)
    clock.on_nap = lambda naps: asking.close() if naps == 3 else None
    with hold_lock(run.path):
        assert clock.naps == 3
        assert run.is_training()


def test_a_held_lock_is_refused_within_a_second(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that another trainer keeps is waited for several times, but less than a second."""
    run = new_run("one")
    clock = Clock(monkeypatch)
    with hold_lock(run.path):
        assert clock.naps == 0
        with pytest.raises(RunBusyError, match="in use by"), hold_lock(run.path):
            pass
    assert clock.naps > 3
    assert clock.now < 1


def test_a_holder_that_left_no_name(home: Path) -> None:
    """A lock is refused even if its file does not name the holder."""
    run = new_run("one")
    with (run.path / LOCK_NAME).open("w") as file:
        file.write("garbage")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunBusyError, match="in use by another process"):
            check_unlocked(run.path)


def test_a_system_without_locks_at_all(home: Path) -> None:
    """Saving works where Python has no fcntl, and a lock is then held without an effect."""
    script = (
        "import sys\nsys.modules['fcntl'] = None\n"
        "from tests.helpers import make_checkpoint, save\n"
        "from charrnn_cli.storage.lock import check_unlocked, hold_lock\n"
        "path = save(make_checkpoint())\n"
        "with hold_lock(path.parent):\n    check_unlocked(path.parent)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "fcntl", None)
            importlib.reload(lock)
        check_unlocked(home)
        assert vars(lock)["fcntl"] is None
    finally:
        importlib.reload(lock)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other platforms differ")
def test_directories_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without CHARRNN_HOME, runs are user data, and corpora and logs are in the user cache."""
    monkeypatch.delenv("CHARRNN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert runs_directory() == tmp_path / "data" / "charrnn" / "runs"
    assert logs_directory() == tmp_path / "cache" / "charrnn" / "logs"
    assert corpora_directory() == tmp_path / "cache" / "charrnn" / "corpora"


def test_a_directory_that_cannot_be_created(tmp_path: Path) -> None:
    """A directory that cannot be created is an error that names the way to choose another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        make_directory(tmp_path / "file" / "x")
    assert caught.value.message == f"cannot create {tmp_path}/file/x: Not a directory"
    assert caught.value.hint == "set CHARRNN_HOME to a writable directory"

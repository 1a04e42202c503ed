"""What an operating system may refuse or lack, and what is then done."""

import errno
import fcntl
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from charrnn_cli.errors import RunBusyError, StorageError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage import atomic, lock
from charrnn_cli.storage.lock import LOCK_NAME, check_unlocked, hold_lock
from charrnn_cli.storage.paths import (
    corpora_directory,
    logs_directory,
    make_directory,
    runs_directory,
)
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.cache import cached_corpus
from tests.helpers import make_checkpoint, save


def refusing(number: int) -> Callable[..., NoReturn]:
    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_no_preallocation(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """File systems without it are written to all the same."""
    monkeypatch.setattr(os, "posix_fallocate", refusing(number))
    load_checkpoint(save(make_checkpoint()))
    monkeypatch.delattr(os, "posix_fallocate")
    load_checkpoint(save(make_checkpoint(step=2)))


def test_no_room_is_noticed_before_writing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """Some systems cannot, and that is no error; a disk that fails is one."""
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


@pytest.mark.parametrize(("number", "harmless"), [(errno.EACCES, True), (errno.EMFILE, False)])
def test_directories_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, harmless: bool
) -> None:
    monkeypatch.setattr(os, "open", refusing(number))
    if harmless:
        atomic.sync_directory(tmp_path)
    else:
        with pytest.raises(OSError, match="Too many open files"):
            atomic.sync_directory(tmp_path)


def test_a_failing_fsync_publishes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that may be lost is never given a name."""
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(StorageError, match="Input/output error"):
        save(make_checkpoint())
    assert list((home / "runs" / "tiny").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_links_that_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """For any other reason than not being there: an error, and nothing published."""
    monkeypatch.setattr(os, "link", refusing(number))
    with pytest.raises(StorageError, match=os.strerror(number)):
        save(make_checkpoint())
    (home / "a").write_text("a")
    with pytest.raises(StorageError, match=os.strerror(number)):
        atomic.keep_previous(home / "a", home / "b")


def test_putting_the_previous_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the other's place; without it the other stays; a disk that fails is told."""
    previous, path = tmp_path / "previous", tmp_path / "path"
    path.write_text("damaged")
    atomic.put_back(previous, path)
    assert path.read_text() == "damaged"
    previous.write_text("good")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refusing(errno.EIO))
        with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
            atomic.put_back(previous, path)
    atomic.put_back(previous, path)
    assert (path.read_text(), previous.exists()) == ("good", False)


def test_half_written_files_are_discarded_on_leaving_at_once(tmp_path: Path) -> None:
    """A process that a second signal ends removes what it was writing."""

    def attempt() -> None:
        with atomic.atomic_write(tmp_path / "x") as file:
            file.write(b"half")
            assert len(list(tmp_path.iterdir())) == 1
            atomic.discard_temporaries()
            assert list(tmp_path.iterdir()) == []

    with pytest.raises(StorageError):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_is_there_for_a_block(tmp_path: Path) -> None:
    """However it ends; a process that leaves at once removes it too."""

    def attempt() -> None:
        with atomic.scratch_file(tmp_path) as (path, file):
            file.write(b"some")
            assert list(tmp_path.iterdir()) == [path]
            atomic.discard_temporaries()
            assert list(tmp_path.iterdir()) == []
            path.touch()
            raise KeyError

    with pytest.raises(KeyError):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_swept_of_what_is_old(story: Path, home: Path) -> None:
    """What a killed process left a day ago goes; what another one may be writing stays."""
    cached_corpus(story)
    old, young, other = (
        home / "corpora" / name for name in (".old.1-ab.tmp", ".young.1-ab.tmp", "other.tmp")
    )
    for path in (old, young, other):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    cached_corpus(story)
    assert [path.exists() for path in (old, young, other)] == [False, True, True]
    assert list((home / "corpora").glob(".scratch*")) == []


def test_locks_that_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks: training goes on without; a directory without room for one does not."""
    run = Registry().create("one")
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


def test_a_lock_is_waited_for_a_moment(home: Path) -> None:
    """Whoever asks about a lock holds it for microseconds, and is no trainer."""
    run = Registry().create("one")
    with hold_lock(run.path), pytest.raises(RunBusyError), hold_lock(run.path):
        pass


def test_a_holder_that_left_no_name(home: Path) -> None:
    """It is refused all the same."""
    run = Registry().create("one")
    with (run.path / LOCK_NAME).open("w") as file:
        file.write("garbage")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunBusyError, match="in use by another process"):
            check_unlocked(run.path)


def test_a_system_without_locks_at_all(home: Path) -> None:
    """Where Python has no fcntl, as on Windows, everything else works."""
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


def test_directories_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without CHARRNN_HOME, the platform's for data and cache; what cannot be made is an error with a way out."""
    monkeypatch.delenv("CHARRNN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert runs_directory().name == "runs"
    assert logs_directory().name == "logs"
    assert corpora_directory().name == "corpora"
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create") as caught:
        make_directory(tmp_path / "file" / "x")
    assert "CHARRNN_HOME" in str(caught.value.hint)

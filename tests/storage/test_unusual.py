"""Unusual systems and files: what the storage does where a call fails or a feature is missing."""

import contextlib
import errno
import fcntl
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from charrnn_cli.errors import (
    AlreadyPublishedError,
    ConfigError,
    ForeignFileError,
    MemoryShortageError,
    NotFoundError,
    RunBusyError,
    RunMovedError,
    StorageError,
)
from charrnn_cli.events import Evaluated
from charrnn_cli.storage import atomic, directory, lock, opening, temporary
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.directory import Directory, open_directory
from charrnn_cli.storage.lock import check_unlocked, create_locked, hold_lock
from charrnn_cli.storage.metrics_log import event_to_json, read_metrics
from charrnn_cli.storage.opening import open_regular, open_to_append, read_small
from charrnn_cli.storage.paths import free_bytes
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import TensorSpec, read_exactly, read_header
from tests.helpers import make_checkpoint, new_run, run_held, save


def refusing(number: int) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_system_without_open_directories(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without open directories, paths are used, and a run can be created, held and written."""
    monkeypatch.setattr(directory, "_HAS_DIRECTORY_DESCRIPTORS", False)
    with open_directory(tmp_path) as opened:
        assert opened == Directory(tmp_path)
        assert opened.is_at_its_path()
    with Registry().create("one") as run:
        assert run.held is not None
        run.held.check()
        with atomic_write(run.metrics_path) as file:
            file.write(b"1")
        shutil.move(run.path, tmp_path / "moved")
        with pytest.raises(RunMovedError):
            run.held.check()


def test_a_name_that_is_taken_while_a_new_directory_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new directory that another process takes for the remains of a killed one is made anew."""
    swept, mkdir = iter([True]), Path.mkdir

    def raced(path: Path, *arguments: Any, **options: Any) -> None:
        mkdir(path, *arguments, **options)
        if next(swept, False):
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", raced)
    with create_locked(tmp_path / "run") as held:
        held.check()
    monkeypatch.setattr(Path, "rename", refusing(errno.EIO))
    with pytest.raises(StorageError, match="Input/output error"), create_locked(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_directory_that_goes_while_its_lock_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is deleted while a process waits for its lock no longer exists."""
    flock, run = fcntl.flock, tmp_path / "run"

    def delete_first(descriptor: int, operation: int) -> None:
        shutil.rmtree(run, ignore_errors=True)
        flock(descriptor, operation)

    run.mkdir()
    monkeypatch.setattr(fcntl, "flock", delete_first)
    with pytest.raises(NotFoundError, match="no run in"), hold_lock(run):
        pass
    monkeypatch.undo()
    run.mkdir()
    open_file = Directory.open

    def delete_before(opened: Directory, *arguments: Any) -> int:
        shutil.rmtree(run)
        return open_file(opened, *arguments)

    monkeypatch.setattr(Directory, "open", delete_before)
    with pytest.raises(NotFoundError, match="no directory named"), hold_lock(run):
        pass


def test_a_lock_that_goes_while_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock whose file its last holder removes is taken again, with a file that exists."""
    flock, removed = fcntl.flock, iter([True])

    def remove_first(descriptor: int, operation: int) -> None:
        if next(removed, False):
            (tmp_path / ".lock").unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with hold_lock(tmp_path) as held:
        held.check()


def test_locks_that_are_no_files_of_ours(tmp_path: Path) -> None:
    """A FIFO is no lock; a file with another name is locked, but not written."""
    fifo, linked = tmp_path / "fifo", tmp_path / "linked"
    for path in (fifo, linked):
        path.mkdir()
    os.mkfifo(fifo / ".lock")
    check_unlocked(fifo)
    with pytest.raises(StorageError, match="is not a regular file"), hold_lock(fifo):
        pass
    (tmp_path / "victim").write_text("precious")
    os.link(tmp_path / "victim", linked / ".lock")
    with hold_lock(linked), pytest.raises(RunBusyError):
        check_unlocked(linked)
    with hold_lock(linked), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
        check_unlocked(linked)  # a file system without locks
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_process_of_another_user_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that may not be asked is named, because it may live."""
    with hold_lock(tmp_path):
        monkeypatch.setattr(os, "kill", refusing(errno.EPERM))
        with pytest.raises(RunBusyError, match=f"pid {os.getpid()}"):
            check_unlocked(tmp_path)


def test_temporary_files_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked, temporary files are swept after a day without a write."""
    old, new = tmp_path / ".x.1-0123abcd.tmp", tmp_path / ".x.2-0123abcd.tmp"
    for refused in (True, False):
        for path in (old, new):
            path.touch()
        os.utime(old, (0, 0))
        with monkeypatch.context() as patch:
            if refused:
                patch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
            else:
                patch.setitem(sys.modules, "fcntl", None)
                importlib.reload(temporary)
            with temporary.temporary_file(Directory(tmp_path), "y", 0o600) as (name, _):
                assert (tmp_path / name).exists()
            temporary.sweep_temporaries(Directory(tmp_path), lambda target: target == "x")
        assert [path.exists() for path in (old, new)] == [False, True]
    importlib.reload(temporary)


def test_a_new_file_that_is_swept_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary file that another process takes for one of a killed process is made anew."""
    swept, flock = iter([True]), fcntl.flock

    def sweep_first(descriptor: int, operation: int) -> None:
        if next(swept, False):
            raise BlockingIOError
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with atomic_write(tmp_path / "x") as file:
        file.write(b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_system_that_renames_no_open_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an open file cannot be renamed, it is closed first."""
    monkeypatch.setattr(atomic, "_CLOSE_FIRST", True)
    with atomic_write(tmp_path / "x") as file:
        file.write(b"1")
    assert file.closed
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1"]


def test_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is read whole, also in parts; a larger one or a failing disk is an error."""
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    parts = iter([b"12", b"34", b""])

    class Slow:
        def read(self, count: int) -> bytes:
            return next(parts)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "open_regular", lambda *_, **__: contextlib.nullcontext(Slow()))
        assert read_small(path, 5) == b"1234"
    with pytest.raises(ForeignFileError, match="is larger than 4 bytes"):
        read_small(path, 4)
    with pytest.raises(NotFoundError):
        read_small(tmp_path / "a\0b", 4)
    with pytest.raises(StorageError, match="cannot read"):
        read_small(Path("/proc/self/mem"), 4)


def test_a_file_with_another_name_is_copied_before_it_grows(tmp_path: Path) -> None:
    """Appending to a file with two names changes one of them."""
    for path in (tmp_path / "x", tmp_path / "y"):
        path.write_bytes(b"1")
        os.link(path, path.with_suffix(".other"))
        with open_to_append(path) as descriptor:
            os.write(descriptor, b"2")
        assert (path.read_bytes(), path.with_suffix(".other").read_bytes()) == (b"12", b"1")


def test_failing_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the system, a lack of memory, or a disk that fails is an error with the path."""
    with pytest.raises(StorageError, match="cannot read /proc/self/maps"):
        read_header(Path("/proc/self/maps"))

    class Huge:
        def read(self, count: int) -> bytes:
            raise MemoryError

    with pytest.raises(MemoryShortageError, match=r"takes 1,000 bytes of memory"):
        read_exactly(Huge(), 1000, tmp_path)  # type: ignore[arg-type]
    (tmp_path / "metrics.jsonl").mkdir()
    assert read_metrics(tmp_path / "metrics.jsonl").problem is not None
    assert read_metrics(Path("/proc/self/mem")).problem == (
        "cannot read /proc/self/mem: Input/output error"
    )
    monkeypatch.setattr(shutil, "disk_usage", refusing(errno.EIO))
    with pytest.raises(StorageError, match="cannot read"):
        free_bytes(tmp_path)
    with pytest.raises(NotFoundError), open_regular(tmp_path / "metrics.jsonl" / "x" / "y"):
        pass


def test_numbers_that_are_not_finite_are_null() -> None:
    """A loss that is not finite is null in the log."""
    names = [name for name in Evaluated.__dataclass_fields__ if name != "val_loss"]
    event = Evaluated(**dict.fromkeys(names, 1), val_loss=float("inf"))  # type: ignore[arg-type]
    assert event_to_json(event)["val_loss"] is None


def test_half_a_character_is_not_written(tmp_path: Path) -> None:
    """A header with half of a surrogate pair is refused; an escaped whole pair is not."""
    specs = {"t": TensorSpec("U8", (0,))}
    with write_tensors(tmp_path / "x", "test", specs, {"note": "\U0001f600"}):
        pass
    assert read_header(tmp_path / "x").metadata["note"] == "\U0001f600"
    bad = write_tensors(tmp_path / "y", "test", specs, {"note": "\udc80"})
    with pytest.raises(ConfigError, match="is not a valid character"), bad:
        pass


def test_files_that_cannot_be_deleted(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that cannot be deleted is an error, and a run that saves meanwhile stays."""
    run = new_run("one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refusing(errno.EIO))
        with pytest.raises(StorageError, match="cannot delete"):
            run.remove(run.metrics_path)
    (run.path / ".lock").touch()
    is_remains = Run.is_remains
    answers = iter([True])

    def saved_meanwhile(run: Run) -> bool:
        if next(answers, False):
            found = is_remains(run)
            save(make_checkpoint(run="one"))
            return found
        return is_remains(run)

    monkeypatch.setattr(Registry, "_sweep_remains", lambda _: None)
    monkeypatch.setattr(Run, "is_remains", saved_meanwhile)
    with (
        pytest.raises(ConfigError, match="already exists"),
        contextlib.ExitStack() as stack,
    ):
        stack.enter_context(Registry().create("one"))
    assert run.steps() == [100]
    with run_held(run) as held:
        held.discard_if_empty()
    assert run.steps() == [100]


def test_a_lock_is_created_once(tmp_path: Path) -> None:
    """A directory with content is never replaced by a new one."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x").touch()
    with pytest.raises(AlreadyPublishedError), create_locked(tmp_path / "run"):
        pass
    assert lock.LOCK_NAME not in os.listdir(tmp_path / "run")

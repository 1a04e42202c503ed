"""A writer that is stopped at any point leaves the old state or the new one."""

import contextlib
import errno
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from charrnn_cli.errors import CharrnnError, DiskFullError, StorageError
from charrnn_cli.model.checkpoint import load_checkpoint, save_checkpoint
from charrnn_cli.storage.header import RunCounters
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from tests.helpers import make_checkpoint, new_run
from tests.processes import exit_codes, forked


@pytest.fixture(autouse=True)
def files_left_open() -> Iterator[None]:
    """Ignore files that an exception between opening and the first line of the block left open."""
    hook = sys.unraisablehook
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        sys.unraisablehook = lambda _: None
        yield
        gc.collect()
        sys.unraisablehook = hook


OLD, NEW = make_checkpoint(seed=1, step=1), make_checkpoint(seed=2, step=2)
MAX_CALLS = 5000


def state(step: int) -> TrainingSnapshot:
    return TrainingSnapshot(
        checkpoint=OLD if step == 1 else NEW,
        tensors={"x": np.full(3, step, np.float32)},
        counters=RunCounters(),
        source=None,
    )


class CallCounter:
    """Runs an action at the k-th call of a built-in function, of which system calls are some."""

    def __init__(self, k: int, action: Callable[[], None], *, only_io: bool) -> None:
        self.remaining, self.action, self.only_io = k, action, only_io
        self.fired = False

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call" or self.fired:
            return
        if self.only_io and not _is_io(function):
            return
        self.remaining -= 1
        if self.remaining == 0:
            self.fired = True
            self.action()

    def run(self, work: Callable[[], None]) -> bool:
        """Return whether the work made k calls."""
        sys.setprofile(self)
        try:
            work()
        finally:
            sys.setprofile(None)
        return self.fired


def _is_io(function: Any) -> bool:
    return function.__module__ == "posix" or isinstance(
        getattr(function, "__self__", None), io.IOBase
    )


def visible(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".tmp"))


def every_point(
    action: str, work: Callable[[], None], check: Callable[[], None], reset: Callable[[], None]
) -> int:
    """Stop `work` at each of its calls in turn, check what is left, and return their number."""
    for k in range(1, MAX_CALLS):
        reset()
        if action.startswith("exit"):
            # Between two calls of the system no file changes, so exits there add nothing.
            counter = CallCounter(k, lambda: os._exit(9), only_io=action == "exit")
            (code,) = exit_codes([forked(partial(counter.run, work))])
            if code != 9:
                assert code == 0
                return k - 1
        else:

            def fail() -> None:
                raise (
                    KeyboardInterrupt
                    if action == "interrupt"
                    else OSError(errno.ENOSPC, "No space left on device")
                )

            counter = CallCounter(k, fail, only_io=action == "full disk")
            with contextlib.suppress(KeyboardInterrupt, CharrnnError, OSError):
                counter.run(work)
            if not counter.fired:
                return k - 1
        check()
    raise AssertionError(f"more than {MAX_CALLS} calls")


ACTIONS = [
    pytest.param("exit", marks=pytest.mark.forks),
    "interrupt",
    "full disk",
    pytest.param("exit at any call", marks=[pytest.mark.forks, pytest.mark.slow]),
]
MIN_POINTS = {"exit": 30, "interrupt": 100, "full disk": 8, "exit at any call": 100}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_new_file(action: str, home: Path) -> None:
    """A new file is complete or absent, and the next attempt succeeds."""
    run = new_run("tiny")
    path = run.step_path(2)

    def check() -> None:
        if path.exists():
            assert (
                load_checkpoint(path).weights["output.weight"] == NEW.weights["output.weight"]
            ).all()
        assert visible(run.path) in ([], [path.name])
        run.sweep()
        save_checkpoint(path, NEW)
        assert load_checkpoint(path).step == 2

    points = every_point(
        action, lambda: save_checkpoint(path, NEW), check, lambda: path.unlink(missing_ok=True)
    )
    assert points > MIN_POINTS[action]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_replaced_file(action: str, home: Path) -> None:
    """The resume file is the old or the new one, and the previous one can be loaded."""
    run = new_run("tiny")

    def reset() -> None:
        shutil.rmtree(run.path)
        run.path.mkdir()
        save_resume(run, state(1))

    def check() -> None:
        assert load_resume(run.resume_path).checkpoint.step in (1, 2)
        if run.previous_resume_path.exists():
            assert load_resume(run.previous_resume_path).checkpoint.step == 1
        assert set(visible(run.path)) <= {run.resume_path.name, run.previous_resume_path.name}

    points = every_point(action, lambda: save_resume(run, state(2)), check, reset)
    assert points > MIN_POINTS[action]


def test_files_change_only_in_calls_of_the_system(home: Path) -> None:
    """Any other built-in function leaves the files as they are, so few exits stand for all."""
    run = new_run("tiny")
    save_resume(run, state(1))
    changing, before = set(), [("", b"")]

    def compare(frame: FrameType, event: str, function: Any) -> None:
        if event not in ("c_call", "c_return"):
            return
        sys.setprofile(None)
        files = sorted((path.name, path.read_bytes()) for path in run.path.iterdir())
        if event == "c_return" and files != before:
            changing.add(function)
        before[:] = files
        sys.setprofile(compare)

    sys.setprofile(compare)
    try:
        save_resume(run, state(2))
    finally:
        sys.setprofile(None)
    assert len(changing) > 3
    assert all(map(_is_io, changing)), changing


def naive_save(path: Path) -> None:
    """Write a file in place, as most programs do."""
    data = json.dumps({"weights": NEW.weights["output.weight"].tolist()}).encode()
    with open(path, "wb", buffering=0) as file:
        for start in range(0, len(data), 64):
            file.write(data[start : start + 64])


@pytest.mark.forks
def test_the_test_can_fail(tmp_path: Path) -> None:
    """A writer in place, as a control, leaves torn files."""
    path = tmp_path / "naive.json"
    torn = 0

    def check() -> None:
        nonlocal torn
        try:
            json.loads(path.read_text())
        except (ValueError, FileNotFoundError):
            torn += 1

    every_point("exit", lambda: naive_save(path), check, lambda: naive_save(path))
    assert torn > 3


@pytest.mark.parametrize("action", ["interrupt", "full disk"])
def test_a_failed_writer_cleans_up(action: str, home: Path) -> None:
    """A temporary file stays only if the error hit the removal itself."""
    run = new_run("tiny")
    leftovers = 0

    def check() -> None:
        nonlocal leftovers
        if found := len(list(run.path.glob(".*.tmp"))):
            gc.collect()  # closes files in the frames of the error: sweeping spares those in use
        leftovers += found
        run.sweep()

    path = run.step_path(2)
    points = every_point(
        action, lambda: save_checkpoint(path, NEW), check, lambda: path.unlink(missing_ok=True)
    )
    assert leftovers <= points // 8


def test_a_full_disk_is_a_storage_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a full disk names the file, the bytes needed and the bytes free."""
    run = new_run("tiny")

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(
        DiskFullError, match=r"cannot write .*No space left.* bytes needed, .* free"
    ):
        save_checkpoint(run.step_path(2), NEW)
    assert visible(run.path) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_order_of_system_calls(home: Path, tmp_path: Path) -> None:
    """The content is durable before the name appears, and the name before anything is reported."""
    log = tmp_path / "strace.log"
    script = (
        "from tests.helpers import make_checkpoint, save\n"
        "import os\n"
        "save(make_checkpoint())\n"
        "os.path.exists('/reported')\n"
    )
    traced = "trace=openat,write,fsync,link,linkat,rename,renameat,newfstatat,stat,statx"
    result = subprocess.run(
        ["strace", "-f", "-o", str(log), "-e", traced, sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    if result.returncode and "ptrace" in result.stderr:
        pytest.skip("strace is not allowed to trace")
    assert result.returncode == 0, result.stderr
    lines = log.read_text().splitlines()
    opened = next(index for index, line in enumerate(lines) if ".tmp" in line and "O_EXCL" in line)
    directory = lines[opened].split("openat(")[1].split(",")[0]
    descriptor = lines[opened].rsplit("= ", 1)[1]
    calls = []
    for line in lines[opened:]:
        call = line.split(maxsplit=1)[1]
        if call.startswith(f"write({descriptor},"):
            calls.append("write")
        elif call.startswith(f"fsync({descriptor})"):
            calls.append("fsync")
        elif call.startswith(("link", "linkat", "rename")) and ".tmp" in call:
            calls.append("link")
            descriptor = directory
        elif "/reported" in call:
            calls.append("report")
    collapsed = [call for index, call in enumerate(calls) if index == 0 or calls[index - 1] != call]
    assert collapsed == ["write", "fsync", "link", "fsync", "report"]


def test_without_links_or_directory_syncs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, files are still published and never overwritten."""

    def no_links(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    run = new_run("tiny")
    save_checkpoint(run.step_path(2), NEW)
    with pytest.raises(StorageError, match="already exists"):
        save_checkpoint(run.step_path(2), make_checkpoint(seed=3, step=2))
    for step in (1, 2):
        save_resume(run, state(step))
    assert load_resume(run.resume_path).checkpoint.step == 2
    assert load_resume(run.previous_resume_path).checkpoint.step == 1
    assert Run("tiny", run.path).checkpoints()[0].step == 2

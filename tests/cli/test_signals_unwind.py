"""Signals end a command that saves nothing, with one line and without unfinished files."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import SIGNALS, TIMEOUT, make_checkpoint, save
from tests.terminal import Terminal

PROGRAM = ("-m", "charrnn_cli")
# The program with a disk that stops answering when it is to keep a file.
HUNG_DISK = """
import os, time
def fsync(descriptor):
    while True:
        time.sleep(0.1)
os.fsync = fsync
from charrnn_cli.__main__ import main
main()
"""
LONG_PRIME = 3_000_000  # characters; large_model reads them for about ten minutes


def start(
    *arguments: str, program: tuple[str, ...] = PROGRAM, ignored: tuple[int, ...] = ()
) -> "subprocess.Popen[bytes]":
    """Start a command that ignores some signals, with pipes for its three streams."""
    # What this process ignores, the program ignores from its first instruction on.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until a condition holds; fail if the process ends before."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def handles(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Whether a process has a handler for a signal."""
    for line in Path(f"/proc/{process.pid}/status").read_text("ascii").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def has_unnamed_file(process: "subprocess.Popen[bytes]", directory: Path) -> bool:
    """Whether a process has an open file of this directory that has no name."""
    opened = []
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            opened.append(os.readlink(descriptor))
    return any(name.startswith(str(directory)) and "(deleted)" in name for name in opened)


@pytest.fixture
def large_model(home: Path) -> str:
    """Save a model that reads only some thousand characters per second."""
    config = ModelConfig(vocabulary_size=10, layers=1, size=512, embed=3)
    save(make_checkpoint(config, run="large", scale=0.05))
    return "large"


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["export tiny -o new.safetensors", "import old.safetensors"])
def test_unfinished_files_are_removed(
    tiny_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    command: str,
) -> None:
    """A command that a signal ends while it writes leaves the files that were there before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.safetensors").write_bytes(Registry().resolve("tiny").read_bytes())
    before = files(tmp_path)
    with start("checkpoints", *command.split(), program=("-c", HUNG_DISK)) as process:
        wait_until(lambda: any(path.suffix == ".tmp" for path in files(tmp_path)), process)
        process.send_signal(number)
        out, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    assert (out, errors) == (b"", f"stopped by {number.name}\n".encode())
    assert files(tmp_path) == before
    assert [run.name for run in Registry().runs()] == ["tiny"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_an_import_from_standard_input_leaves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal during an import from standard input leaves no copy, wherever it was made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with start("checkpoints", "import", "-") as process:
        assert process.stdin is not None
        process.stdin.write(b"abc")
        process.stdin.flush()
        wait_until(lambda: has_unnamed_file(process, tmp_path), process)
        process.terminate()
        _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (143, b"stopped by SIGTERM\n")
    assert files(tmp_path) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_waiting_for_a_prime(tiny_run: Run, number: signal.Signals) -> None:
    """The first signal ends the wait for a prime from standard input."""
    with start("sample", "--prime-file", "-") as process:
        wait_until(lambda: handles(process, SIGNALS[-1]), process)
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 128 + number
        assert process.stderr is not None
        assert process.stderr.read() == f"stopped by {number.name}\n".encode()


def test_reading_a_long_prime(large_model: str, tmp_path: Path) -> None:
    """The first signal ends a command whose model reads a long prime."""
    prime = tmp_path / "prime.txt"
    prime.write_text("a" * LONG_PRIME)
    with start("sample", "--prime-file", str(prime)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"sample  large@100, ")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out, errors) == (130, b"", b"stopped by SIGINT\n")


def test_reading_a_long_line(large_model: str) -> None:
    """In a conversation, Ctrl-C ends the reading of a line, and the next line is answered."""
    with start("sample", "--interactive", "-q", "-n", "5") as process:
        assert process.stdin is not None
        process.stdin.write(b"a" * LONG_PRIME + b"\nab\n")
        process.stdin.flush()
        unread = process.stdin.fileno()
        wait_until(lambda: fcntl.ioctl(unread, termios.FIONREAD, bytes(4)) == bytes(4), process)
        time.sleep(0.5)  # the line is complete, so it is not discarded before the model reads it
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, b"")
    assert out.startswith(b"\n")
    assert len(out) > 5


def test_ignored_signals_stay_ignored(tiny_run: Run) -> None:
    """Signals that are ignored at the start, as under nohup, do not end a command."""
    with start("sample", "-q", "-n", "5", "--prime-file", "-", ignored=tuple(SIGNALS)) as process:
        assert process.stdin is not None
        for number in SIGNALS:
            process.send_signal(number)
        process.stdin.write(b"abc")
        process.stdin.flush()
        time.sleep(0.2)
        for number in SIGNALS:
            process.send_signal(number)
        out, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, b"")
    assert out.startswith(b"abc")


def test_the_terminal_of_a_conversation_is_restored(tiny_run: Run) -> None:
    """A signal ends a conversation with one line, and the terminal echoes what is typed next."""
    with Terminal("sample", "--interactive", "-q") as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.wait_for("> ")
        for _ in range(3):  # the prompt is shown a moment before it waits for keys
            terminal.wait_briefly()
        terminal.process.terminate()
        assert terminal.wait() == 143
        assert termios.tcgetattr(terminal.master) == before
    assert b"by SIGTERM" in terminal.written
    assert b"Traceback" not in terminal.written


def test_a_confirmation_can_be_interrupted(tiny_run: Run) -> None:
    """Ctrl-C at the question whether to delete files deletes none, and ends the line of ^C."""
    with Terminal("checkpoints", "rm", "tiny") as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert len(tiny_run.checkpoints()) == 3
    assert b"^C\r\n" in terminal.written

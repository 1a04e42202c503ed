"""Signals end a command whose standard output or terminal takes nothing more."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import FAST, TIMEOUT, first_of
from tests.processes import running
from tests.terminal import Terminal

PIPE_BYTES = 4096
PROGRAM = [sys.executable, "-m", "charrnn_cli"]
SIGNALS = first_of(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
LONG = ("--max-steps", "1000000", "--run", "long", "--log-every", "1")

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs pipes of a known size"
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a small pipe that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def wait_until_full(process: "subprocess.Popen[bytes]", reader: int) -> None:
    """Wait until the pipe is about full, and takes nothing more for 0.3 seconds."""
    deadline = time.monotonic() + TIMEOUT
    before = -1
    while before < PIPE_BYTES // 2 or before != in_pipe(reader):
        before = in_pipe(reader)
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02 if before < PIPE_BYTES // 2 else 0.3)


def in_pipe(reader: int) -> int:
    """Return the number of bytes in a pipe."""
    number: int = struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]
    return number


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("number", first_of(signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
def test_a_live_display_on_a_stopped_terminal(
    story: Path, number: signal.Signals, twice: bool
) -> None:
    """A run whose live display Ctrl-S has stopped is saved and ends; a second signal is heard."""
    with Terminal("train", str(story), *FAST, *LONG, "--eval-every", "5") as terminal:
        terminal.wait_until((Registry().root / "long" / "resume.safetensors").exists)
        terminal.type("\x13")
        terminal.wait_briefly()
        terminal.process.send_signal(number)
        if twice:
            time.sleep(0.6)
            terminal.process.send_signal(number)
        assert terminal.process.wait(TIMEOUT) == 128 + number
    run = Registry().run("long")
    if not twice:
        assert run.checkpoints()[-1].header is not None
    assert list(run.path.glob(".*.tmp")) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_events_that_nobody_reads(
    story: Path, pipe: tuple[int, int], number: signal.Signals
) -> None:
    """A run whose events nobody reads is saved and ends; all events in the pipe are whole."""
    command = [*PROGRAM, "train", str(story), *FAST, *LONG, "--json"]
    with running(command, stdout=pipe[1], stderr=subprocess.PIPE) as process:
        wait_until_full(process, pipe[0])
        process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number, errors
    (entry,) = Registry().run("long").checkpoints()
    assert json.loads(errors.splitlines()[-1]) == {
        "error": f"stopped at step {entry.step}, saved long@{entry.step}",
        "hint": "charrnn train --resume long",
        "exit_code": 128 + number,
    }
    for line in os.read(pipe[0], 2 * PIPE_BYTES).splitlines():
        json.loads(line)


def test_messages_that_nobody_reads(story: Path, pipe: tuple[int, int]) -> None:
    """A run whose messages nobody reads is saved and ends."""
    command = [*PROGRAM, "train", str(story), *FAST, *LONG, "--eval-every", "1"]
    with running(command, stderr=pipe[1]) as process:
        wait_until_full(process, pipe[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 143
    (*_, entry) = Registry().run("long").checkpoints()
    assert entry.header is not None


def test_a_stopped_terminal(story: Path) -> None:
    """A run on a terminal that Ctrl-S has stopped is saved and ends."""
    with Terminal("train", str(story), *FAST, *LONG, "--json") as terminal:
        terminal.wait_for("StepLogged")
        terminal.type("\x13")
        terminal.wait_briefly()
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(TIMEOUT) == 143
    (entry,) = Registry().run("long").checkpoints()
    assert entry.header is not None
    assert entry.header.interrupted


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("options", [(), ("--count", "3", "--json"), ("--interactive",)])
def test_samples_that_nobody_reads(
    tiny_run: Run, pipe: tuple[int, int], number: signal.Signals, options: tuple[str, ...]
) -> None:
    """A command whose text nobody reads ends; an interactive one at repeated Ctrl-C."""
    command = [*PROGRAM, "sample", "-q", "-n", "20000", *options]
    with running(command, stdin=subprocess.PIPE, stdout=pipe[1], stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"abc\n" * 100)
        process.stdin.flush()
        wait_until_full(process, pipe[0])
        process.send_signal(number)
        while number == signal.SIGINT and options == ("--interactive",) and process.poll() is None:
            time.sleep(0.1)
            process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    assert b"Traceback" not in errors
    assert errors.count(b"\n") <= 1


@pytest.mark.parametrize("command", ["checkpoints export best -o -", "checkpoints verify"])
def test_results_that_nobody_reads(tiny_run: Run, pipe: tuple[int, int], command: str) -> None:
    """A short command whose result nobody reads ends with one line."""
    os.write(pipe[1], bytes(PIPE_BYTES))
    with running([*PROGRAM, *command.split()], stdout=pipe[1], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + TIMEOUT
        while not handles(process.pid, signal.SIGTERM):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 143
    assert errors == b"stopped by SIGTERM\n"


def handles(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_a_pipe_that_another_process_has_made_non_blocking(tiny_run: Run, tmp_path: Path) -> None:
    """Everything arrives, however late it is read, and standard input is waited for."""
    command = [*PROGRAM, "sample", "tiny", "-n", "4000", "--seed", "1", "--json"]
    expected = subprocess.run(command, capture_output=True, check=True).stdout
    assert len(expected) > 2 * PIPE_BYTES
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writer, False)
    with running(command, stdout=writer) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            time.sleep(1)
            assert output.read() == expected
    assert process.returncode == 0
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    path = tiny_run.step_path(100)
    with running(
        [*PROGRAM, "checkpoints", "import", "-", "--run", "late"], stdin=reader
    ) as process:
        time.sleep(1)
        os.write(writer, path.read_bytes())
        os.close(writer)
    os.close(reader)
    assert process.returncode == 0
    assert Registry().run("late").step_path(100).read_bytes() == path.read_bytes()


def test_standard_output_that_was_closed_from_the_start(tiny_run: Run, story: Path) -> None:
    """A result that nobody can get is exit code 141; training, which has none, goes on."""
    shell = 'exec "$@" >&-'
    for arguments, code in (
        (("sample", "tiny", "-n", "3"), 141),
        (("checkpoints", "list"), 141),
        (("checkpoints", "export", "tiny", "-o", "-"), 141),
        (("train", str(story), *FAST, "--max-steps", "2"), 0),
    ):
        command = ["sh", "-c", shell, "sh", *PROGRAM, *arguments]
        assert subprocess.run(command, check=False, capture_output=True).returncode == code

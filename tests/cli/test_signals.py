"""Signals stop every long command soon, with their own exit code and no partial file."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import SIGNALS, TIMEOUT, first_of
from tests.terminal import Terminal

PROGRAM = [sys.executable, "-m", "charrnn_cli"]
FAST = ("--layers", "1", "--size", "16", "--batch-size", "4", "--seq-len", "16")


def interrupted(
    arguments: list[str], stream: int, ready: bytes, number: signal.Signals, cwd: Path
) -> tuple[int, bytes, bytes]:
    """Start a command, wait for `ready` on stdout (1) or stderr (2), and send a signal.

    Returns the exit code, and what came on stdout and on stderr after `ready`.
    """
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd
    )
    pipe = process.stdout if stream == 1 else process.stderr
    assert pipe is not None
    seen = b""
    while ready not in seen:
        character = pipe.read(1)
        assert character, seen
        seen += character
    process.send_signal(number)
    out, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, errors


def start_until(
    arguments: list[str], directory: Path, pattern: str, cwd: Path
) -> "subprocess.Popen[bytes]":
    """Start a command, and return when the directory has an entry of this name."""
    process = subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, cwd=cwd)
    while not list(directory.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.005)
    return process


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write a text of 200 MB, once for all tests."""
    path = tmp_path_factory.mktemp("shared") / "large.txt"
    path.write_bytes("Ein längerer Text, der einige Zeit zum Lesen braucht.\n".encode() * 4_000_000)
    yield path
    path.unlink()


@pytest.fixture
def large(shared: Path, tmp_path: Path) -> Iterator[Path]:
    """Link the large text into the directory of a test."""
    path = tmp_path / "large.txt"
    path.hardlink_to(shared)
    yield path
    path.unlink()


@pytest.mark.parametrize("number", first_of(signal.SIGUSR1, signal.SIGINT, signal.SIGTERM))
def test_encode(large: Path, tmp_path: Path, number: signal.Signals) -> None:
    """An interrupted encode leaves no output, neither whole nor partial."""
    process = start_until(["encode", str(large)], tmp_path, ".*.tmp", tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}\n".encode() in errors
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["large.txt"]


def test_encoding_before_training(large: Path, tmp_path: Path, home: Path) -> None:
    """An interruption while the text is read ends that, and leaves no cache entry and no run."""
    process = start_until(["train", str(large), *FAST], home, "corpora", tmp_path)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 143, errors
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert Registry().runs() == []


@pytest.mark.parametrize("number", SIGNALS)
def test_sample(tiny_run: Run, tmp_path: Path, number: signal.Signals) -> None:
    """An interrupted sample ends its text early, with a newline."""
    arguments = ["sample", "-q", "-n", "100000000", "--prime", "abc"]
    code, out, errors = interrupted(arguments, 1, b"abc", number, tmp_path)
    assert code == 128 + number
    assert out.endswith(b"\n")
    assert len(out) < 100_000_000
    assert errors == f"stopped by {number.name}\n".encode()


def test_a_long_prime(tiny_run: Run, tmp_path: Path) -> None:
    """Reading a prime that takes minutes shows its progress, and ends at the first Ctrl-C."""
    prime, output = tmp_path / "prime.txt", tmp_path / "sample.txt"
    prime.write_text("abc defg" * 2_000_000)
    with Terminal("sample", "--prime-file", str(prime), "-o", str(output)) as terminal:
        terminal.wait_for("reading the prime")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert not output.exists()


@pytest.mark.parametrize("number", first_of(signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
def test_evaluation(story: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A run that evaluates after every step is saved when a signal arrives."""
    arguments = [
        "train",
        str(story),
        *FAST,
        "--eval-every",
        "1",
        "--max-steps",
        "100000",
        "--run",
        "one",
    ]
    code, _, errors = interrupted(arguments, 2, b"step 3/", number, tmp_path)
    assert code == 128 + number
    entries = Registry().run("one").checkpoints()
    assert all(entry.header is not None for entry in entries)
    step = entries[-1].step
    assert 3 <= step < 100_000
    assert f"stopped at step {step}, saved one@{step}".encode() in errors


def test_an_ignored_signal_stays_ignored(story: Path, tmp_path: Path) -> None:
    """A run that ignores SIGHUP, as under nohup, trains on after it and obeys the next signal."""
    options = [*FAST, "--eval-every", "1", "--max-steps", "100000", "--run", "one"]
    process = subprocess.Popen(
        ["bash", "-c", 'trap "" HUP; exec "$@"', "bash", *PROGRAM, "train", str(story), *options],
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    lines = Lines(process.stderr.fileno())
    lines.wait_for(b"step ", 1)
    process.send_signal(signal.SIGHUP)
    lines.drain()  # what was written before the signal arrived
    lines.wait_for(b"step ", 5)  # a run that stops ends after one step
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 143
    assert b"saved one@" in errors


class Lines:
    """The lines that arrive in a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def drain(self) -> None:
        """Discard what is in the pipe now."""
        os.set_blocking(self._descriptor, False)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 65536):
                pass
        os.set_blocking(self._descriptor, True)

    def wait_for(self, words: bytes, times: int) -> None:
        """Read until `words` arrived `times` times; fail at the end of the pipe."""
        seen = b""
        while seen.count(words) < times:
            piece = os.read(self._descriptor, 4096)
            assert piece, seen
            seen += piece

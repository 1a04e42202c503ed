"""Pipes as texts, which can be read only once: `<(...)` of a shell, and named pipes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.training.command_line import source_words
from tests.helpers import FAST, STORY, TIMEOUT, Inside, bash
from tests.processes import running


@pytest.mark.usefixtures("tiny_run")
def test_the_shells_substitution(tmp_path: Path, home: Path) -> None:
    """Every command that reads a text reads `<(...)`, and leaves no copy of it."""
    (tmp_path / "abc.txt").write_text("bad cab\n" * 60)
    encoded = bash("charrnn encode <(cat abc.txt) --json", tmp_path)
    assert json.loads(encoded.stdout)["characters"] == 480
    assert (tmp_path / "pipe.encoded.safetensors").exists()
    scored = bash("charrnn score tiny <(cat abc.txt) --json", tmp_path)
    assert json.loads(scored.stdout)[0]["characters"] == 479
    primed = bash("charrnn sample tiny -q -n 0 --prime-file <(printf 'bad cab')", tmp_path)
    assert (primed.stdout, primed.stderr) == ("bad cab\n", "")
    copied = bash("charrnn sample tiny -q -n 9 --check-copy <(cat abc.txt)", tmp_path)
    assert (copied.returncode, copied.stderr.split(" ")[0]) == (0, "copied")
    assert list(home.glob("corpora/.*")) == []


def test_a_run_of_a_pipe(tmp_path: Path, inside: Inside, story: Path) -> None:
    """A run is trained from a pipe; to resume it, its text must be named again."""
    words = " ".join((*FAST, "--max-steps", "2", "-q"))
    trained = bash(f"charrnn train <(cat {story}) {words}", tmp_path)
    assert (trained.returncode, trained.stdout) == (0, "pipe-lstm-1x16@2\n")
    assert "pipe-lstm-1x16" in [run.name for run in Registry().runs()]
    resume = ("train", "--resume", "pipe-lstm-1x16", "--max-steps", "3")
    assert inside(*resume) == (
        2,
        "",
        (
            "error: the text of run 'pipe-lstm-1x16' came from a pipe\n"
            "hint: charrnn train TEXT --resume pipe-lstm-1x16\n"
        ),
    )
    assert inside(*resume, "-q", str(story))[0] == 0
    source = Source((Path("/dev/fd/63"), Path("/dev/stdin"), story))
    assert source_words(source) == f"TEXT TEXT {story}"
    assert source.missing == Path("/dev/fd/63")


def test_a_writer_that_comes_late(tmp_path: Path, inside: Inside) -> None:
    """A named pipe is read from its first writer to the end, however late the writer comes."""
    os.mkfifo(tmp_path / "book.txt")

    def write() -> None:
        time.sleep(0.5)
        (tmp_path / "book.txt").write_text(STORY)

    writer = threading.Thread(target=write)
    writer.start()
    code, out, err = inside("encode", "book.txt", "--json")
    writer.join()
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["characters"], facts["output"]) == (len(STORY), "book.encoded.safetensors")


def test_a_writer_that_waits_is_read_once(tmp_path: Path, inside: Inside) -> None:
    """A pipe is opened once, so that a writer that has waited for its reader does not lose it."""
    os.mkfifo(tmp_path / "book.txt")
    command = f"printf '%s' {'x' * 999} > book.txt"
    with running(["bash", "-c", command], cwd=tmp_path) as writer:
        time.sleep(0.2)
        code, out, _ = inside("train", "book.txt", "--dry-run", *FAST, "--val-fraction", "0")
        assert (code, out, writer.wait(TIMEOUT)) == (0, "", 0)


def test_errors_in_a_pipe(tmp_path: Path) -> None:
    """Errors in a text from a pipe name the pipe."""
    empty = bash("charrnn encode <(true)", tmp_path)
    assert (empty.returncode, empty.stderr) == (
        2,
        "error: /dev/fd/63 is empty\nhint: use a file that contains text\n",
    )
    document = bash("charrnn encode <(printf '%%PDF-1.4\\n')", tmp_path)
    assert (document.returncode, document.stderr) == (
        2,
        (
            "error: /dev/fd/63 is a PDF document, not a text\n"
            "hint: convert it to plain text (UTF-8), for example with pdftotext\n"
        ),
    )


def test_a_pipe_in_a_directory_is_not_waited_for(tmp_path: Path, inside: Inside) -> None:
    """A pipe that nobody named is skipped."""
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text(STORY)
    os.mkfifo(tmp_path / "books" / "b.txt")
    code, _, err = inside("encode", "books", "--json")
    assert (code, err) == (
        0,
        "skipped b.txt: is not a regular file\nwarning 1 of 2 files could not be read\n",
    )


def test_a_socket_that_is_open(tmp_path: Path) -> None:
    """A socket is read if it is standard input under its name in /dev."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(STORY.encode())
        ours.shutdown(socket.SHUT_WR)
        result = subprocess.run(
            [sys.executable, "-m", "charrnn_cli", "encode", "/dev/stdin", "--json"],
            stdin=theirs.fileno(),
            capture_output=True,
            cwd=tmp_path,
            timeout=TIMEOUT,
            check=True,
        )
    assert json.loads(result.stdout)["characters"] == len(STORY)


@pytest.mark.parametrize("command", ["encode book.txt", "sample tiny --prime-file book.txt"])
@pytest.mark.usefixtures("tiny_run")
def test_waiting_for_a_pipe_can_be_interrupted(home: Path, tmp_path: Path, command: str) -> None:
    """An interrupt ends the wait for a writer, and no file is left."""
    os.mkfifo(tmp_path / "book.txt")
    words = [sys.executable, "-m", "charrnn_cli", *command.split()]
    with running(words, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        # Opening it for writing succeeds as soon as the program reads it.
        deadline = time.monotonic() + TIMEOUT
        writer = None
        while writer is None:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                writer = os.open(tmp_path / "book.txt", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
        os.close(writer)
    assert list(home.glob("corpora/*")) == list(home.glob("corpora/.*")) == []

"""`charrnn train` when a signal comes or a reader leaves: what it saves, and its exit codes."""

import fcntl
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from tests.helpers import FAST, TIMEOUT, Inside, first_of
from tests.processes import running
from tests.terminal import Terminal

# The program with a disk that stops answering: no write to a run's files reaches it until a file
# `answers` lies beside the home.
HUNG_DISK = """
import os, time
def fsync(descriptor):
    while "/runs/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        if os.path.exists(os.path.join(os.environ["CHARRNN_HOME"], "..", "answers")):
            return
        time.sleep(0.1)
os.fsync = fsync
from charrnn_cli.__main__ import main
main()
"""
PROGRAM = ("-m", "charrnn_cli")


def start(
    story: Path, *arguments: str, program: tuple[str, ...] = PROGRAM
) -> "subprocess.Popen[str]":
    """Start a long training and return when its first step is shown."""
    command = [sys.executable, *program, "train", str(story), *FAST, "--max-steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--run", "long", "--log-every", "1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    wait_for(process, "step")
    return process


def wait_for(process: "subprocess.Popen[str]", beginning: str) -> None:
    """Read standard error up to a line that begins so, apart from the time of day."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        if re.match(rf"(\S+Z  )?{beginning} ", line):
            return
        lines.append(line)
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("number", first_of(signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_a_signal_saves_and_leaves(inside: Inside, story: Path, number: signal.Signals) -> None:
    """A signal saves the run and ends it with its exit code, and the run resumes at that step."""
    process = start(story)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    stopping = "stop    finishing this step, then saving; press Ctrl-C again to exit without saving"
    assert stopping in errors.splitlines()
    found = re.search(r"stopped at step (\d+), saved long@\1", errors)
    assert found, errors
    step = int(found[1])
    assert errors.endswith("next    charrnn train --resume long\n")
    assert inside("sample", f"long@{step}", "-n", "5").returncode == 0
    resumed = inside("train", "--resume", "long", "--max-steps", str(step + 5))
    assert resumed.returncode == 0
    assert f"from step {step:,}\n" in resumed.stderr
    assert [entry.step for entry in Registry().run("long").checkpoints()] == [step + 5]


@pytest.mark.parametrize("number", first_of(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU))
def test_signals_of_batch_systems_save_too(story: Path, number: signal.Signals) -> None:
    """A warning of a batch system, and a limit of CPU time, save the run as SIGTERM does."""
    process = start(story)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    (entry,) = Registry().run("long").checkpoints()
    assert f"stopped at step {entry.step}, saved long@{entry.step}\n" in errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_limit_of_cpu_time_is_one_request(story: Path, home: Path) -> None:
    """The signals that repeat every second above the limit do not end a run that is saving."""
    process = start(story, "--save-every", "1", program=("-c", HUNG_DISK))
    try:
        while not list((home / "runs").rglob("*.tmp")):
            assert process.poll() is None
            time.sleep(0.01)
        for _ in range(3):
            process.send_signal(signal.SIGXCPU)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.4)
        home.with_name("answers").touch()
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGXCPU
    (*_, entry) = Registry().run("long").checkpoints()
    assert f"stopped at step {entry.step}, saved long@{entry.step}\n" in errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_second_signal_shows_the_cursor(story: Path, home: Path) -> None:
    """A second Ctrl-C shows the cursor that the live display has hidden."""
    options = [*FAST, "--max-steps", "1000000", "--save-every", "1"]
    with Terminal("train", str(story), *options, program=("-c", HUNG_DISK)) as terminal:
        terminal.wait_until(lambda: list((home / "runs").rglob("*.tmp")))
        terminal.type("\x03")
        terminal.wait_for("finishing this step")
        time.sleep(0.4)  # within 0.3 seconds, two signals are one request
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert terminal.written.rfind(b"\x1b[?25h") > terminal.written.rfind(b"\x1b[?25l") >= 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_second_signal_leaves_at_once(story: Path, home: Path) -> None:
    """A second signal ends a run whose disk hangs, and removes the half-written file."""
    process = start(story, "--save-every", "1", program=("-c", HUNG_DISK))
    try:
        while not list((home / "runs").rglob("*.tmp")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        wait_for(process, "stop")
        with pytest.raises(subprocess.TimeoutExpired):  # the first signal waits for the save
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
    finally:
        process.kill()
        process.communicate()
    assert not list((home / "runs").rglob("*.tmp"))
    assert Registry().run("long").checkpoints() == []


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs a pipe of a known size")
def test_a_reader_of_events_that_leaves_does_not_end_the_run(story: Path, home: Path) -> None:
    """When the reader of --json leaves, the run continues to its end and exits with 141."""
    command = [sys.executable, *PROGRAM, "train", str(story), *FAST, "--json", "--log-every", "1"]
    command += ["--run", "one", "--max-steps", "400", "--eval-every", "100"]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        # The events of all steps do not fit, so some are written after the reader has left.
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        assert b"TrainingStarted" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 141
    assert Registry().run("one").checkpoints()[-1].step == 400

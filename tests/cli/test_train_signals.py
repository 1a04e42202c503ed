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
from tests.helpers import FAST, TIMEOUT, Charrnn

# The program with a disk that stops answering: no write to a run's files ever reaches it.
HUNG_DISK = """
import os, time
def fsync(descriptor):
    while "/runs/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        time.sleep(1)
os.fsync = fsync
from charrnn_cli.cli.main import main
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
    """Read standard error up to a line with this beginning."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        if line.startswith(beginning):
            return
        lines.append(line)
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_leaves(charrnn: Charrnn, story: Path, number: signal.Signals) -> None:
    """A signal saves the run and ends it with its exit code, and the run resumes at that step."""
    process = start(story)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    stopping = "stop    finishing this step, then saving; press Ctrl-C again to exit without saving"
    assert stopping in errors.splitlines()
    found = re.search(r"interrupted at step (\d+), saved long@\1", errors)
    assert found, errors
    step = int(found[1])
    assert errors.endswith("next    charrnn train --resume long\n")
    assert charrnn("sample", f"long@{step}", "-n", "5").returncode == 0
    resumed = charrnn("train", "--resume", "long", "--max-steps", str(step + 5))
    assert resumed.returncode == 0
    assert f"from step {step:,}\n" in resumed.stderr
    assert [entry.step for entry in Registry().run("long").checkpoints()] == [step + 5]


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
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        # The events of all steps do not fit, so some are written after the reader has left.
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        assert b"TrainingStarted" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 141
    assert Registry().run("one").checkpoints()[-1].step == 400

"""A process killed at any moment leaves no partial file, and the next one needs no repair."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import pytest

from charrnn_cli.model.checkpoint import load_checkpoint, save_checkpoint
from charrnn_cli.storage.header import RunCounters
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from tests.helpers import FAST, TIMEOUT, make_checkpoint, new_run
from tests.processes import forked


def killed_child(work: Callable[[], None], seconds: float) -> None:
    """Run `work` in a child process and kill it after this time."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def kill_a_writer(home: Path, trials: int) -> None:
    """Kill a writer again and again; each time, files are whole and reported steps are there."""
    run = new_run("tiny")
    report = home / "reported"
    choose = random.Random(1)

    def write_forever() -> None:
        step = last  # known here, since listing takes longer than some of these processes live
        while True:
            step += 1
            checkpoint = make_checkpoint(step=step, seed=step)
            save_checkpoint(run.step_path(step), checkpoint)
            state = TrainingSnapshot(
                checkpoint=checkpoint, tensors={}, counters=RunCounters(), source=None
            )
            save_resume(run, state)
            report.write_text(str(step))

    kills = reported = last = 0
    longest = 0.02  # seconds
    while kills < trials or last < trials // 3:
        kills += 1
        killed_child(write_forever, choose.uniform(0.001, longest))
        entries = run.checkpoints()
        assert all(entry.header is not None for entry in entries)
        # On a busy machine, a process of that age may not have begun.
        longest = 0.02 if len(entries) > last else 1.1 * longest
        last = len(entries)
        for entry in entries[-2:]:
            load_checkpoint(entry.path)
        if report.exists():  # empty if the writer was killed while it wrote the number
            reported = max(reported, int(report.read_text() or 0))
        assert [entry.step for entry in entries][:reported] == list(range(1, reported + 1))
        if reported:
            assert load_resume(run.resume_path).checkpoint.step >= reported
        run.sweep()
    assert reported > trials // 6


@pytest.mark.forks
def test_the_writer(home: Path) -> None:
    """After each of 100 kills of a writer, all files are whole and all reported steps are there."""
    kill_a_writer(home, 100)


@pytest.mark.forks
@pytest.mark.slow
def test_the_writer_300_times(home: Path) -> None:
    """After each of 300 kills of a writer, all files are whole and all reported steps are there."""
    kill_a_writer(home, 300)


@pytest.mark.forks
def test_the_test_can_fail(tmp_path: Path) -> None:
    """A writer that does not write atomically, killed in the same way, leaves torn files."""
    path = tmp_path / "naive.npy"
    array = np.ones(100_000)
    choose = random.Random(1)
    torn = kills = 0

    def write_forever() -> None:
        while True:
            np.save(path, array)

    while torn < 5:
        np.save(path, array)
        killed_child(write_forever, choose.uniform(0.001, 0.02))
        kills += 1
        try:
            torn += len(np.load(path)) != len(array)
        except (ValueError, EOFError):
            torn += 1
        assert kills < 1000


class Training:
    """`charrnn train` as a process that cannot run far ahead of the reader of its events."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "charrnn_cli", "train", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--json", "--log-every", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        # A full pipe stops the run, so a busy machine cannot make it end before it is killed.
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(cast("TextIO", self.process.stdout), fcntl.F_SETPIPE_SZ, 4096)
        self.first_step = -1
        self.errors = ""
        """Standard error, after the end."""

    def wait_for_step(self, ahead: int) -> None:
        """Read until the run is `ahead` steps beyond its first step, or ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "TrainingStarted":
                self.first_step = event["first_step"]
            elif event["event"] == "StepLogged" and event["step"] >= self.first_step + ahead:
                break

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, wait for the end, and return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        _, self.errors = self.process.communicate(timeout=TIMEOUT)
        assert "Traceback" not in self.errors
        return self.process.returncode


def kill_trials(story: Path, trials: int, seed: int) -> None:
    """Kill a training again and again; each time, files are whole and the run has advanced."""
    choose = random.Random(seed)
    run = Run("long", Registry().root / "long")
    arguments: tuple[str | Path, ...] = (story, *FAST, "--run", "long", "--keep", "20")
    arguments += ("--max-steps", "1000000")
    reached = 0
    for _ in range(trials):
        training = Training(*arguments, "--save-every", "1", "--eval-every", "50")
        training.wait_for_step(choose.randint(1, 40))
        time.sleep(choose.uniform(0, 0.02))
        assert training.end(signal.SIGKILL) == -signal.SIGKILL
        assert training.first_step >= reached
        entries = run.checkpoints()
        for entry in entries:
            load_checkpoint(entry.path)
        state = load_resume(run.resume_path)
        assert state.checkpoint.step >= entries[-1].step - 1
        reached = state.checkpoint.step
        arguments = ("--resume", "long")
    assert reached > trials


def test_training(story: Path, home: Path) -> None:
    """After each of 3 kills, a training that saves every step resumes where it was."""
    kill_trials(story, 3, seed=1)


@pytest.mark.slow
def test_training_200_times(story: Path, home: Path) -> None:
    """After each of 200 kills, a training that saves every step resumes where it was."""
    kill_trials(story, 200, seed=2)


def digests(name: str) -> dict[str, str]:
    """Return the digests of every step file and of the resume file."""
    run = Registry().run(name)
    found = {entry.path.name: read_header(entry.path).tensors_sha256 for entry in run.checkpoints()}
    return {**found, "resume": read_header(run.resume_path).tensors_sha256}


def chaos(story: Path, options: tuple[str, ...], steps: int, interruptions: int, seed: int) -> None:
    """Interrupt a run at random with every signal; its files must equal an undisturbed run's."""
    settings = (*FAST, *options, "--dropout", "0.25", "--max-steps", str(steps), "--keep", "1000")
    settings += ("--eval-every", "250", "--save-every", "50")
    assert Training(story, *settings, "--run", "whole").end() == 0
    choose = random.Random(seed)
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    arguments: tuple[str | Path, ...] = (story, *settings, "--run", "parts")
    for count in range(interruptions):
        training = Training(*arguments)
        training.wait_for_step(choose.randint(70, 2 * steps // (3 * interruptions)))
        assert training.first_step > 0 or count == 0
        number = numbers[count % 4] if count < 4 else choose.choice(numbers)
        assert training.end(number) == (-number if number == signal.SIGKILL else 128 + number)
        arguments = ("--resume", "parts")
    last = Training("--resume", "parts")
    assert last.end() == 0
    assert digests("parts") == digests("whole")


def test_chaos(story: Path, home: Path) -> None:
    """A run that 3 signals interrupt ends with the same files as an undisturbed run."""
    chaos(story, (), steps=500, interruptions=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("embed", ["0", "64"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_chaos_20_times(story: Path, home: Path, cell: str, embed: str, seed: int) -> None:
    """A run that 15 signals interrupt ends with the same files, for every kind of model."""
    chaos(story, ("--cell", cell, "--embed", embed), steps=5000, interruptions=15, seed=seed)

"""Studies whose processes are killed at random moments."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.errors import CharrnnError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.studies import StudyFiles
from tests.helpers import TIMEOUT, Inside

TRIALS, KILLS = 8, 20
TASK = [
    *("--layers", "1", "--embed", "6", "--ngram", "0", "--init-from", "none"),
    *("--batch-size", "4", "--seq-len", "16", "--max-steps", "1500", "--eval-every", "100"),
    *("--set", "size=8,12,16", "--set", "lr=1e-3..1e-1:log"),
    *("--threads", "1", "--seed", "1", "--trials", str(TRIALS), "-q"),
]


def start(*words: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "charrnn_cli", "tune", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def trials() -> list[Any]:
    """What the journal has of every trial; nothing before there is one."""
    from charrnn_cli.training.tuning.study import Study

    try:
        return Study.existing("s").trials()
    except CharrnnError:
        return []


def finished() -> dict[int, float]:
    return {each.number: each.val_loss for each in trials() if each.state == "done"}


def is_same(one: str, other: str) -> bool:
    first, second = load_checkpoint(one), load_checkpoint(other)
    return first.step == second.step and all(
        (first.weights[name] == second.weights[name]).all() for name in first.weights
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_processes_lose_no_trial(inside: Inside, story: Path, seed: int) -> None:
    """Of two processes, either is killed 20 times: every trial is kept, and trained as by itself.

    Some of the kills hit a trial that is being trained, and another process trains it to its end.
    """
    pytest.importorskip("optuna")
    moments, hits = random.Random(seed), 0
    known: dict[int, float] = {}
    processes = [start(story, *TASK, "--name", "s")]
    while not finished():
        time.sleep(0.1)
    processes.append(start("--join", "s", "-q"))
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.1, 3.0))
        which = moments.randrange(2)
        processes[which].kill()
        processes[which].communicate()
        files = StudyFiles.existing("s")
        running = [each.number for each in trials() if each.state == "running"]
        hits += any(not files.is_claimed(number) for number in running)
        assert known.items() <= finished().items()
        known = finished()
        processes[which] = start("--join" if which else "--resume", "s", "-q")
    for process in processes:
        _, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, errors
    assert hits > 0
    assert sorted(finished()) == list(range(TRIALS))
    assert inside("tune", "--resume", "s", "-q").returncode == 0
    # The parameters of later trials depend on which ones had ended, so each is trained by itself.
    for number in range(TRIALS):
        trial = load_checkpoint(f"s-{number:02}")
        options = ["--lr", repr(trial.train["lr"]), "--size", str(trial.model.size)]
        plain = [word for word in TASK if word != "-q"]
        plain = [*plain[: plain.index("--set")], "--threads", "1", "--seed", "1", "-q"]
        name = f"alone-{number}"
        assert inside("train", story, *plain, *options, "--run", name).returncode == 0
        assert is_same(f"s-{number:02}", name)

"""Imports, exports and encodings that are killed, and runs that are moved while they train."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.snapshot import load_resume
from tests.helpers import FAST, TIMEOUT, Charrnn, Inside, first_of, make_checkpoint, save
from tests.processes import running
from tests.reliability.test_kill import Training

PROGRAM = [sys.executable, "-m", "charrnn_cli"]

SLOW_WRITER = """
import os, sys
fsync = os.fsync
def stop(descriptor):
    print("writing", flush=True)
    sys.stdin.readline()
    fsync(descriptor)
os.fsync = stop
from charrnn_cli.__main__ import main
main()
"""
"""The program, which waits between the content and the name of every file that it writes."""


@contextlib.contextmanager
def writing(command: tuple[str, ...]) -> Iterator["subprocess.Popen[str]"]:
    """Start a command, and yield it when it has written its file and not yet named it."""
    with running(
        [sys.executable, "-c", SLOW_WRITER, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process


def leftovers(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob(".*.tmp"))


def copies(directory: Path) -> dict[str, tuple[str, ...]]:
    """Return a command of each kind that writes a file, by its name."""
    model, text = str(directory / "model.safetensors"), str(directory / "story.txt")
    return {
        "import": ("checkpoints", "import", model, "--run", "gift"),
        "import like": ("checkpoints", "import", model),
        "export": ("checkpoints", "export", "tiny", "-o", str(directory / "out.safetensors")),
        "encode": ("encode", text, "-o", str(directory / "encoded.safetensors"), "--json"),
        "cache": ("score", "tiny", text),
    }


def prepare(directory: Path) -> None:
    path = save(make_checkpoint(characters="\n ,.abcdefghijklmnopqrstuvwxyz"))
    shutil.copy(path, directory / "model.safetensors")


def clear(directory: Path) -> None:
    """Remove what a finished command has written."""
    for name in ("out.safetensors", "encoded.safetensors"):
        (directory / name).unlink(missing_ok=True)
    for name in ("gift", "tiny-2"):
        shutil.rmtree(directory / "home" / "runs" / name, ignore_errors=True)
    shutil.rmtree(directory / "home" / "corpora", ignore_errors=True)


@pytest.mark.parametrize("name", ["import", "import like", "export", "encode", "cache"])
def test_a_killed_copy_leaves_nothing_after_the_next(
    charrnn: Charrnn, story: Path, tmp_path: Path, name: str
) -> None:
    """A writer that is killed before its file has a name leaves it until the next writer."""
    prepare(tmp_path)
    command = copies(tmp_path)[name]
    with writing(command) as process:
        assert len(leftovers(tmp_path)) == 1
        other = charrnn(*command)  # a living writer's file stays
        assert len(leftovers(tmp_path)) == 1
        assert other.returncode == (2 if name == "import" else 0), other.stderr
        clear(tmp_path) if name != "import" else None
        process.kill()
    assert len(leftovers(tmp_path)) == (1 if name in ("import", "export", "encode") else 0)
    assert charrnn(*command).returncode == 0
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("import", signal.SIGINT),
        ("export", signal.SIGTERM),
        ("encode", signal.SIGHUP),
        ("cache", signal.SIGINT),
    ],
)
def test_an_interrupted_copy_leaves_nothing(
    story: Path, tmp_path: Path, name: str, number: signal.Signals
) -> None:
    """A writer that a signal stops, or two signals stop at once, leaves no temporary file."""
    prepare(tmp_path)
    for repeated in (False, True):
        with writing(copies(tmp_path)[name]) as process:
            assert process.stdin is not None
            process.send_signal(number)
            if repeated:
                time.sleep(0.6)  # within 0.3 s, two signals are one request
                process.send_signal(number)
            else:
                process.stdin.close()
            # An encoding whose content is complete may still end as it was asked to.
            assert process.wait(TIMEOUT) in (128 + number, 0 if name == "encode" else None)
        assert leftovers(tmp_path) == []
        assert not (tmp_path / "out.safetensors").exists()
        clear(tmp_path)


@pytest.mark.slow
def test_200_killed_copies(charrnn: Charrnn, story: Path, tmp_path: Path) -> None:
    """After each of 200 kills at random times, the next command of the kind leaves nothing."""
    prepare(tmp_path)
    choose, killed = random.Random(3), 0
    commands = copies(tmp_path)
    while killed < 200:
        command = choose.choice(list(commands.values()))
        with running([*PROGRAM, *command], stdout=subprocess.DEVNULL) as process:
            time.sleep(choose.uniform(0.05, 0.6))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        clear(tmp_path) if process.returncode == 0 else None
        again = charrnn(*command)
        assert again.returncode == 0 or "already exists" in again.stderr, again.stderr
        assert leftovers(tmp_path) == []
        for run in Registry().runs():
            for entry in run.checkpoints():
                load_checkpoint(entry.path)
        clear(tmp_path)


@pytest.mark.parametrize("how", first_of("replaced", "deleted", "moved"))
def test_a_run_that_goes_away_while_it_trains(
    inside: Inside, story: Path, home: Path, tmp_path: Path, how: str
) -> None:
    """A run whose directory goes away is saved as a new run, with exit code 1."""
    options = (*FAST, "--max-steps", "1000000", "--save-every", "50", "--eval-every", "0")
    training = Training(story, *options, "--run", "x")
    training.wait_for_step(200)
    run = home / "runs" / "x"
    if how == "deleted":
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)  # a save may have written between
    else:
        os.rename(run, tmp_path / "moved")
    before: dict[Path, bytes] = {}
    if how == "replaced":
        inside("train", story, *FAST, "--max-steps", "40", "--eval-every", "20", "--run", "x")
        before = {path: path.read_bytes() for path in run.glob("*.safetensors")}
        assert len(before) == 4
    assert training.end() == 1
    rescued = Registry().run("x-2")
    assert json.loads(training.errors.splitlines()[-1]) == {
        "error": f"{run} was moved or deleted while it was in use; "
        "the last state is saved as run 'x-2'",
        "hint": "charrnn train --resume x-2",
        "exit_code": 1,
    }
    step = load_resume(rescued.resume_path).checkpoint.step
    assert step >= 200
    assert inside("train", "--resume", "x-2", "--max-steps", str(step + 5)).returncode == 0
    assert {path: path.read_bytes() for path in before} == before

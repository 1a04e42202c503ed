"""Several processes on one registry."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn_cli.errors import AlreadyPublishedError, NotFoundError, RunBusyError
from charrnn_cli.model.checkpoint import load_checkpoint, save_checkpoint
from charrnn_cli.storage import lock
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, prunable
from charrnn_cli.training.snapshot import RunCounters, TrainingSnapshot, load_resume, save_resume
from tests.helpers import Charrnn, make_checkpoint, save

SECONDS = 4.0
KEEP = 8


def forever(work: Callable[[random.Random], None], seed: int) -> int:
    """A child process that repeats its work for so long; exit code 0 when nothing went wrong."""
    child = os.fork()
    if child:
        return child
    try:
        choose = random.Random(seed)
        deadline = time.monotonic() + SECONDS
        rounds = 0
        while time.monotonic() < deadline:
            work(choose)
            rounds += 1
        os._exit(0 if rounds > 5 else 3)
    except BaseException as error:  # a child must not go on as a second pytest
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)


def test_writers_readers_and_a_pruner(home: Path) -> None:
    """4 writers, 3 readers and a pruner for 4 seconds: what is found is whole, what is gone is gone."""
    registry = Registry()
    runs = [registry.create(name) for name in ("a", "b")]

    def write(choose: random.Random) -> None:
        run = choose.choice(runs)
        step = choose.randrange(1, 40)
        checkpoint = make_checkpoint(
            run=run.name, step=step, seed=choose.randrange(2), val_loss=choose.random()
        )
        with contextlib.suppress(
            AlreadyPublishedError, NotFoundError
        ):  # a writer was faster, or the pruner
            save_checkpoint(run.step_path(step), checkpoint)
        save_resume(
            run,
            TrainingSnapshot(checkpoint=checkpoint, tensors={}, counters=RunCounters(), source={}),
        )

    def read(choose: random.Random) -> None:
        run = choose.choice(runs)
        for entry in run.checkpoints():
            assert entry.metadata is not None, entry.problem
        for load in (
            lambda: load_checkpoint(
                registry.resolve(f"{run.name}@{choose.choice(['best', 'latest'])}")
            ),
            lambda: load_resume(run.resume_path),
        ):
            with contextlib.suppress(NotFoundError):  # not yet there, or pruned since it was listed
                load()

    def prune(choose: random.Random) -> None:
        for entry in prunable(choose.choice(runs).checkpoints(), KEEP):
            entry.path.unlink(missing_ok=True)
        time.sleep(0.01)

    children = [forever(write, seed) for seed in range(4)]
    children += [forever(read, seed) for seed in range(4, 7)]
    children.append(forever(prune, 7))
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * 8


def test_the_second_trainer_is_refused(charrnn: Charrnn, story: Path, home: Path) -> None:
    """Within a second, with the first one's pid and host, exit 1; the list says that it trains."""
    options = ("--layers", "1", "--size", "16", "--batch-size", "4", "--seq-len", "16")
    assert charrnn("train", story, *options, "--max-steps", "3", "--run", "one").returncode == 0
    run = Registry().run("one")
    with hold_lock(run.path):
        begun = time.monotonic()
        result = charrnn("train", "--resume", "one", "--max-steps", "9")
        assert time.monotonic() - begun < 1.5  # the interpreter's start included
        assert result.returncode == 1
        assert (
            f"run 'one' is in use by pid {os.getpid()} on host {os.uname().nodename}"
            in result.stderr
        )
        assert "hint: " in result.stderr
        assert "\ttraining" in charrnn("checkpoints", "list").stdout
        for command in (("rm", "one"), ("rm", "one@3"), ("prune", "one", "--keep", "1")):
            assert charrnn("checkpoints", *command, "--yes").returncode == 1
        assert charrnn("sample", "one", "-n", "3").returncode == 0
    assert charrnn("train", "--resume", "one", "--max-steps", "9").returncode == 0


def test_a_killed_holder_holds_nothing(home: Path) -> None:
    """The kernel releases the lock with the process."""
    run = Registry().create("one")
    script = "import sys, time; from pathlib import Path; from charrnn_cli.storage.lock import hold_lock\n"
    script += (
        "with hold_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(run.path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert run.is_training()
    with pytest.raises(RunBusyError, match=f"pid {holder.pid}"), hold_lock(run.path):
        pass
    holder.kill()
    holder.communicate()
    assert not run.is_training()
    with hold_lock(run.path):
        assert run.is_training()


def test_without_locks_nothing_is_corrupted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none, two writers of one step: the first file stays, the second is told."""
    monkeypatch.setattr(lock, "fcntl", None)
    run = Run("tiny", save(make_checkpoint(seed=1)).parent)
    with hold_lock(run.path), hold_lock(run.path):
        assert not run.is_training()
        with pytest.raises(AlreadyPublishedError):
            save(make_checkpoint(seed=2))
    assert (
        load_checkpoint("tiny").weights["output.bias"]
        == make_checkpoint(seed=1).weights["output.bias"]
    ).all()


def test_a_damaged_lock_file_is_no_obstacle(home: Path) -> None:
    run = Registry().create("one")
    (run.path / ".lock").write_bytes(b"\xff{")
    assert not run.is_training()
    with hold_lock(run.path), pytest.raises(RunBusyError, match="in use by"), hold_lock(run.path):
        pass

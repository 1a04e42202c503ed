"""Several processes that use one registry at the same time."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from charrnn_cli.errors import AlreadyPublishedError, NotFoundError, RunBusyError
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn_cli.storage import lock, temporary
from charrnn_cli.storage.header import RunCounters
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, prunable
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from tests.helpers import (
    FAST,
    Charrnn,
    Inside,
    error_of,
    make_checkpoint,
    new_run,
    resume_state,
    save,
)
from tests.processes import exit_codes, forked

WRITES = 300
KEEP = 8

Work = Callable[[random.Random], None]


def together(home: Path, writers: list[Work], others: list[Work]) -> tuple[list[int], list[int]]:
    """Run the writers a fixed number of times, and the others for as long; return exit codes."""
    done = home / "done"

    def write(work: Work, seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(WRITES):
            work(choose)

    def repeat(work: Work, seed: int) -> None:
        choose = random.Random(seed)
        while not done.exists():
            work(choose)
        work(choose)

    watching = [
        forked(partial(repeat, work, seed)) for seed, work in enumerate(others, start=len(writers))
    ]
    codes = exit_codes([forked(partial(write, work, seed)) for seed, work in enumerate(writers)])
    done.touch()
    return codes, exit_codes(watching)


def read(choose: random.Random) -> None:
    """Read a checkpoint and a resume file of a random run; what is found must be whole."""
    run = Registry().run(choose.choice("ab"))
    for entry in run.checkpoints():
        assert entry.header is not None, entry.problem
    with contextlib.suppress(NotFoundError):  # not there yet, or pruned since it was listed
        load_checkpoint(Registry().resolve(f"{run.name}@{choose.choice(['best', 'latest'])}"))
    with contextlib.suppress(NotFoundError):
        load_resume(run.resume_path)


def random_checkpoint(choose: random.Random) -> Checkpoint:
    """Make a checkpoint for a random step of a random run; many are made more than once."""
    return make_checkpoint(
        run=choose.choice("ab"),
        step=choose.randrange(1, 40),
        seed=choose.randrange(2),
        val_loss=choose.random(),
    )


@pytest.mark.forks
def test_writers_readers_and_a_pruner(home: Path) -> None:
    """While 4 writers and a pruner work, 3 readers find only whole files."""
    for name in "ab":
        new_run(name)

    def write(choose: random.Random) -> None:
        checkpoint = random_checkpoint(choose)
        run = Registry().run(checkpoint.run)
        # Another writer may have published this step, or the pruner may have removed it.
        with contextlib.suppress(AlreadyPublishedError, NotFoundError):
            save_checkpoint(run.step_path(checkpoint.step), checkpoint)
        state = TrainingSnapshot(
            checkpoint=checkpoint, tensors={}, counters=RunCounters(), source=None
        )
        save_resume(run, state)

    def prune(choose: random.Random) -> None:
        run = Registry().run(choose.choice("ab"))
        for entry in prunable(run.checkpoints(), KEEP):
            entry.path.unlink(missing_ok=True)
        time.sleep(0.01)  # so that more files exist than are kept

    codes = together(home, writers=[write] * 4, others=[read, read, read, prune])
    assert codes == ([0] * 4, [0] * 4)
    assert all(Registry().run(name).checkpoints() for name in "ab")


@pytest.mark.forks
def test_readers_notice_a_file_that_is_written_in_place(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The readers of the test above fail when one writer does not write atomically."""
    for name in "ab":
        new_run(name)
    whole = save(make_checkpoint()).read_bytes()

    def write_in_place(choose: random.Random) -> None:
        with Registry().run(choose.choice("ab")).step_path(1).open("wb", buffering=0) as file:
            file.write(whole[:-100])
            time.sleep(0.01)
            file.write(whole[-100:])

    codes = together(home, writers=[write_in_place], others=[read] * 3)
    assert codes[0] == [0]
    assert 1 in codes[1]
    assert "AssertionError" in capfd.readouterr().err


def test_the_second_trainer_is_refused(
    charrnn: Charrnn, inside: Inside, story: Path, home: Path
) -> None:
    """A run that is being trained can be listed and sampled, but not trained or deleted."""
    assert inside("train", story, *FAST, "--max-steps", "3", "--run", "one").returncode == 0
    run = Registry().run("one")
    busy = (
        f"error: run 'one' is in use by pid {os.getpid()} on host {os.uname().nodename}\n"
        "hint: wait for that process, or stop it\n"
    )
    resume = ("train", "--resume", "one", "--max-steps", "9")
    with hold_lock(run.path):
        for command in (
            resume,
            ("checkpoints", "rm", "one", "--yes"),
            ("checkpoints", "rm", "one@3", "--yes"),
            ("checkpoints", "prune", "one", "--keep", "1", "--yes"),
        ):
            result = charrnn(*command)
            assert (result.returncode, result.stdout) == (75, "")
            shown = error_of(result.stderr) if command is resume else result.stderr
            assert shown == busy  # nothing is listed before
        assert "\ttraining" in charrnn("checkpoints", "list").stdout
        assert inside("sample", "one", "-n", "3").returncode == 0
    assert inside(*resume).returncode == 0


def test_a_second_trainer_is_refused_before_torch_is_imported(tiny_run: Run) -> None:
    """A run that is in use is refused without the seconds that importing torch takes."""
    save_resume(tiny_run, resume_state(300))
    script = (
        "import sys\nfrom charrnn_cli.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, "train", "--resume", "tiny", "--max-steps", "2000"]
    with hold_lock(tiny_run.path):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (75, "False\n")
    assert "is in use by" in result.stderr


def test_a_killed_holder_holds_nothing(home: Path) -> None:
    """A lock ends with its process, also when the process is killed."""
    run = new_run("one")
    script = (
        "import sys\nfrom pathlib import Path\nfrom charrnn_cli.storage.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
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
    """Without locks, the second writer of a step gets an error, and the first file stays."""
    for module in (lock, temporary):
        monkeypatch.setattr(module, "fcntl", None)
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
    """A lock can be taken whatever its file contains."""
    run = new_run("one")
    (run.path / ".lock").write_bytes(b"\xff{")
    assert not run.is_training()
    with hold_lock(run.path), pytest.raises(RunBusyError, match="in use by"), hold_lock(run.path):
        pass

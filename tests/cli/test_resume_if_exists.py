"""`train --resume-if-exists`: one command starts a run, goes on with it, and leaves it finished."""

import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.cli.start_or_resume import refusing_a_rival
from charrnn_cli.errors import ConfigError, RunBusyError
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import (
    FAST,
    STORY,
    TIMEOUT,
    Inside,
    make_checkpoint,
    new_run,
    run_held,
    save,
)

RUN = ("--run", "run", "--resume-if-exists")
TRAIN = ("train", "story.txt", *FAST, "--init-from", "none", "--threads", "1", "-q")


@pytest.fixture(autouse=True)
def story(home: Path, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY)


def state_digest(name: str) -> tuple[int, bytes]:
    snapshot = load_resume(Registry().run(name).resume_path)
    weights = snapshot.checkpoint.weights
    return snapshot.checkpoint.step, b"".join(weights[key].tobytes() for key in sorted(weights))


def unfinish(name: str, seconds: float = 0.0) -> None:
    """Let a run look as if it was stopped after some seconds of work."""
    run = Registry().run(name)
    with run_held(run) as held:
        snapshot = load_resume(run.resume_path)
        snapshot.counters.finished = False
        snapshot.counters.seconds = seconds
        save_resume(held, snapshot)


def test_the_same_command_goes_on(inside: Inside) -> None:
    """A run that was stopped goes on to where a whole one ends; a finished one stays as it is."""
    assert inside(*TRAIN, "--max-steps", "20", "--run", "whole") == (0, "whole@20\n", "")
    steps = ("--max-steps", "20", "--eval-every", "10")
    assert inside(*TRAIN, *steps, "--run", "other") == (0, "other@20\n", "")
    command = (*TRAIN, *steps, *RUN)
    assert inside(*TRAIN, "--max-steps", "20", "--eval-every", "10", *RUN)[0] == 0
    unfinish("run")
    assert inside(*command) == (0, "run@20\n", "")
    assert state_digest("run") == state_digest("other")
    before = state_digest("run")
    for limit in (("--max-steps", "40"), ("--epochs", "9"), ("--max-time", "1h")):
        assert inside(*TRAIN, *limit, *RUN) == (0, "run@20\n", "")
    assert state_digest("run") == before
    shown = inside(*TRAIN[:-1], "--max-steps", "40", *RUN)
    assert shown == (0, "", "done    run run is complete at step 20\n")


def test_the_seed_of_the_environment_starts_a_run(inside: Inside) -> None:
    """Variables apply to the start alone, so another value later does not matter."""
    command = [*TRAIN[: TRAIN.index("--seed")], "--init-from", "none", "-q"]
    command += ["--max-steps", "5", *RUN]
    assert inside(*command, env={"CHARRNN_SEED": "7"})[0] == 0
    unfinish("run")
    assert inside(*command, env={"CHARRNN_SEED": "8"}) == (0, "run@5\n", "")


def test_a_time_limit_counts_all_parts(inside: Inside) -> None:
    """A run whose parts have used up the time limit ends with its last state saved."""
    assert inside(*TRAIN, "--max-steps", "20", *RUN)[0] == 0
    unfinish("run", seconds=3590.0)
    assert inside(*TRAIN, "--max-time", "1h", *RUN) == (0, "run@20\n", "")
    assert load_resume(Registry().run("run").resume_path).counters.finished


def test_a_run_that_never_saved_is_started(inside: Inside) -> None:
    """What a run left that was killed before its first save does not count as a run."""
    run = new_run("run")
    (run.path / "metrics.jsonl").write_text("")
    with hold_lock(run.path):
        busy = inside(*TRAIN, "--max-steps", "5", *RUN)
    assert busy.returncode == 75
    assert inside(*TRAIN, "--max-steps", "5", *RUN) == (0, "run@5\n", "")


def test_another_setting_is_refused(inside: Inside) -> None:
    """The same run with another architecture or another held-out text is an error."""
    assert inside(*TRAIN, "--max-steps", "5", *RUN)[0] == 0
    unfinish("run")
    code, _, err = inside(*TRAIN, "--size", "17", *RUN)
    assert code == 2
    assert err.startswith("error: run 'run' was trained with --size 16, not 17\n")
    expected = "error: run 'run' was trained without --val\n"
    expected += "hint: leave out --val, or use another --run NAME\n"
    assert inside(*TRAIN, "--val", "story.txt", *RUN) == (2, "", expected)


def test_another_start_is_refused(inside: Inside) -> None:
    """Another preset or initial checkpoint than that of the run is an error; its own is not."""
    assert inside(*TRAIN, "--max-steps", "5", "--preset", "notebook", *RUN)[0] == 0
    unfinish("run")
    code, _, err = inside(*TRAIN[:-5], "--init-from", "english", "-q", *RUN)
    assert (code, err.splitlines()[0]) == (2, "error: run 'run' was trained without --init-from")
    assert inside(*TRAIN, "--max-steps", "5", "--preset", "notebook", *RUN) == (0, "run@5\n", "")
    assert inside(*TRAIN, "--max-steps", "5", "--run", "plain")[0] == 0
    unfinish("plain")
    plain = ("--run", "plain", "--resume-if-exists")
    code, _, err = inside(*TRAIN, "--preset", "notebook", *plain)
    assert (code, err.startswith("error: run 'plain' was trained with ")) == (2, True)


def test_a_rival_is_busy(home: Path, tmp_path: Path) -> None:
    """Of two that start at the same moment, one trains, and the other can be tried again."""
    words = [sys.executable, "-m", "charrnn_cli", *TRAIN, "--max-steps", "300", *RUN]
    programs = [
        subprocess.Popen(words, cwd=tmp_path, stdout=-3, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [program.communicate(timeout=TIMEOUT)[1] for program in programs]
    codes = [program.returncode for program in programs]
    # One that starts late enough goes on with the finished run.
    assert sorted(codes) in ([0, 75], [0, 0])
    for code, error in zip(codes, errors, strict=True):
        assert code == 0 or "run 'run'" in error
    assert [run.name for run in Registry().runs()] == ["run"]


def test_a_run_that_appears_meanwhile_is_busy(home: Path) -> None:
    """An error of a run that did not exist before is one of its other trainer."""

    def start_twice() -> None:
        new_run("run")
        save(make_checkpoint(run="run"))
        Registry().check_free("run")

    with pytest.raises(RunBusyError, match="has just started run 'run'"), refusing_a_rival("run"):
        start_twice()
    with pytest.raises(ConfigError, match="no such"), refusing_a_rival("other"):
        raise ConfigError("no such thing")


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ((), "--resume-if-exists needs the name of a run", "add --run NAME"),
        (
            ("--resume", "latest"),
            "--resume cannot be combined with --resume-if-exists",
            "leave out --resume",
        ),
        (
            ("--run", "run", "--dry-run"),
            "--dry-run cannot be combined with --resume-if-exists",
            "leave out --dry-run",
        ),
    ],
)
def test_what_it_needs(inside: Inside, words: tuple[str, ...], error: str, hint: str) -> None:
    """It needs a name, and nothing else says which run it is or that none is trained."""
    outcome = inside("train", "story.txt", *words, "--resume-if-exists")
    assert outcome == (2, "", f"error: {error}\nhint: {hint}\n")

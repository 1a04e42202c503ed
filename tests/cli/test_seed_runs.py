"""`train --seeds`: runs that differ in their seed alone."""

import json
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import best
from tests.cli.test_train_signals import wait_for
from tests.helpers import TIMEOUT, Charrnn, Inside, error_of

SMALL = [
    *("--layers", "1", "--size", "12", "--embed", "6", "--ngram", "0"),
    *("--batch-size", "4", "--seq-len", "16", "--init-from", "none"),
]
SHORT = ("--max-steps", "30", "--eval-every", "10")


def lowest(run: str) -> float:
    entry = best(Registry().run(run).checkpoints())
    assert entry is not None
    assert entry.val_loss is not None
    return entry.val_loss


def test_each_run_is_that_of_its_seed(inside: Inside, story: Path) -> None:
    """Run NAME-seedK has the weights of the same command with --seed K."""
    result = inside("train", story, *SMALL, *SHORT, "--seeds", "2", "--run", "two", "-q")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "two-seed1@30\ntwo-seed2@30\n"
    inside("train", story, *SMALL, *SHORT, "--seed", "2", "--run", "alone", "-q")
    alone, second = load_checkpoint("alone"), load_checkpoint("two-seed2")
    assert all((alone.weights[name] == second.weights[name]).all() for name in alone.weights)
    assert {**alone.train, "val_rows": None} == {**second.train, "val_rows": None}


def test_the_end_has_mean_and_spread(inside: Inside, story: Path) -> None:
    """After the last run, mean and standard deviation are shown, and the command to compare."""
    result = inside("train", story, *SMALL, *SHORT, "--seeds", "3", "--run", "a")
    losses = [lowest(f"a-seed{seed}") for seed in (1, 2, 3)]
    mean, spread = statistics.fmean(losses), statistics.stdev(losses)
    facts, command = result.stderr.splitlines()[-2:]
    assert facts.startswith(f"seeds   val loss {mean:.3f} ± {spread:.3f} (")
    assert facts.endswith(f"lowest {min(losses):.3f}, highest {max(losses):.3f}")
    assert command == "next    charrnn checkpoints compare a-seed1 a-seed2 a-seed3"


def test_the_end_as_json(inside: Inside, story: Path) -> None:
    """With --json, the last event has the losses of all runs."""
    result = inside("train", story, *SMALL, *SHORT, "--seeds", "2", "--json")
    event = json.loads(result.stdout.splitlines()[-1])
    names = ["story-lstm-1x12-seed1", "story-lstm-1x12-seed2"]
    assert (event["event"], event["runs"]) == ("SeedsFinished", names)
    assert event["val_losses"] == [lowest(name) for name in names]


def test_runs_of_the_same_name_get_a_number(inside: Inside, story: Path) -> None:
    """Without --run, all runs get names that are free."""
    for _ in range(2):
        assert inside("train", story, *SMALL, *SHORT, "--seeds", "1", "-q").returncode == 0
    found = [run.name for run in Registry().runs()]
    assert found == ["story-lstm-1x12-2-seed1", "story-lstm-1x12-seed1"]


def test_more_seeds_later(inside: Inside, story: Path) -> None:
    """--resume NAME --seeds N trains only the runs that are missing, as the first was trained."""
    inside("train", story, *SMALL, *SHORT, "--seeds", "1", "--run", "a", "-q")
    before = Registry().run("a-seed1").updated()
    result = inside("train", "--resume", "a", "--seeds", "2", "-q")
    assert (result.returncode, result.stdout) == (0, "a-seed2@30\n")
    assert Registry().run("a-seed1").updated() == before
    assert load_checkpoint("a-seed2").train["seed"] == 2


def test_a_limit_is_that_of_all_runs(inside: Inside, story: Path) -> None:
    """A limit that a finished run did not have is refused: the mean would mix schedules."""
    inside("train", story, *SMALL, *SHORT, "--seeds", "1", "--run", "a", "-q")
    result = inside("train", "--resume", "a", "--seeds", "2", "--max-steps", "40")
    assert error_of(result.stderr) == (
        "error: --max-steps cannot change: a-seed1 is finished without it\n"
        "hint: start new runs with it, so that all have one schedule\n"
    )
    assert [run.name for run in Registry().runs()] == ["a-seed1"]


def test_a_taken_name_has_two_ways_out(inside: Inside, story: Path) -> None:
    """The hint of a taken name is about all runs of the seeds, not about one."""
    inside("train", story, *SMALL, *SHORT, "--seeds", "2", "--run", "a", "-q")
    result = inside("train", story, *SMALL, *SHORT, "--seeds", "2", "--run", "a")
    assert "hint: use another --run NAME, or charrnn train --resume a --seeds 2\n" in result.stderr


def test_one_seed_is_not_compared(inside: Inside, story: Path) -> None:
    """After a single run, the next command is one that works."""
    result = inside("train", story, *SMALL, *SHORT, "--seeds", "1", "--run", "a")
    assert result.stderr.endswith("next    charrnn sample a-seed1\n")


def test_a_time_limit_is_that_of_each_run(charrnn: Charrnn, story: Path) -> None:
    """With --max-time, the first run is planned, and the others take as many steps."""
    limit = ("--max-time", "40s", "--max-steps", "500")
    result = charrnn("train", story, *SMALL, *limit, "--seeds", "2", "--run", "a", "-q")
    assert result.returncode == 0, result.stderr
    first, second = (load_checkpoint(f"a-seed{seed}@latest") for seed in (1, 2))
    assert first.train["max_steps"] == second.train["max_steps"]
    assert first.train["dropout"] == second.train["dropout"]


def test_a_signal_ends_all_runs(inside: Inside, story: Path) -> None:
    """A signal saves the run that is trained and names the command that goes on with all."""
    options = [*SMALL, "--max-steps", "100000", "--log-every", "1", "--seeds", "2", "--run", "a"]
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn_cli", "train", str(story), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    wait_for(process, "step")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGINT
    assert errors.endswith("next    charrnn train --resume a --seeds 2\n")
    assert [run.name for run in Registry().runs()] == ["a-seed1"]
    (entry,) = Registry().run("a-seed1").checkpoints()
    result = inside("train", "--resume", "a", "--seeds", "2", "--max-steps", str(entry.step + 3))
    assert result.returncode == 0, result.stderr
    steps = [load_checkpoint(f"a-seed{seed}@latest").step for seed in (1, 2)]
    assert steps == [entry.step + 3] * 2


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("story.txt --seeds 2 --seed 1", "--seed cannot be combined with --seeds"),
        ("story.txt --seeds 2 --dry-run", "--dry-run cannot be combined with --seeds"),
        ("story.txt --resume a --seeds 2", "TEXT cannot be combined with --resume and --seeds"),
    ],
)
@pytest.mark.usefixtures("story")
def test_what_seeds_exclude(inside: Inside, typed: str, error: str) -> None:
    """Options that mean one run are errors beside --seeds."""
    option = error.split()[0]
    result = inside("train", *typed.split())
    assert result.returncode == 2
    assert result.stderr == f"error: {error}\nhint: leave out {option}\n"


@pytest.mark.usefixtures("tiny_run")
def test_a_pipe_is_read_once(inside: Inside) -> None:
    """A text that can be read only once is refused."""
    result = inside("train", "-", "--seeds", "2", stdin="abc" * 100)
    assert result.stderr == (
        "error: --seeds reads the text several times, and this text can be read only once\n"
        "hint: save the text in a file\n"
    )

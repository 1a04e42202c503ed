"""Several processes train one run: the same run as one process trains."""

import json
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from charrnn_cli import __version__
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.launch import Launch
from charrnn_cli.training.window import Share
from tests.helpers import STORY, TIMEOUT, Inside
from tests.launched import assert_equal_runs, launched, state, together

if TYPE_CHECKING:
    import subprocess

MODEL = ("--layers", "2", "--size", "12", "--embed", "6", "--seq-len", "16", "--dropout", "0.2")
EXACT = ("--seed", "1", "--precision", "fp32", "--threads", "1", "--init-from", "none")
TRAIN = ("train", "story.txt", *MODEL, *EXACT, "--batch-size", "7")
SHORT = (*TRAIN, "--max-steps", "60", "--eval-every", "20")
LONG = (*TRAIN, "--max-steps", "200", "--eval-every", "100", "--log-every", "1", "--json")

LOST = "another process of this training has ended, or does not answer"
HINT = "run the same command again with --run NAME --resume-if-exists"

# Trains as `charrnn` does, and then prints a digest of this process's own weights.
PRINT_WEIGHTS = """
import hashlib
from charrnn_cli.cli.main import main
from charrnn_cli.training.run_state import RunState
capture, digests = RunState.capture, []
def digested(state, *arguments, **options):
    weights = state.trainer.evaluated.export().values()
    digests.append(hashlib.sha256(b"".join(each.tobytes() for each in weights)).hexdigest())
    return capture(state, *arguments, **options)
RunState.capture = digested
try:
    main()
finally:
    print(*digests)
"""


@pytest.fixture(autouse=True)
def story(home: Path, tmp_path: Path) -> None:
    """Write a text and a list to the working directory."""
    (tmp_path / "story.txt").write_text(STORY)
    names = [
        f"{first}{middle}{'a' * last}"
        for first in "abcd"
        for middle in "efghij"
        for last in range(9)
    ]
    (tmp_path / "names.txt").write_text("\n".join(names))


def assert_close(one: str, other: str) -> None:
    """Two runs have the same losses, and the same weights but for the order of sums."""
    first, second = state(one), state(other)
    for field in ("running_loss", "best_val_loss"):
        mine, theirs = getattr(first.counters, field), getattr(second.counters, field)
        assert mine == pytest.approx(theirs, rel=0, abs=1e-5)
    assert first.checkpoint.step == second.checkpoint.step
    for key, array in first.checkpoint.weights.items():
        np.testing.assert_allclose(array, second.checkpoint.weights[key], rtol=0, atol=1e-4)


def copy_run(name: str, other: str) -> None:
    path = Registry().root
    shutil.copytree(path / name, path / other)


def test_two_processes_train_the_run_of_one(inside: Inside, tmp_path: Path) -> None:
    """Two processes, of 3 and 4 rows with n-grams, train as one; only the first one prints."""
    assert inside(*SHORT, "--run", "one", "-q") == (0, "one@60\n", "")
    first, second = together(2, *SHORT, "--run", "two", "-q", cwd=tmp_path)
    assert (first, second) == ((0, "two@60\n", ""), (0, "", ""))
    assert_close("one", "two")
    assert state("two").tensors["state.0.0"].shape == (1, 7, 12)


def test_a_list_is_shared(inside: Inside, tmp_path: Path) -> None:
    """A list, some of whose batches have fewer rows than processes, is trained as by one."""
    command = ["train", "names.txt", "--documents", "lines", *MODEL, *EXACT, "--batch-size", "3"]
    command += ["--max-steps", "40", "--eval-every", "10", "--ngram", "3"]
    assert inside(*command, "--run", "one", "-q")[0] == 0
    assert [each[0] for each in together(3, *command, "--run", "three", "-q", cwd=tmp_path)] == [
        0,
        0,
        0,
    ]
    assert_close("one", "three")


def test_a_signal_to_one_process_stops_all(inside: Inside, tmp_path: Path) -> None:
    """SIGINT to one process: all stop at one step, saved once; the run resumes exactly."""
    whole = together(2, *LONG, "--run", "whole", cwd=tmp_path)
    assert [each.returncode for each in whole] == [0, 0], whole
    with launched(2, *LONG, "--run", "part", cwd=tmp_path) as processes:
        wait_for_step(processes.all[0])
        processes.all[1].send_signal(signal.SIGINT)
        first, second = processes.outcomes()
    step = state("part").checkpoint.step
    assert 0 < step < 200
    assert first.returncode == 130, first
    assert second == (130, "", "")
    assert json.loads(first.stderr)["error"] == f"stopped at step {step}, saved part@{step}"
    saved = [json.loads(line) for line in first.stdout.splitlines()]
    assert [each["step"] for each in saved if each["event"] == "CheckpointSaved"] == [
        *range(100, step, 100),
        step,
    ]
    copy_run("part", "alone")
    assert inside("train", "--resume", "alone", "-q")[0] == 0
    assert [each[0] for each in together(2, "train", "--resume", "part", cwd=tmp_path)] == [0, 0]
    assert_equal_runs("whole", "part")
    assert_close("whole", "alone")


def wait_for_step(process: "subprocess.Popen[str]") -> None:
    """Wait for the first step in the events that a process prints."""
    assert process.stdout is not None
    assert process.stderr is not None
    is_json = "--json" in str(process.args)
    for line in process.stdout if is_json else process.stderr:
        if '"event": "StepLogged"' in line or "  step " in line:
            return
    pytest.fail("the process ended before its first step")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=lambda each: each.name)
def test_a_process_that_is_gone_ends_the_others(tmp_path: Path, number: signal.Signals) -> None:
    """Without an answer, the first process ends with one line, and the run can go on."""
    command = [*TRAIN, "--max-steps", "100000", "--save-every", "5", "--val-fraction", "0"]
    command += ["--log-every", "1", "--json", "--run", "run"]
    with launched(2, *command, cwd=tmp_path, env={"CHARRNN_PROCESS_TIMEOUT": "3"}) as processes:
        first, second = processes.all
        wait_for_step(first)
        while not list(Registry().run("run").checkpoints()):
            assert first.stdout is not None
            first.stdout.readline()
        second.send_signal(number)
        begun = time.monotonic()
        assert first.stdout is not None
        first.stdout.read()
        assert first.wait(TIMEOUT) == 1
        assert time.monotonic() - begun < 30
        assert first.stderr is not None
        error = json.loads(first.stderr.read())
        assert error == {"error": LOST, "hint": HINT, "exit_code": 1}
        second.kill()
    assert state("run").checkpoint.step % 5 == 0


def test_the_first_process_is_killed(tmp_path: Path) -> None:
    """The others notice that the first process is gone."""
    command = (*TRAIN, "--max-steps", "100000", "--log-every", "1", "--run", "run")
    with launched(2, *command, cwd=tmp_path) as processes:
        wait_for_step(processes.all[0])
        processes.all[0].kill()
        outcome = processes.outcomes()[1]
    assert outcome == (1, "", f"error: {LOST}\nhint: {HINT}\n")


def test_all_processes_have_the_same_weights(tmp_path: Path) -> None:
    """Whenever the run is saved, the weights of two processes are equal, bit for bit."""
    command = (*SHORT, "--ema", "0.9", "--run", "run", "-q")
    first, second = together(2, *command, program=("-c", PRINT_WEIGHTS), cwd=tmp_path)
    reference, digests = first.stdout.splitlines()
    assert reference == "run@60"
    assert digests == second.stdout.strip()
    assert len(set(digests.split())) == 4  # of steps 0, 20, 40 and 60


@pytest.mark.slow
def test_two_processes_end_in_time(tmp_path: Path) -> None:
    """A time limit is the first process's; all end at one step, within it."""
    command = (*TRAIN, "--run", "run", "--max-time", "12s", "--json")
    begun = time.monotonic()
    first, second = together(2, *command, cwd=tmp_path)
    assert (first.returncode, second) == (0, (0, "", "")), first
    assert time.monotonic() - begun < 20  # the machine may be busy
    assert state("run").counters.finished


def test_torchrun(tmp_path: Path, inside: Inside) -> None:
    """PyTorch's launcher starts a run; the same command says later that it is complete."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = (*SHORT, "--run", "run", "--resume-if-exists")
    with launched(
        1, "-m", "charrnn_cli", "--", *command, program=torchrun, cwd=tmp_path
    ) as processes:
        (outcome,) = processes.outcomes()
    assert outcome.returncode == 0, outcome
    assert outcome.stderr.count("done    60 steps in") == 1
    code, out, err = inside(*command)
    assert (code, out, err) == (0, "", "done    run run is complete at step 60\n")


def test_more_processes_than_rows(tmp_path: Path) -> None:
    """A batch of fewer rows than processes is an error of one line, and no run is made."""
    command = ("train", "story.txt", *MODEL, *EXACT, "--batch-size", "1", "-q")
    first, second = together(2, *command, cwd=tmp_path)
    expected = "error: 2 processes cannot share a batch of 1 rows\n"
    expected += "hint: use --batch-size 2 or more, or fewer processes\n"
    assert first == (2, "", expected)
    assert second == (2, "", "")
    assert not Registry().runs()


def test_other_commands_refuse(tmp_path: Path) -> None:
    """Only `train` runs in several processes; the first one says so."""
    first, second = together(2, "checkpoints", "list", cwd=tmp_path)
    expected = "error: charrnn checkpoints runs in one process, and WORLD_SIZE is 2\n"
    expected += "hint: run `charrnn checkpoints` without torchrun\n"
    assert first == (2, "", expected)
    assert second == (2, "", "")


NO_COMMAND = "error: no such command 'frain'\nhint: did you mean `charrnn train`?\n"


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (("--version",), (0, f"charrnn {__version__}\n", "")),
        (
            ("frain",),
            (2, "", "error: no such command 'frain'\nhint: did you mean `charrnn train`?\n"),
        ),
    ],
)
def test_what_is_said_before_they_meet(
    tmp_path: Path, words: tuple[str, ...], outcome: tuple[int, str, str]
) -> None:
    """Only the first process speaks, whatever ends the command."""
    assert together(2, *words, cwd=tmp_path) == [outcome, (outcome[0], "", "")]


def test_the_environment_of_a_launcher() -> None:
    """A process is one of several if a launcher says so in full; one of one is alone."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    pair = {"RANK": "1", "WORLD_SIZE": "2", **address}
    assert Launch.of({}) is None
    assert Launch.of({"WORLD_SIZE": "2"}) is None
    assert Launch.of({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert Launch.of(pair) == Launch(1, 2, 1, 2)
    assert Launch.of({**pair, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}) == Launch(1, 2, 0, 1)
    for wrong in ({"RANK": "2"}, {"RANK": "x"}, {"WORLD_SIZE": "0"}, {"MASTER_ADDR": ""}):
        with pytest.raises(ConfigError):
            Launch.of({**pair, **wrong})


def test_the_rows_of_a_batch_are_shared() -> None:
    """Each row has one process, in order; their numbers of rows differ by one at most."""
    for rows in (1, 2, 7, 8):
        for size in (1, 2, 3, 4):
            shares = [Share(rank, size) for rank in range(size)]
            parts = [range(rows)[share.of(rows)] for share in shares]
            assert [row for part in parts for row in part] == [*range(rows)]
            counts = [len(part) for part in parts]
            assert counts == [share.count(rows) for share in shares]
            assert max(counts) - min(counts) <= 1


@pytest.mark.slow
def test_four_processes_train_the_run_of_one(inside: Inside, tmp_path: Path) -> None:
    """Runs of one, two and four processes are close after 200 steps, and after a resume."""
    command = (*TRAIN, "--max-steps", "200", "-q")
    assert inside(*command, "--run", "one")[0] == 0
    for number in (2, 4):
        name = f"of-{number}"
        assert not any(each[0] for each in together(number, *command, "--run", name, cwd=tmp_path))
        assert_close("one", name)
    copy_run("one", "on")
    more = ("train", "--resume", "one", "--max-steps", "260", "-q")
    assert inside(*more)[0] == 0
    others = ("train", "--resume", "on", "--max-steps", "260", "-q")
    assert not any(each[0] for each in together(4, *others, cwd=tmp_path))
    assert_close("one", "on")

"""How a training run is shown while it goes on."""

import io
import itertools
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from charrnn_cli.cli.terminal.training_display import TrainingDisplay
from charrnn_cli.cli.terminal.training_output import show
from charrnn_cli.events import (
    BatchSplit,
    CheckpointSaved,
    Diverged,
    Evaluated,
    Replanned,
    Sampled,
    SaveFailed,
    SlowedDown,
    StepLogged,
    TrainEvent,
    TrainingStarted,
)
from charrnn_cli.storage.metrics_log import Metrics

STARTED = TrainingStarted(
    run="one",
    first_step=0,
    total_steps=2000,
    steps_per_epoch=100,
    model="lstm 1x8",
    parameters=1,
    init_from=None,
    learning_rate=0.003,
    train_characters=100,
    val_characters=10,
    evaluated_characters=10,
    batch_size=5,
    seq_len=20,
    dropout=0.0,
    device="cpu",
    precision="fp32",
    threads=1,
    seed=1,
    eval_every=10,
    seconds_per_step=0.1,
    seconds_planned=1.0,
    disk_bytes=1000,
    disk_free=10**9,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a millisecond."""
    moments = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(moments) / 1000)


def logged(step: int, running_loss: float) -> StepLogged:
    return StepLogged(
        step=step,
        epoch=step / 100,
        running_loss=running_loss,
        learning_rate=0.1,
        chars_per_second=1000.0,
        seconds=1.0,
    )


def evaluated(step: int, val_loss: float, *, best: bool) -> Evaluated:
    return Evaluated(
        step=step,
        epoch=step / 100,
        train_loss=val_loss - 0.25,
        val_loss=val_loss,
        best=best,
        seconds=1.0,
    )


EVENTS: list[TrainEvent] = [
    STARTED,
    logged(1, 3.0),
    evaluated(1, 2.0, best=True),
    CheckpointSaved(step=1, path=Path("step"), val_loss=2.0, seconds=1.0),
    evaluated(10, 2.5, best=False),
    CheckpointSaved(step=10, path=Path("step"), val_loss=2.5, seconds=1.0),
    logged(11, 2.75),
    Sampled(step=11, prime="a\n", text="b\x1b[31mc", seconds=1.0),
]


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"  # in UTC


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluations and samples have a line each, steps only at intervals; events pass through."""
    assert list(show(EVENTS)) == EVENTS
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert all(re.match(f"{TIME}  ", line) for line in lines)
    first, second, third, sample = (line.partition("  ")[2] for line in lines)
    assert first.startswith("step 1/2000  epoch 0.01/20.00  running 3.000  ")
    assert re.search(r"  [\d,]+ chars/s  \d+ s left$", first)
    assert second.startswith(
        "step 1/2000  epoch 0.01/20.00  running 3.000  "
        "train 1.750  val 2.000 (2.89 bpc)  gap 0.25  "
    )
    assert third.startswith(
        "step 10/2000  epoch 0.10/20.00  running 3.000  train 2.250  val 2.500 "
    )
    assert sample == "sample at step 11  a⏎b\\x1b[31mc"
    assert output.out == ""


@pytest.mark.parametrize(
    ("train", "shown"), [(2.001, "gap 0.00 "), (2.02, "gap -0.02 ")], ids=["zero", "negative"]
)
def test_the_gap_has_no_negative_zero(
    capsys: pytest.CaptureFixture[str], train: float, shown: str
) -> None:
    """A validation loss a little below the training loss is a gap of 0.00."""
    event = replace(evaluated(1, 2.0, best=True), train_loss=train)
    list(show([STARTED, event]))
    assert shown in capsys.readouterr().err


def test_problems_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A failed save, a divergence, a split batch, a slump and a new plan have a line each."""
    problems: list[TrainEvent] = [
        SaveFailed(step=1, message="cannot write step: no space left", seconds=1.0),
        Diverged(step=9, back_to=5, learning_rate=0.05, seconds=1.0),
        BatchSplit(step=9, parts=2, seconds=1.0),
        SlowedDown(step=9, chars_per_second=400, before=9000, one_thread=None, seconds=1.0),
        SlowedDown(step=9, chars_per_second=400, before=9000, one_thread=5000, seconds=1.0),
        Replanned(step=9, planned_steps=4000, total_steps=1500, seconds=1.0),
    ]
    assert list(show([STARTED, *problems])) == [STARTED, *problems]
    assert capsys.readouterr().err == (
        "warning cannot write step: no space left; "
        "training continues\n"
        "warning the loss diverged at step 9; continuing from step 5 at lr 0.05\n"
        "memory  the batch does not fit into memory; splitting it into 2 parts\n"
        "warning 400 chars/s now, 9,000 chars/s before\n"
        "warning 400 chars/s now, 9,000 chars/s before; "
        "stop, and resume with --threads 1 for about 5,000 chars/s now\n"
        "plan    this machine is slower than planned: 1,500 steps instead of 4,000, "
        "with a learning rate that ends with them\n"
    )


def drawn(display: TrainingDisplay, width: int) -> list[str]:
    """The lines of a display on a terminal of this width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(display)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_the_live_display_fits_any_width(width: int) -> None:
    """No line is wider than the terminal, and a fact that does not fit is left out whole."""
    display = TrainingDisplay(STARTED, scale={"3-gram": 2.0, "uniform": 6.0, "unigram": 4.0})
    for event in EVENTS:
        display.update(event)
    lines = drawn(display, width)
    assert all(cell_len(line) <= width for line in lines)
    scale = ["✓ uniform 4.16 (6.00 bpc)", "✓ unigram 2.77 (4.00)", "· 3-gram 1.39 (2.00)"]
    if width < 60:
        assert lines[-2:] == [line[: width - 2] for line in scale[1:]]
        return
    blank, position, losses, facts, train, val, *comparison = lines
    assert blank == ""
    assert position.rstrip().endswith("   11/2,000  epoch  0.1/20.0  running 2.750")
    assert losses == "train 2.250   val 2.500 (3.61 bpc)   gap 0.25"
    assert re.match(r"\d+ s left   [\d,]+ chars/s   [\de.-]+ s/step   best @1", facts)
    assert facts.endswith("   saved @10") == (width > 60)
    assert (train[:11], train[-5:]) == ("train 1.750", "2.250")
    assert (val[:11], val[-5:]) == ("val   2.000", "2.500")
    if width == 60:
        assert comparison == ["   ".join(scale[:2]), scale[2]]
    else:
        assert comparison == ["   ".join(scale)]


def test_the_bar_keeps_its_width() -> None:
    """Whatever the step and the running loss, the facts beside the bar have their places."""
    display = TrainingDisplay(STARTED)
    before = drawn(display, 80)[1]
    display.update(logged(1200, 1.2345))
    display.update(evaluated(1200, 1.0, best=True))
    after = drawn(display, 80)[1]
    assert before.rstrip().endswith("     0/2,000  epoch  0.0/20.0  running –")
    assert after.endswith(" 1,200/2,000  epoch 12.0/20.0  running 1.234")
    assert before.index("/2,000") == after.index("/2,000")


def test_a_new_plan_changes_the_bar() -> None:
    """After a new plan, steps and epochs are out of the new totals."""
    display = TrainingDisplay(STARTED)
    display.update(Replanned(step=9, planned_steps=2000, total_steps=500, seconds=1.0))
    assert "0/500  epoch 0.0/5.0" in drawn(display, 80)[1]


def test_curves_go_on_after_a_resume() -> None:
    """A resumed run shows what was recorded up to the step from which it resumes."""
    evaluations = [evaluated(step, 4 - step / 100, best=step < 150) for step in (50, 100, 150, 200)]
    recorded = Metrics([(1, 5.0), (150, 2.75), (200, 2.5)], evaluations)
    display = TrainingDisplay(replace(STARTED, first_step=150), recorded=recorded)
    _, position, losses, facts, _, val = drawn(display, 80)
    assert position.endswith("  150/2,000  epoch  1.5/20.0  running 2.750")
    assert losses == "train 2.250   val 2.500 (3.61 bpc)   gap 0.25"
    assert facts.endswith("best @100")
    assert (val[:11], val[-5:]) == ("val   3.500", "2.500")
    display.update(evaluated(300, 1.5, best=True))
    *_, val = drawn(display, 80)
    assert (val[:11], val[-5:]) == ("val   3.500", "1.500")

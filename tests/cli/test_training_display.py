"""How a training run is shown while it goes on."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from charrnn_cli.cli.terminal.training_display import TrainingDisplay, show
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


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluations and samples have a line each, steps only at intervals; events pass through."""
    assert list(show(EVENTS)) == EVENTS
    output = capsys.readouterr()
    first, second, third, sample = output.err.splitlines()
    assert first == "step 1/2000  epoch 0.01  running 3.000  1,000 chars/s"
    assert second == (
        "step 1/2000  epoch 0.01  running 3.000  train 1.750  val 2.000  2.89 bpc  gap 0.25  "
        "1,000 chars/s"
    )
    assert third.startswith(
        "step 10/2000  epoch 0.10  running 3.000  train 2.250  val 2.500  3.61 bpc  gap 0.25"
    )
    assert sample == "sample  a⏎b\\x1b[31mc"
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


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_the_live_display_fits_any_width(width: int) -> None:
    """No line is wider than the terminal, and a fact that does not fit is left out whole."""
    display = TrainingDisplay(STARTED, {"uniform": 6.0, "unigram": 4.0, "3-gram": 2.0})
    for event in EVENTS:
        display.update(event)
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(display)
    lines = capture.get().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    if width < 60:
        assert "· 3-gram 2.00" in lines
        return
    blank, position, losses, facts, train, val, comparison, label, *sample = lines
    assert blank == ""
    assert position.endswith("11/2,000  epoch 0.1")
    shown = "running 2.750   train 2.250   val 2.500   3.61 bpc"
    assert losses == (shown if width == 60 else f"{shown}   gap 0.25")
    assert facts.startswith("1,000 chars/s   0.1 s/step   ")
    assert facts.endswith("best @1   saved @10" if width > 60 else "best @1")
    assert (train[:11], train[-5:]) == ("train 1.750", "2.250")
    assert (val[:11], val[-5:]) == ("val   2.000", "2.500")
    assert comparison == "✓ uniform 6.00   ✓ unigram 4.00   · 3-gram 2.00"
    assert label == "sample @11:"
    assert sample == ["a", "b\\x1b[31mc"]

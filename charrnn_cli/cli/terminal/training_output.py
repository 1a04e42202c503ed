"""The events of a run as people see them: a live display on a terminal, plain lines elsewhere."""

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from rich.live import Live

from charrnn_cli.cli.terminal.console import is_live, say, say_block, say_now, stderr_console
from charrnn_cli.cli.terminal.training_display import (
    NO_SCALE,
    NOTHING_RECORDED,
    TrainingDisplay,
)
from charrnn_cli.events import (
    BatchSplit,
    CheckpointRemoved,
    CheckpointSaved,
    Diverged,
    Evaluated,
    Replanned,
    Sampled,
    SaveFailed,
    SlowedDown,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.storage.metrics_log import Metrics

PLAIN_INTERVAL = 10.0  # seconds between plain lines


def show(
    events: Iterable[TrainEvent],
    *,
    scale: Mapping[str, float] = NO_SCALE,
    recorded: Metrics = NOTHING_RECORDED,
    deadline: float | None = None,
) -> Iterator[TrainEvent]:
    """Yield the events and show them: live on a terminal, as lines elsewhere.

    The first event is TrainingStarted. The other arguments are those of `TrainingDisplay`.
    """
    remaining = iter(events)
    started = next(remaining)
    assert isinstance(started, TrainingStarted)
    display = TrainingDisplay(started, scale=scale, recorded=recorded, deadline=deadline)
    with _live(display) if is_live(sys.stderr) else _plain(display) as draw:
        for event in itertools.chain([started], remaining):
            display.update(event)
            say_warning(event)
            draw(event)
            yield event


@contextlib.contextmanager
def _live(display: TrainingDisplay) -> Iterator[Callable[[TrainEvent], None]]:
    """Keep the display drawn at the bottom of the terminal; samples scroll up above it."""
    live = Live(display, console=stderr_console(), refresh_per_second=4, redirect_stdout=False)

    def draw(event: TrainEvent) -> None:
        match event:
            case Sampled(step=step, prime=prime, text=text):
                lines = f"{prime}{text}".strip("\n").expandtabs(4).split("\n")
                say_block("sample", [f"step {step:,}", *lines], "italic")
            case CheckpointSaved() | TrainingFinished():
                live.refresh()

    live.start()
    try:
        yield draw
    finally:
        live.stop()


@contextlib.contextmanager
def _plain(display: TrainingDisplay) -> Iterator[Callable[[TrainEvent], None]]:
    """Print a line per evaluation and sample, and the current step at intervals."""
    last_line = -math.inf

    def draw(event: TrainEvent) -> None:
        nonlocal last_line
        match event:
            case StepLogged() if time.monotonic() - last_line < PLAIN_INTERVAL:
                pass
            case StepLogged() | Evaluated():
                say_now(display.plain(event))
                last_line = time.monotonic()
            case Sampled(step=step, prime=prime, text=text):
                say_now(f"sample at step {step}  " + f"{prime}{text}".replace("\n", "⏎"))

    yield draw


def with_warnings(events: Iterable[TrainEvent]) -> Iterator[TrainEvent]:
    """Yield the events, and say only what went wrong."""
    for event in events:
        say_warning(event)
        yield event


def say_warning(event: TrainEvent) -> None:
    match event:
        case SaveFailed(message=message):
            say("warning", f"{message}; training continues")
        case CheckpointRemoved(step=step):
            say("warning", f"the disk is full; deleted the checkpoint of step {step} to make room")
        case Diverged(step=step, back_to=back_to, learning_rate=rate):
            say(
                "warning",
                f"the loss diverged at step {step}; continuing from step {back_to} at lr {rate:g}",
            )
        case SlowedDown(chars_per_second=now, before=before, one_thread=alone):
            remedy = ""
            if alone is not None:
                remedy = f"; stop, and resume with --threads 1 for about {alone:,.0f} chars/s now"
            say("warning", f"{now:,.0f} chars/s now, {before:,.0f} chars/s before{remedy}")
        case Replanned(planned_steps=planned, total_steps=steps):
            slower = f"this machine is slower than planned: {steps:,} steps instead of {planned:,}"
            say("plan", f"{slower}, with a learning rate that ends with them")
        case BatchSplit(parts=parts):
            say("memory", f"the batch does not fit into memory; splitting it into {parts} parts")

"""The training display: events in, a calm live block or plain lines out."""

import math
import sys
import time
from collections.abc import Iterable, Iterator
from typing import assert_never

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn_cli.advice import bits_per_character
from charrnn_cli.cli.console import is_fancy, say
from charrnn_cli.cli.formats import duration, loss
from charrnn_cli.events import (
    CheckpointSaved,
    Diverged,
    Evaluated,
    MemoryShort,
    SaveFailed,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)

PLAIN_INTERVAL = 10.0  # seconds between lines where nobody watches


class TrainingDisplay:
    """Where a run stands, as the events told it; drawn at any width without wrapping."""

    def __init__(self, started: TrainingStarted) -> None:
        self.total, self.step, self.first_step = started.total_steps, started.first_step, started.first_step
        self.per_epoch = started.steps_per_epoch
        self.steps_per_character = 1 / (started.batch_size * started.seq_len)
        self.begun = time.monotonic()
        self.train_loss: float | None = None
        self.val_loss: float | None = None
        self.gap = 0.0  # between val loss and train loss, both without dropout
        self.best: tuple[int, float] | None = None
        self.chars_per_second = 0.0

    def take(self, event: StepLogged | Evaluated) -> None:
        self.step, self.train_loss = event.step, event.train_loss
        if isinstance(event, StepLogged):
            self.chars_per_second = event.chars_per_second
        else:
            self.val_loss, self.gap = event.val_loss, event.val_loss - event.clean_train_loss
            if event.best:
                self.best = event.step, event.val_loss

    @property
    def seconds_left(self) -> float | None:
        """From the whole run so far, evaluations and saves included."""
        done = self.step - self.first_step
        if done < 2:
            return None
        return (time.monotonic() - self.begun) / done * (self.total - self.step)

    def fields(self) -> list[str]:
        """The figures in the order of their worth, so that a narrow line loses the least."""
        losses = [f"train {loss(self.train_loss)}"]
        if self.val_loss is not None:
            losses.append(f"val {loss(self.val_loss)}")
        known = self.train_loss if self.val_loss is None else self.val_loss
        if known is not None:
            losses.append(f"{bits_per_character(known):.2f} bpc")
        seconds = self.seconds_left
        left = [] if seconds is None else [f"{duration(seconds)} left"]
        if self.val_loss is not None:
            losses.append(f"gap {round(self.gap, 2) + 0:.2f}")  # + 0: never -0.00
        return [*losses, f"{self.chars_per_second:,.0f} chars/s", *left]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        place = f"{self.step:,}/{self.total:,}  epoch {self.step / self.per_epoch:.1f}"
        grid.add_row(ProgressBar(total=self.total, completed=self.step), Text(place))
        yield grid
        seconds_per_step = 1 / (self.chars_per_second * self.steps_per_character) if self.chars_per_second else 0.0
        *losses, speed = self.fields()[: 5 if self.val_loss is not None else 3]
        yield Text("   ".join(losses), style="bold", no_wrap=True, overflow="crop")
        parts = [speed, f"{seconds_per_step:.2g} s/step"]
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        if self.best:
            parts.append(f"best @{self.best[0]}")
        yield Text("   ".join(parts), style="dim", no_wrap=True, overflow="crop")

    def plain(self) -> str:
        return f"step {self.step}/{self.total}  epoch {self.step / self.per_epoch:.2f}  {'  '.join(self.fields())}"


def show(events: Iterable[TrainEvent], console: Console) -> Iterator[TrainEvent]:
    """Draw the events as they pass: live on a terminal, else a line at intervals."""
    live: Live | None = None
    display: TrainingDisplay | None = None
    last_line = -math.inf
    try:
        for event in events:
            match event:
                case TrainingStarted():
                    display = TrainingDisplay(event)
                    if is_fancy(sys.stderr):
                        live = Live(display, console=console, refresh_per_second=4, redirect_stdout=False)
                        live.start()
                case StepLogged() | Evaluated():
                    assert display is not None
                    display.take(event)
                    if live is None and (
                        isinstance(event, Evaluated) or time.monotonic() - last_line >= PLAIN_INTERVAL
                    ):
                        say("", display.plain(), console)
                        last_line = time.monotonic()
                case SaveFailed(message=message):
                    say("warning", f"{message}; training goes on and will try again", console)
                case Diverged(step=step, back_to=back_to, learning_rate=rate):
                    say("warning", f"the loss blew up at step {step}: back to step {back_to} at lr {rate:g}", console)
                case MemoryShort(parts=parts):
                    say("memory", f"too little for the batch at once: it goes in {parts} parts from now on", console)
                case CheckpointSaved() | TrainingFinished():
                    if live is not None:
                        live.refresh()
                case _:
                    assert_never(event)
            yield event
    finally:
        if live is not None:
            live.stop()

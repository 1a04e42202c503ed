"""The training display: a live block on a terminal, plain lines elsewhere."""

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn_cli.cli.terminal.console import is_fancy, say, stderr_console
from charrnn_cli.cli.terminal.formats import format_duration, format_loss, sparkline
from charrnn_cli.cli.terminal.safe_text import safe
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
from charrnn_cli.units import bits_per_character

PLAIN_INTERVAL = 10.0  # seconds between plain lines
MAX_CURVE_WIDTH = 60
SAMPLE_LINES = 6
ECHO_WIDTH = 2  # columns of the ^C that a terminal echoes at the end of a line
SEPARATOR = "   "  # between facts on one line

NO_BASELINES: Mapping[str, float] = MappingProxyType({})


class TrainingDisplay:
    """The state of a run, updated by its events, and drawn at any width without wrapping."""

    def __init__(
        self, started: TrainingStarted, baselines: Mapping[str, float] = NO_BASELINES
    ) -> None:
        """Show `baselines`, the bits per character of simple models, easiest first."""
        self.total_steps = started.total_steps
        self.first_step = started.first_step
        self.step = started.first_step
        self.steps_per_epoch = started.steps_per_epoch
        self.characters_per_step = started.batch_size * started.seq_len
        self.started = time.monotonic()
        self.baselines = baselines
        self.running_loss: float | None = None  # with dropout
        self.train_loss: float | None = None
        self.val_loss: float | None = None
        self.best_step: int | None = None
        self.saved_step: int | None = None
        self.sample: Sampled | None = None
        self.chars_per_second = 0.0
        self.train_curve: list[float] = []
        self.val_curve: list[float] = []

    def update(self, event: TrainEvent) -> None:
        """Record an event; events that do not change the display are ignored."""
        match event:
            case StepLogged():
                self.step = event.step
                self.running_loss = event.running_loss
                self.chars_per_second = event.chars_per_second
            case Evaluated():
                self.step = event.step
                self.train_loss = event.train_loss
                self.val_loss = event.val_loss
                self.train_curve.append(event.train_loss)
                self.val_curve.append(event.val_loss)
                if event.best:
                    self.best_step = event.step
            case CheckpointSaved():
                self.saved_step = event.step
            case Sampled():
                self.sample = event

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the average over this session, including evaluations and saves."""
        done = self.step - self.first_step
        if done < 2:
            return None
        return (time.monotonic() - self.started) / done * (self.total_steps - self.step)

    def plain(self) -> str:
        """Return the run's state as one line."""
        epoch = f"epoch {self.step / self.steps_per_epoch:.2f}"
        facts = [*self._losses(), f"{self.chars_per_second:,.0f} chars/s", *self._time_left()]
        return "  ".join([f"step {self.step}/{self.total_steps}", epoch, *facts])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - ECHO_WIDTH
        yield ""  # separates the display from the messages above it
        yield self._position()
        yield _line(_leading(self._losses(), width), "bold", width)
        yield _line(_leading(self._facts(), width), "dim", width)
        yield from self._curves(width)
        if self.baselines and self.val_loss is not None:
            yield _line(self._comparison(bits_per_character(self.val_loss), width), "dim", width)
        if self.sample is not None:
            yield from _sample_lines(self.sample, width)

    def _position(self) -> Table:
        """Return a bar, then the step and the epoch."""
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(
            total=self.total_steps,
            completed=self.step,
            complete_style="cyan",
            finished_style="cyan",
        )
        epoch = f"epoch {self.step / self.steps_per_epoch:.1f}"
        grid.add_row(bar, Text(f"{self.step:,}/{self.total_steps:,}  {epoch}"))
        return grid

    def _losses(self) -> list[str]:
        """Return the losses, most important first, because a narrow line drops the last ones."""
        losses = [f"running {format_loss(self.running_loss)}"]
        if self.train_loss is not None and self.val_loss is not None:
            losses.append(f"train {format_loss(self.train_loss)}")
            losses.append(f"val {format_loss(self.val_loss)}")
            losses.append(f"{bits_per_character(self.val_loss):.2f} bpc")
            losses.append(f"gap {self.val_loss - self.train_loss:z.2f}")  # z avoids -0.00
        return losses

    def _facts(self) -> list[str]:
        """Return the speed, time left, and steps of the best and the newest checkpoint."""
        seconds_per_step = (
            self.characters_per_step / self.chars_per_second if self.chars_per_second else 0.0
        )
        facts = [
            f"{self.chars_per_second:,.0f} chars/s",
            f"{seconds_per_step:.2g} s/step",
            *self._time_left(),
        ]
        if self.best_step is not None:
            facts.append(f"best @{self.best_step}")
        if self.saved_step is not None and self.saved_step != self.best_step:
            facts.append(f"saved @{self.saved_step}")
        return facts

    def _time_left(self) -> list[str]:
        seconds = self.seconds_left
        return [] if seconds is None else [f"{format_duration(seconds)} left"]

    def _curves(self, width: int) -> Iterator[Text]:
        """Draw both losses over time, from their first to their newest value."""
        curve_width = min(MAX_CURVE_WIDTH, max(8, width - len("train 00.000  00.000")))
        for label, curve, style in (
            ("train", self.train_curve, "dim"),
            ("val", self.val_curve, "cyan"),
        ):
            if len(curve) > 1:
                first, last = format_loss(curve[0]), format_loss(curve[-1])
                blocks = sparkline(curve, curve_width)
                yield _line(f"{label:<6}{first} {blocks} {last}", style, width)

    def _comparison(self, bits: float, width: int) -> str:
        """Mark the baselines that the model beats; drop the easiest if they do not fit."""
        marked = [
            f"{'✓' if bits < value else '·'} {name} {value:.2f}"
            for name, value in self.baselines.items()
        ]
        while marked and len(SEPARATOR.join(marked)) > width:
            del marked[0]
        return SEPARATOR.join(marked)


def _leading(facts: list[str], width: int) -> str:
    """Join as many leading facts as fit, at least one; a truncated number would be misread."""
    while len(facts) > 1 and len(SEPARATOR.join(facts)) > width:
        facts = facts[:-1]
    return SEPARATOR.join(facts)


def _sample_lines(sample: Sampled, width: int) -> Iterator[Text]:
    yield _line(f"sample @{sample.step}:", "dim", width)
    text = safe(sample.prime + sample.text, keep="\n\t").expandtabs(4).strip("\n")
    for line in text.split("\n")[:SAMPLE_LINES]:
        yield _line(line, "italic", width)


def _line(text: str, style: str, width: int) -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="crop")
    line.truncate(width)
    return line


def show(
    events: Iterable[TrainEvent], baselines: Mapping[str, float] = NO_BASELINES
) -> Iterator[TrainEvent]:
    """Yield the events and show them: live on a terminal, as lines elsewhere.

    The first event is TrainingStarted. `baselines` are the bits per character of simple models.
    """
    remaining = iter(events)
    started = next(remaining)
    assert isinstance(started, TrainingStarted)
    display = TrainingDisplay(started, baselines)
    with _live(display) if is_fancy(sys.stderr) else _plain(display) as draw:
        for event in itertools.chain([started], remaining):
            display.update(event)
            say_warning(event)
            draw(event)
            yield event


@contextlib.contextmanager
def _live(display: TrainingDisplay) -> Iterator[Callable[[TrainEvent], None]]:
    """Keep the display drawn at the bottom of the terminal."""
    live = Live(display, console=stderr_console(), refresh_per_second=4, redirect_stdout=False)

    def draw(event: TrainEvent) -> None:
        if isinstance(event, CheckpointSaved | TrainingFinished):
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
                say("", display.plain())
                last_line = time.monotonic()
            case Sampled(prime=prime, text=text):
                say("sample", f"{prime}{text}".replace("\n", "⏎"))

    yield draw


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

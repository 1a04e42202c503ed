"""The live block of a training run: its state, drawn at any width without wrapping."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn_cli.cli.terminal.formats import (
    format_both_units,
    format_duration,
    format_loss,
    format_scale,
    sparkline,
)
from charrnn_cli.cli.terminal.time_left import TimeLeft
from charrnn_cli.events import (
    CheckpointSaved,
    Evaluated,
    Replanned,
    StepLogged,
    TrainEvent,
    TrainingStarted,
)
from charrnn_cli.storage.metrics_log import Metrics
from charrnn_cli.units import bits_per_character

MAX_CURVE_WIDTH = 60
LEAST_BAR = 8  # columns; a fact beside the bar is left out before the bar becomes shorter
MANY_EPOCHS = 100  # from here, the live display shows no fractions of them
ECHO_WIDTH = 2  # columns of the ^C that a terminal echoes at the end of a line
SEPARATOR = "   "  # between facts on one line

NO_SCALE: Mapping[str, float] = MappingProxyType({})
NOTHING_RECORDED = Metrics([], [])


class TrainingDisplay:
    """The state of a run, updated by its events."""

    def __init__(
        self,
        started: TrainingStarted,
        *,
        scale: Mapping[str, float] = NO_SCALE,
        recorded: Metrics = NOTHING_RECORDED,
        deadline: float | None = None,
    ) -> None:
        """Show a run from its first step, or a resumed one from what it has `recorded`.

        `scale` has the bits per character of simple models. The run ends at `deadline`, on
        `time.monotonic`'s clock, at the latest.
        """
        self.total_steps = started.total_steps
        self.step = started.first_step
        self.steps_per_epoch = started.steps_per_epoch
        self.characters_per_step = started.batch_size * started.seq_len
        self.time_left = TimeLeft(started, time.monotonic(), deadline)
        self.scale = scale
        self.running_loss: float | None = None  # with dropout
        self.train_loss: float | None = None
        self.val_loss: float | None = None
        self.best_step: int | None = None
        self.saved_step: int | None = None
        self.train_curve: list[float] = []
        self.val_curve: list[float] = []
        for step, running_loss in recorded.running_losses:
            if step <= started.first_step:
                self.running_loss = running_loss
        for evaluated in recorded.evaluations:
            if evaluated.step <= started.first_step:
                self._add_evaluation(evaluated)

    def update(self, event: TrainEvent) -> None:
        """Record an event; events that do not change the display are ignored."""
        self.time_left.update(event, time.monotonic())
        match event:
            case StepLogged():
                self.step = event.step
                self.running_loss = event.running_loss
            case Evaluated():
                self.step = event.step
                self._add_evaluation(event)
            case CheckpointSaved():
                self.saved_step = event.step
            case Replanned():
                self.total_steps = event.total_steps

    def _add_evaluation(self, event: Evaluated) -> None:
        self.train_loss, self.val_loss = event.train_loss, event.val_loss
        self.train_curve.append(event.train_loss)
        self.val_curve.append(event.val_loss)
        if event.best:
            self.best_step = event.step

    def plain(self, event: StepLogged | Evaluated) -> str:
        """Return the run's state as one line, which has the measured losses of an evaluation."""
        facts = [
            f"step {self.step}/{self.total_steps}",
            f"epoch {self._epoch(self.step, 2)}/{self._epoch(self.total_steps, 2)}",
            f"running {format_loss(self.running_loss)}",
            *(self._losses() if isinstance(event, Evaluated) else []),
            *self._speed()[:1],
            self._time_left(),
        ]
        return "  ".join(facts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - ECHO_WIDTH
        yield ""  # separates the display from the messages above it
        yield self._position(width)
        if losses := self._losses():
            yield _line(_leading(losses, width), "bold", width)
        yield _line(_leading(self._facts(), width), "dim", width)
        yield from self._curves(width)
        if self.scale and self.val_loss is not None:
            for line in _filled(self._comparison(self.val_loss), width):
                yield _line(line, "dim", width)

    def _position(self, width: int) -> Table:
        """Return a bar, then the step, the epoch and the running loss, each of constant width."""
        digits = 1 if self.total_steps < MANY_EPOCHS * self.steps_per_epoch else 0
        total, epochs = f"{self.total_steps:,}", self._epoch(self.total_steps, digits)
        facts = [
            f"{self.step:>{len(total)},}/{total}",
            f"epoch {self._epoch(self.step, digits):>{len(epochs)}}/{epochs}",
            f"running {format_loss(self.running_loss):<5}",
        ]
        bar = ProgressBar(
            total=self.total_steps,
            completed=self.step,
            complete_style="cyan",
            finished_style="cyan",
        )
        grid = Table.grid(padding=(0, 1))
        grid.width = width
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        grid.add_row(bar, Text(_leading(facts, width - LEAST_BAR - 1, "  ")))
        return grid

    def _epoch(self, step: int, digits: int) -> str:
        return f"{step / self.steps_per_epoch:.{digits}f}"

    def _losses(self) -> list[str]:
        """Return the measured losses; a narrow line drops the last ones."""
        if self.train_loss is None or self.val_loss is None:
            return []
        return [
            f"train {format_loss(self.train_loss)}",
            f"val {format_both_units(self.val_loss)}",
            f"gap {self.val_loss - self.train_loss:z.2f}",  # z avoids -0.00
        ]

    def _facts(self) -> list[str]:
        """Return the time left, the speed, and steps of the best and the newest checkpoint."""
        facts = [self._time_left(), *self._speed()]
        if self.best_step is not None:
            facts.append(f"best @{self.best_step}")
        if self.saved_step is not None and self.saved_step != self.best_step:
            facts.append(f"saved @{self.saved_step}")
        return facts

    def _speed(self) -> list[str]:
        """Return the speed of the last minute's steps; an evaluation would make them look slow."""
        seconds = self.time_left.seconds_per_step
        if not seconds:
            return []
        speed = self.characters_per_step / seconds
        return [f"{speed:,.0f} chars/s", f"{seconds:.2g} s/step"]

    def _time_left(self) -> str:
        return f"{format_duration(self.time_left.seconds(time.monotonic()))} left"

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

    def _comparison(self, val_loss: float) -> list[str]:
        """Mark the simple models that the model beats."""
        bits = bits_per_character(val_loss)
        beaten = {name for name, value in self.scale.items() if bits < value}
        return [
            f"{'✓' if loss.split()[0] in beaten else '·'} {loss}"
            for loss in format_scale(self.scale)
        ]


def _leading(facts: Sequence[str], width: int, separator: str = SEPARATOR) -> str:
    """Join as many leading facts as fit, at least one; a truncated number would be misread."""
    while len(facts) > 1 and len(separator.join(facts)) > width:
        facts = facts[:-1]
    return separator.join(facts)


def _filled(facts: Sequence[str], width: int) -> Iterator[str]:
    """Join facts to lines of at most this width, without splitting a fact."""
    line = ""
    for fact in facts:
        joined = f"{line}{SEPARATOR}{fact}" if line else fact
        if line and len(joined) > width:
            yield line
            joined = fact
        line = joined
    yield line


def _line(text: str, style: str, width: int) -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="crop")
    line.truncate(width)
    return line

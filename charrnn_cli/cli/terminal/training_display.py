"""The training display: events in, a calm live block or plain lines out."""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn_cli.cli.terminal.console import is_fancy, safe, say, stderr_console
from charrnn_cli.cli.terminal.formats import format_duration, format_loss, sparkline
from charrnn_cli.events import (
    BatchSplit,
    CheckpointSaved,
    Diverged,
    Evaluated,
    Sampled,
    SaveFailed,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.units import bits_per_character

PLAIN_INTERVAL = 10.0  # seconds between lines where nobody watches
CURVE_WIDTH = 60
SAMPLE_LINES = 6
ECHO = 2  # columns that a terminal's own ^C takes at the end of a line


class TrainingDisplay:
    """Where a run stands, as the events told it; drawn at any width without wrapping."""

    def __init__(
        self, started: TrainingStarted, scale: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self.total, self.step, self.first_step = (
            started.total_steps,
            started.first_step,
            started.first_step,
        )
        self.per_epoch = started.steps_per_epoch
        self.steps_per_character = 1 / (started.batch_size * started.seq_len)
        self.begun = time.monotonic()
        self.scale = scale
        self.train_loss: float | None = None
        self.val_loss: float | None = None
        self.gap = 0.0  # between val loss and train loss, both without dropout
        self.best: tuple[int, float] | None = None
        self.saved: int | None = None
        self.sample: Sampled | None = None
        self.chars_per_second = 0.0
        self.train_curve: list[float] = []
        self.val_curve: list[float] = []

    def update(self, event: TrainEvent) -> None:
        """Take in what changes the picture; other events pass."""
        match event:
            case StepLogged():
                self.step, self.train_loss, self.chars_per_second = (
                    event.step,
                    event.train_loss,
                    event.chars_per_second,
                )
                self.train_curve.append(event.train_loss)
            case Evaluated():
                self.step, self.train_loss = event.step, event.train_loss
                self.val_loss, self.gap = event.val_loss, event.val_loss - event.clean_train_loss
                self.val_curve.append(event.val_loss)
                if event.best:
                    self.best = event.step, event.val_loss
            case CheckpointSaved():
                self.saved = event.step
            case Sampled():
                self.sample = event

    @property
    def seconds_left(self) -> float | None:
        """From the whole run so far, evaluations and saves included."""
        done = self.step - self.first_step
        if done < 2:
            return None
        return (time.monotonic() - self.begun) / done * (self.total - self.step)

    def losses(self) -> list[str]:
        """The losses, in the order of their worth, so that a narrow line loses the least."""
        losses = [f"train {format_loss(self.train_loss)}"]
        if self.val_loss is not None:
            losses.append(f"val {format_loss(self.val_loss)}")
        known = self.train_loss if self.val_loss is None else self.val_loss
        if known is not None:
            losses.append(f"{bits_per_character(known):.2f} bpc")
        if self.val_loss is not None:
            losses.append(f"gap {round(self.gap, 2) + 0:.2f}")  # + 0: never -0.00
        return losses

    def speed(self) -> list[str]:
        seconds = self.seconds_left
        return [
            f"{self.chars_per_second:,.0f} chars/s",
            *([] if seconds is None else [f"{format_duration(seconds)} left"]),
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - ECHO
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        place = f"{self.step:,}/{self.total:,}  epoch {self.step / self.per_epoch:.1f}"
        bar = ProgressBar(
            total=self.total, completed=self.step, complete_style="cyan", finished_style="cyan"
        )
        grid.add_row(bar, Text(place))
        yield ""  # set apart from what was said before
        yield grid
        yield _line("   ".join(self.losses()), "bold", room)
        seconds_per_step = (
            1 / (self.chars_per_second * self.steps_per_character) if self.chars_per_second else 0.0
        )
        speed = self.speed()
        facts = [speed[0], f"{seconds_per_step:.2g} s/step", *speed[1:]]
        if self.best:
            facts.append(f"best @{self.best[0]}")
        if self.saved and (self.best is None or self.saved != self.best[0]):
            facts.append(f"saved @{self.saved}")
        yield _line("   ".join(facts), "dim", room)
        width = min(CURVE_WIDTH, max(8, room - len("train 00.000  00.000")))
        for name, curve, style in (
            ("train", self.train_curve, "dim"),
            ("val", self.val_curve, "cyan"),
        ):
            if len(curve) > 1:
                yield _line(
                    f"{name:<6}{curve[0]:.3f} {sparkline(curve, width)} {curve[-1]:.3f}",
                    style,
                    room,
                )
        if self.scale and self.val_loss is not None:
            yield _line(self._beaten(bits_per_character(self.val_loss), room), "dim", room)
        if self.sample is not None:
            yield _line(f"@{self.sample.step} writes:", "dim", room)
            text = safe(self.sample.prime + self.sample.text, keep="\n\t").expandtabs(4).strip("\n")
            for line in text.split("\n")[:SAMPLE_LINES]:
                yield _line(line, "italic", room)

    def _beaten(self, bits: float, room: int) -> str:
        """The baselines in their order, those that the model beats marked; the easiest go where room is short."""
        marked = [
            f"{'✓' if bits < value else '·'} {name} {value:.2f}"
            for name, value in self.scale.items()
        ]
        while marked and len("   ".join(marked)) > room:
            del marked[0]
        return "   ".join(marked)

    def plain(self) -> str:
        fields = "  ".join([*self.losses(), *self.speed()])
        return f"step {self.step}/{self.total}  epoch {self.step / self.per_epoch:.2f}  {fields}"


def _line(text: str, style: str, width: int) -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="crop")
    line.truncate(width)
    return line


def show(
    events: Iterable[TrainEvent], scale: Mapping[str, float] = MappingProxyType({})
) -> Iterator[TrainEvent]:
    """Draw the events as they pass: live on a terminal, else a line at intervals.

    `scale` are bits a character that simple models reach.
    """
    live: Live | None = None
    display: TrainingDisplay | None = None
    last_line = -math.inf
    try:
        for event in events:
            if isinstance(event, TrainingStarted):
                display = TrainingDisplay(event, scale)
                if is_fancy(sys.stderr):
                    live = Live(
                        display,
                        console=stderr_console(),
                        refresh_per_second=4,
                        redirect_stdout=False,
                    )
                    live.start()
            assert display is not None
            display.update(event)
            match event:
                case SaveFailed(message=message):
                    say("warning", f"{message}; training goes on and will try again")
                case Diverged(step=step, back_to=back_to, learning_rate=rate):
                    say(
                        "warning",
                        f"the loss blew up at step {step}: back to step {back_to} at lr {rate:g}",
                    )
                case BatchSplit(parts=parts):
                    say(
                        "memory",
                        f"too little for the batch at once: it goes in {parts} parts from now on",
                    )
                case StepLogged() | Evaluated() if live is None:
                    if (
                        isinstance(event, Evaluated)
                        or time.monotonic() - last_line >= PLAIN_INTERVAL
                    ):
                        say("", display.plain())
                        last_line = time.monotonic()
                case Sampled(prime=prime, text=text) if live is None:
                    say("writes", f"{prime}{text}".replace("\n", "⏎"))
                case CheckpointSaved() | TrainingFinished() if live is not None:
                    live.refresh()
            yield event
    finally:
        if live is not None:
            live.stop()

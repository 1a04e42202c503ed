"""Samples on a terminal, in a pipe or in a file: plain, colored by surprise, or as JSON."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_both_units, format_count
from charrnn_cli.cli.terminal.surprise_colors import SurpriseColors
from charrnn_cli.config import SampleConfig
from charrnn_cli.model.samples import Piece, Sample
from charrnn_cli.storage.atomic import atomic_write, check_absent
from charrnn_cli.storage.existing import atomic_append, atomic_replace, check_changeable

FLUSH_INTERVAL = 0.02  # seconds; looks continuous, and avoids most writes to a pipe
SEPARATOR = "---"  # the line between samples

Write = Callable[[str], None]


class TextStream:
    """Write text as it arrives, at short intervals: escaped on a terminal, exact elsewhere."""

    def __init__(self, write: Write, *, to_terminal: bool, color: bool = False) -> None:
        self._write, self._to_terminal = write, to_terminal
        self._colors = SurpriseColors() if color else None
        self._pending: list[str] = []
        self._flushed = -math.inf
        self._at_line_start = True

    def write(self, text: str, log_probabilities: Sequence[float] = ()) -> None:
        """Append a text; with `log_probabilities`, one per character, it may be colored."""
        if not text:
            return
        if self._colors is not None and log_probabilities:
            self._pending.append(self._colors.add(text, log_probabilities))
        else:
            self._end_colors()
            self._pending.append(safe_text.safe(text, keep="\n\t") if self._to_terminal else text)
        self._at_line_start = text.endswith("\n")
        if time.monotonic() - self._flushed > FLUSH_INTERVAL:
            self._flush()

    def separate(self, label: str = "") -> None:
        """Write the separator, and a label if any, on its own line."""
        self._end_colors()
        line = safe_text.safe(f"{SEPARATOR} {label}" if label else SEPARATOR)
        self._pending.append(("" if self._at_line_start else "\n") + f"{line}\n")

    def finish(self) -> None:
        """End the colors and the last line, and flush."""
        self._end_colors()
        if not self._at_line_start:
            self._pending.append("\n")
        self._flush()

    def _end_colors(self) -> None:
        if self._colors is not None:
            self._pending.append(self._colors.finish())

    def _flush(self) -> None:
        if self._pending:
            self._write("".join(self._pending))
            self._pending.clear()
        self._flushed = time.monotonic()


class PieceConsumer(Protocol):
    """A consumer of the pieces of samples, in order."""

    def add(self, piece: Piece) -> None: ...


class TextSamples:
    """Write samples as text, each after its prime, with separators between them.

    With a label, it stands on a separator before each of them.
    """

    def __init__(self, stream: TextStream, prime: str, label: str = "") -> None:
        self._stream, self._prime, self._label = stream, prime, label
        self._begun = 0  # samples

    def add(self, piece: Piece) -> None:
        """Write a piece; the first piece of a sample starts it."""
        if piece.sample == self._begun:
            if self._begun or self._label:
                self._stream.separate(self._label)
            self._stream.write(self._prime)
            self._begun += 1
        self._stream.write(piece.text, piece.log_probabilities)


class WholeSamples:
    """Pass on each sample when it is complete."""

    def __init__(self, take: Callable[[Sample], None]) -> None:
        self._take = take
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        """Collect a piece; the last piece of a sample completes it."""
        self._pieces.append(piece)
        if piece.end is not None:
            self._take(Sample.from_pieces(self._pieces, piece.end))
            self._pieces.clear()


class SampleStatistics:
    """Count characters and sum up their surprise."""

    def __init__(self) -> None:
        self._drawn = self._scored = 0
        self._nats = 0.0

    def add(self, piece: Piece) -> None:
        """Count a piece."""
        self._scored += len(piece.log_probabilities)
        self._nats -= sum(piece.log_probabilities)
        if piece.end is not None:
            self._drawn += piece.end.drawn

    def count(self, drawn: int, scored: int, bits: float | None) -> None:
        """Count drawn characters, and others whose bits, if known, are all together `bits`."""
        self._drawn += drawn
        if bits is not None:
            self._scored += scored
            self._nats += bits * math.log(2)

    def show(self, drawing: float, elapsed: float, label: str = "") -> None:
        """Print the speed and the mean surprise, from the seconds of drawing and of all work.

        A label comes first, if there is one.
        """
        speed = f"{self._drawn / max(drawing, 1e-9):,.0f} characters per second"
        line = f"{format_count(self._drawn, 'character')} in {elapsed:.2f} s, generated at {speed}"
        if self._scored:
            line += f", mean surprise {format_both_units(self._nats / self._scored)}"
        console.say("stats", f"{label}: {line}" if label else line)


def sample_to_json(
    sample: Sample, *, checkpoint: str, prime: str, config: SampleConfig, stops: list[str]
) -> str:
    """Return a line of JSON; the seed and the sample's number are enough to reproduce it."""
    settings: dict[str, Any] = {**config.to_json(), "stop": stops}
    return safe_text.to_json(
        {
            "text": sample.text,
            "prime": prime,
            "checkpoint": checkpoint,
            "seed": settings.pop("seed"),
            "sample": sample.number,
            "stopped": sample.end.stopped,
            "settings": settings,
            "log_probabilities": [round(score, 6) for score in sample.log_probabilities],
        }
    )


def describe_settings(
    config: SampleConfig, temperatures: Sequence[float], stops: list[str], count: str
) -> str:
    """List the settings that decide samples, except for their seed and prime.

    `count` says how many there are; empty for one.
    """
    parts = [f"temperature {','.join(f'{each:g}' for each in temperatures)}"]
    if any(temperatures):
        parts.append(f"top-k {config.top_k}")
        if config.top_p < 1:
            parts.append(f"top-p {config.top_p:g}")
        if config.min_p > 0:
            parts.append(f"min-p {config.min_p:g}")
    parts += [f"stop {stop!r}" for stop in stops]
    if count:
        parts.append(count)
    return ", ".join(parts)


@contextlib.contextmanager
def to_standard_output() -> Iterator[Write]:
    """Yield the function that writes safe text to standard output."""
    yield console.write_styled


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file for samples: a new one, or one to add to or to replace."""

    path: Path
    append: bool = False
    force: bool = False

    def check(self) -> None:
        """Fail before the samples are generated if the file cannot be written.

        Raises AlreadyPublishedError, ForeignFileError, StorageError.
        """
        if self.append or self.force:
            check_changeable(self.path)
        else:
            check_absent(self.path, hint="add to it with --append, or replace it with --force")

    @contextlib.contextmanager
    def opened(self) -> Iterator[Write]:
        """Yield the function that writes; the file changes only when all is written.

        Raises as `check` does.
        """
        change = atomic_append if self.append else atomic_replace if self.force else atomic_write
        with change(self.path) as file:
            yield lambda text: _write_bytes(file.write, text)


def _write_bytes(write: Callable[[bytes], object], text: str) -> None:
    write(text.encode("utf-8", "surrogatepass"))

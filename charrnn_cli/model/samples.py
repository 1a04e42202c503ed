"""Several samples as they grow."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from charrnn_cli.config import SampleConfig
from charrnn_cli.model.stop_strings import StopMatcher

if TYPE_CHECKING:
    from charrnn_cli.model.sampling import Drawn, Writer


ROWS = 64  # samples drawn at a time


@dataclass(slots=True)
class Sample:
    """One text as it grows."""

    number: int
    matcher: StopMatcher
    kept: bool
    """Whether the text is held; else it only passes."""
    text: str = ""
    log_probabilities: list[float] = field(default_factory=list)
    """In nats, under the model itself, of the characters of `text`; empty when they were not asked for."""
    drawn: int = 0
    _pieces: list[str] = field(default_factory=list)
    _waiting: list[float] = field(default_factory=list)

    def update(self, drawn: "Drawn", row: int) -> tuple[str, Sequence[float]]:
        """Take this row's character; what may be shown now, with its log-probabilities."""
        if self.matcher.stopped:
            return "", ()
        self.drawn += 1
        if drawn.log_probabilities is not None:
            self._waiting.append(drawn.log_probabilities[row])
        return self._release(self.matcher.push(drawn.characters[row]))

    def end(self) -> tuple[str, Sequence[float]]:
        """Nothing follows: what was held back in case a stop string came."""
        last = self._release(self.matcher.rest())
        self.text = "".join(self._pieces)
        return last

    def _release(self, text: str) -> tuple[str, Sequence[float]]:
        if not text:
            return "", ()
        scores, self._waiting = self._waiting[: len(text)], self._waiting[len(text) :]
        if self.kept:
            self._pieces.append(text)
            self.log_probabilities += scores
        return text, scores


class Sink(Protocol):
    """Takes the text of samples as it comes."""

    def begin(self, number: int, prime: str) -> None: ...

    def write(self, text: str, log_probabilities: Sequence[float] = ()) -> None: ...


@dataclass(slots=True)
class SampleJob:
    """So many samples, one live and the others of its batch beside it."""

    writer: "Writer"
    config: SampleConfig
    count: int
    stops: list[str]
    stopped: Callable[[], bool]
    kept: bool
    """Whether a sample is needed whole; else only what waits for its turn is held."""
    seconds: float = 0.0
    """That drawing took."""

    def samples(self, sink: Sink | None, shown: str) -> Iterator[Sample]:
        """Every sample when it is whole; the first of a batch goes to the sink as it is drawn."""
        for first in range(0, self.count, ROWS):
            numbers = range(first, min(first + ROWS, self.count))
            samples = [
                Sample(number, StopMatcher(self.stops), kept=self.kept or number > first)
                for number in numbers
            ]
            if sink is not None:
                sink.begin(first, shown)
            begun = time.monotonic()
            for drawn in self._drawn(numbers):
                for row, sample_ in enumerate(samples):
                    released = sample_.update(drawn, row)
                    if sink is not None and row == 0:
                        sink.write(*released)
                if self.stopped() or all(sample_.matcher.stopped for sample_ in samples):
                    break
            self.seconds += time.monotonic() - begun
            for row, sample_ in enumerate(samples):
                released = sample_.end()
                if sink is not None and row == 0:
                    sink.write(*released)
                elif sink is not None:
                    sink.begin(first + row, shown)
                    sink.write(sample_.text, sample_.log_probabilities)
                yield sample_
            if self.stopped():
                return

    def _drawn(self, numbers: range) -> "Iterator[Drawn]":
        alone = self.count == 1
        return (self.writer if alone else self.writer.repeat(numbers)).write(self.config.length)

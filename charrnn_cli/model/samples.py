"""Several samples of one model, drawn in parallel and yielded in pieces."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from charrnn_cli.model.document_ends import as_written
from charrnn_cli.model.stop_strings import StopMatcher, StopStrings

if TYPE_CHECKING:
    from charrnn_cli.model.sampling import Writer


ROWS = 64  # samples per batch


@dataclass(frozen=True, slots=True)
class SampleEnd:
    """How a sample ended."""

    drawn: int
    """Number of characters drawn, including those of the stop string."""
    stopped: bool
    """Whether a stop string ended the sample."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The next part of a sample; later characters do not change it."""

    sample: int
    """Number of the sample, from 0."""
    text: str
    log_probabilities: Sequence[float]
    """Natural logarithms, one per character of `text`, before temperature and filters; empty if
    the writer computes none."""
    end: SampleEnd | None = None
    """Set in the last piece of each sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A whole sample."""

    number: int
    text: str
    log_probabilities: list[float]
    """One per character of `text`; see Piece."""
    end: SampleEnd

    @classmethod
    def from_pieces(cls, pieces: Sequence[Piece], end: SampleEnd) -> Self:
        """Join all pieces of one sample; `end` is that of the last piece."""
        return cls(
            number=pieces[-1].sample,
            text="".join(piece.text for piece in pieces),
            log_probabilities=[score for piece in pieces for score in piece.log_probabilities],
            end=end,
        )


def draw_samples(
    writer: "Writer",
    length: int,
    count: int = 1,
    stops: Iterable[str] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Piece]:
    """Draw `count` continuations of the text that `writer` has read, of up to `length` characters.

    Pieces come in the order of the samples. Samples are drawn in batches of 64: the first sample of
    a batch is yielded as it is drawn, the others when the batch is complete. A sample ends before
    the first of the strings `stops`. The end symbol of documents becomes a newline. `should_stop`
    is called once per character; when it returns true, the samples of the current batch end there
    and no other batch begins.

    A single sample advances `writer`, so that the next call continues after it; several samples
    leave `writer` unchanged.
    """
    stop_strings = StopStrings(stops)
    for first in range(0, count, ROWS):
        numbers = range(first, min(first + ROWS, count))
        rows = [_Row(number, writer.end, StopMatcher(stop_strings)) for number in numbers]
        interrupted = False
        for drawn in (writer if count == 1 else writer.repeat(numbers)).write(length):
            scores: Sequence[float | None] = drawn.log_probabilities or [None] * len(rows)
            for row, character, score in zip(rows, drawn.characters, scores, strict=True):
                row.add(character, score)
            if rows[0].has_text:
                yield rows[0].take()
            interrupted = should_stop()
            if interrupted or all(row.stopped for row in rows):
                break
        for row in rows:
            yield row.take_last()
        if interrupted:
            return


@dataclass(slots=True)
class _Row:
    """A sample in progress: its text and log-probabilities that have not been yielded yet."""

    number: int
    _end: str | None
    """The end symbol of documents."""
    _matcher: StopMatcher
    _drawn: int = 0
    _texts: list[str] = field(default_factory=list)
    _scores: list[float] = field(default_factory=list)
    """Log-probabilities of `_texts` and of the characters that the matcher holds back."""

    @property
    def stopped(self) -> bool:
        return self._matcher.stopped

    @property
    def has_text(self) -> bool:
        return bool(self._texts)

    def add(self, character: str, score: float | None) -> None:
        """Append a character, unless a stop string has ended the sample."""
        if self.stopped:
            return
        self._drawn += 1
        if score is not None:
            self._scores.append(score)
        if certain := self._matcher.push(character):
            self._texts.append(certain)

    def take(self, end: SampleEnd | None = None) -> Piece:
        """Remove and return the text that cannot become part of a stop string."""
        text = as_written("".join(self._texts), self._end)
        scores, self._scores = self._scores[: len(text)], self._scores[len(text) :]
        self._texts.clear()
        return Piece(self.number, text, scores, end)

    def take_last(self) -> Piece:
        """End the sample, and return the rest of it."""
        if held := self._matcher.rest():
            self._texts.append(held)
        return self.take(SampleEnd(self._drawn, self.stopped))

"""Whole items drawn from a model of items, many in parallel."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import ITEM_LENGTH_FACTOR, SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine, Rows
from charrnn_cli.model.filters import draw, filter_logits, log_softmax
from charrnn_cli.model.reading import end_symbol, has_items, item_prime, unwritten_id
from charrnn_cli.seeds import derive_seed, random_seed

# R rows · V vocabulary · B random numbers that are drawn together

ROWS = 256  # items in parallel; 512 rows of 1x256 are a tenth faster, and twice as late at the end
_BLOCK = 32  # random numbers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Item:
    """A whole item, which begins with the prime."""

    number: int
    """Number of the item, from 0."""
    text: str
    ended: bool
    """Whether the model ended it; otherwise the limit of its length did."""
    bits: float | None
    """What the model needs to predict all of the item, its end included if it has one; None if not
    requested. Temperature and filters do not change it."""


def generate_items(
    checkpoint: Checkpoint,
    prime: str = "",
    *,
    count: int = 10,
    length: int | None = None,
    scored: bool = True,
    **settings: Any,
) -> Iterator[Item]:
    """Return an iterator of `count` whole items that begin with `prime`, in the order of numbers.

    An item that does not end within `length` characters after the prime is cut off there; by
    default, that is four times the longest item of the training text. Settings are those of
    `SampleConfig`. The same seed gives the same items, whatever their number, except for rounding.
    Raises UnknownCharacterError if the prime has a character outside the vocabulary, and
    ConfigError, also for a model of one text.
    """
    length = default_length(checkpoint) if length is None else length
    config = SampleConfig(length=length, **settings)
    return ItemWriter(checkpoint, prime, config, scored=scored).draw(count)


def default_length(checkpoint: Checkpoint) -> int:
    """Return the characters after which an item is cut off, unless another limit is set."""
    return ITEM_LENGTH_FACTOR * (checkpoint.data.longest_item or 1)


def items_as_text(
    checkpoint: Checkpoint, prime: str, config: SampleConfig, *, echo: bool
) -> Iterator[str]:
    """Yield the characters of whole items, with what separates them between them.

    There are up to `config.length` characters after the first prime; only the first item is cut off
    there. The first prime comes first if `echo` is set, and otherwise not at all.
    """
    between, room = checkpoint.data.reading.between, config.length
    count = max(1, room)  # each item has a character or more
    limited = replace(config, length=count)
    writer = ItemWriter(checkpoint, prime, limited, rows=min(ROWS, count))
    known = len(writer.prime)
    for item in writer.draw(count):
        text = between + item.text if item.number else item.text[known:][:room]
        if item.number and len(text) > room:
            return
        if not item.number and echo:
            yield from writer.prime
        yield from text
        room -= len(text)


class ItemWriter:
    """Draws items of a model, each from the zero state and its own random numbers.

    Item k draws from the random numbers of (seed, k).
    """

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def __init__(
        self,
        checkpoint: Checkpoint,
        prime: str,
        config: SampleConfig,
        *,
        scored: bool = False,
        rows: int = ROWS,
    ) -> None:
        """Read the end symbol and the prime, with which every item begins.

        Items have up to `config.length` characters after the prime; `scored` requests their bits.
        Raises ConfigError, UnknownCharacterError.
        """
        end = end_symbol(checkpoint)
        if end is None or not has_items(checkpoint):
            raise ConfigError(
                "the model was trained on one text, not on items",
                hint="train a model of items with --documents lines",
            )
        if not config.length:
            raise ConfigError("an item has at least one character, so length must be above 0")
        self.prime = item_prime(prime, checkpoint.data.reading, checkpoint.vocab)
        self.vocab, self.config, self.scored = checkpoint.vocab, config, scored
        self.seed = random_seed() if config.seed is None else config.seed
        self.end_id, *prime_ids = self.vocab.encode(end + self.prime)
        self.engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
        self._rows = rows
        self.logits_1V = self.engine.step([self.end_id]).copy()
        self.prime_nats = 0.0
        for index in prime_ids:
            self.prime_nats -= float(log_softmax(self.logits_1V)[0, index])
            self.logits_1V = self.engine.step([index]).copy()
        possible_1V = self.logits_1V.copy()
        if not prime_ids:
            possible_1V[0, self.end_id] = -np.inf  # no item is empty
        self.unwritten = unwritten_id(checkpoint)
        self.first = filter_logits(possible_1V, config, self.unwritten)

    def draw(self, count: int, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Item]:
        """Yield the items 0 to `count` - 1 in this order, each when it and those before are whole.

        `should_stop` is called once per character; when it returns true, no other item follows.
        Raises FileFormatError if the model's numbers overflow.
        """
        batch = _Batch(self, range(count), min(self._rows, count))
        done, expected = dict[int, Item](), 0
        while expected < count:
            for item in batch.take():
                done[item.number] = item
            while expected in done:
                yield done.pop(expected)
                expected += 1
            if should_stop():
                return
            batch.step()


class _Batch:
    """R items in progress; a row whose item is complete begins the next one at once."""

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def __init__(self, writer: ItemWriter, numbers: Sequence[int], rows: int) -> None:
        self._writer, self._waiting = writer, iter(numbers)
        self._engine = writer.engine.select(np.zeros(rows, np.intp))
        self._numbers_R, self._ids_R = np.zeros(rows, np.int64), np.zeros(rows, np.intp)
        self._nats_R = np.zeros(rows)
        self._texts: list[list[int]] = [[] for _ in range(rows)]
        self._uniforms = _Uniforms(writer.seed, rows)
        self._complete: list[Item] = []
        self._begin(np.arange(rows))

    def take(self) -> list[Item]:
        """Remove and return the items that are complete."""
        complete, self._complete = self._complete, []
        return complete

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def step(self) -> None:
        """Draw a character of every item."""
        if not len(self._ids_R):
            return
        rows = np.arange(len(self._ids_R))
        logits_RV = self._engine.step(self._ids_R)
        kept_RK, ids_RK = filter_logits(logits_RV, self._writer.config, self._writer.unwritten)
        drawn_R = draw(kept_RK, self._uniforms.take(rows), ids_RK)
        self._begin(self._add(rows, drawn_R, logits_RV))

    def _begin(self, rows: Rows) -> None:
        """Begin the next items in these rows; rows for which there is none are removed."""
        writer = self._writer
        while len(rows):
            numbers = list(itertools.islice(self._waiting, len(rows)))
            if len(numbers) < len(rows):
                gone, rows = rows[len(numbers) :], rows[: len(numbers)]
                rows = self._remove(gone, rows)
                if not len(rows):
                    return
            self._engine.restart(rows, writer.engine)
            self._uniforms.restart(rows, numbers)
            self._numbers_R[rows], self._nats_R[rows] = numbers, writer.prime_nats
            for row in rows:
                self._texts[row] = []
            kept_1K, ids_1K = writer.first
            drawn = draw(
                kept_1K.repeat(len(rows), axis=0),
                self._uniforms.take(rows),
                None if ids_1K is None else ids_1K.repeat(len(rows), axis=0),
            )
            rows = self._add(rows, drawn, writer.logits_1V.repeat(len(rows), axis=0))

    def _add(self, rows: Rows, drawn: Sequence[int], logits_RV: npt.NDArray[np.float32]) -> Rows:
        """Append a drawn id to each of these rows, and return those whose items are complete."""
        writer, limit = self._writer, self._writer.config.length
        self._ids_R[rows] = drawn
        if writer.scored:
            scores_R = log_softmax(logits_RV)[np.arange(len(rows)), drawn].tolist()
        complete = []
        for place, (row, index) in enumerate(zip(rows.tolist(), drawn, strict=True)):
            text, ended = self._texts[row], index == writer.end_id
            is_over = len(text) == limit and not ended
            if writer.scored and not is_over:
                self._nats_R[row] -= scores_R[place]
            if ended or is_over:
                complete.append(row)
                self._complete.append(self._item(row, ended=ended))
            else:
                text.append(index)
        return np.array(complete, np.intp)

    def _item(self, row: int, *, ended: bool) -> Item:
        writer = self._writer
        return Item(
            number=int(self._numbers_R[row]),
            text=writer.prime + writer.vocab.decode(self._texts[row]),
            ended=ended,
            bits=float(self._nats_R[row]) / math.log(2) if writer.scored else None,
        )

    def _remove(self, gone: Rows, rows: Rows) -> Rows:
        """Remove some rows, and return the new places of others."""
        is_kept_R = np.ones(len(self._ids_R), bool)
        is_kept_R[gone] = False
        kept = np.flatnonzero(is_kept_R)
        self._engine, self._uniforms = self._engine.select(kept), self._uniforms.select(kept)
        self._numbers_R, self._ids_R = self._numbers_R[kept], self._ids_R[kept]
        self._nats_R, self._texts = self._nats_R[kept], [self._texts[row] for row in kept]
        places: Rows = np.searchsorted(kept, rows)
        return places


class _Uniforms:
    """The random numbers of R rows, in [0, 1), each row's as `sampling.uniforms` yields them."""

    def __init__(self, seed: int, rows: int) -> None:
        self._seed = seed
        self._streams: list[Any] = [None] * rows  # the `random_raw` of each row
        self._numbers_RB = np.zeros((rows, _BLOCK))
        self._used_R = np.full(rows, _BLOCK)

    def restart(self, rows: Rows, numbers: Sequence[int]) -> None:
        """Begin the random numbers of (seed, number) in each of these rows."""
        for row, number in zip(rows.tolist(), numbers, strict=True):
            words = derive_seed("sample", self._seed, number)
            self._streams[row] = np.random.PCG64(words).random_raw
        self._used_R[rows] = _BLOCK

    def take(self, rows: Rows) -> list[float]:
        """Return the next number of each of these rows."""
        for row in rows[self._used_R[rows] == _BLOCK].tolist():
            self._numbers_RB[row] = (self._streams[row](_BLOCK) >> np.uint64(11)) * 2.0**-53
            self._used_R[row] = 0
        taken: list[float] = self._numbers_RB[rows, self._used_R[rows]].tolist()
        self._used_R[rows] += 1
        return taken

    def select(self, rows: Rows) -> "_Uniforms":
        """Return the numbers of these rows alone."""
        other = _Uniforms(self._seed, len(rows))
        other._streams = [self._streams[row] for row in rows]
        other._numbers_RB, other._used_R = self._numbers_RB[rows], self._used_R[rows]
        return other

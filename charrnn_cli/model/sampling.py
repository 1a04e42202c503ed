"""Generating text with a model, character by character."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.document_ends import as_written
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import draw, filter_logits, log_softmax
from charrnn_cli.model.items import items_as_text
from charrnn_cli.model.reading import (
    as_read,
    end_symbol,
    from_beginning,
    has_items,
    unwritten_id,
)
from charrnn_cli.seeds import derive_seed, random_seed

# R rows · V vocabulary


def generate(
    checkpoint: Checkpoint,
    prime: str | None = None,
    config: SampleConfig | None = None,
    *,
    echo: bool = False,
    **settings: Any,
) -> Iterator[str]:
    """Return an iterator of `length` new characters that continue `prime`.

    With `echo`, the characters of a given prime come first. Without a prime, the model starts from
    `checkpoint.default_prime`. A model of several documents begins one with the prime; where it
    ends one, a newline follows, and the next begins. A model of items writes as many whole items as
    fit, with what separates them between them, and the prime begins every one. Line ends and
    Unicode of a prime are normalized as those of the training text were. Settings are those of
    `SampleConfig`. The same seed gives the same text on the same machine.
    Raises UnknownCharacterError if the prime has a character outside the vocabulary, ConfigError.
    """
    if config is not None and settings:
        raise ConfigError("pass either a SampleConfig or keyword settings, not both")
    config = config or SampleConfig(**settings)
    if has_items(checkpoint):
        return items_as_text(checkpoint, prime or "", config, echo=echo)
    writer = Writer(checkpoint, config)
    read = as_read(prime or checkpoint.default_prime, checkpoint.data.reading, checkpoint.vocab)
    writer.read(from_beginning(read, checkpoint))
    new = (as_written(drawn.characters[0], writer.end) for drawn in writer.write(config.length))
    return itertools.chain(read, new) if echo and prime else new


def shown_prime(checkpoint: Checkpoint) -> str:
    """Return the prime of samples without one, as it is shown: no end symbol."""
    return "" if end_symbol(checkpoint) else checkpoint.default_prime


@dataclass(frozen=True, slots=True)
class Drawn:
    """The characters drawn in one step, one per row."""

    characters: Sequence[str]
    """R characters."""
    log_probabilities: Sequence[float] | None
    """R numbers in nats, before temperature and filters; None unless requested."""


class Writer:
    """Reads and generates text in R rows, and keeps their state between calls.

    A new writer has one row. Row k draws from the random numbers of (seed, k).
    """

    def __init__(
        self, checkpoint: Checkpoint, config: SampleConfig, *, scored: bool = False
    ) -> None:
        """Start one row at the zero state; `scored` requests log-probabilities."""
        self.vocab, self.end = checkpoint.vocab, end_symbol(checkpoint)
        self._config, self._scored = config, scored
        self._unwritten = unwritten_id(checkpoint)
        self._engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
        self._seed = random_seed() if config.seed is None else config.seed
        self._uniforms = [uniforms(self._seed)]
        self._unread: list[int] = []  # R ids that the engine has not read yet
        self._logits_RV: npt.NDArray[np.float32] | None = None

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def read(self, text: str, check: Callable[[], None] = lambda: None) -> None:
        """Read a text in every row. Raises UnknownCharacterError.

        `check` is called before each character and may raise; what was read so far stays read.
        """
        for character_id in self.vocab.encode(text):
            check()
            self._step()
            self._unread = [character_id] * len(self._uniforms)

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def repeat(self, rows: Iterable[int]) -> "Writer":
        """Return a writer with rows of these numbers; each continues this writer's only row."""
        self._step()
        numbers = list(rows)
        other = object.__new__(Writer)
        other.vocab, other.end, other._unwritten = self.vocab, self.end, self._unwritten
        other._config, other._scored, other._seed = self._config, self._scored, self._seed
        other._engine, other._unread = self._engine.repeat(len(numbers)), []
        other._uniforms = [uniforms(self._seed, number) for number in numbers]
        assert self._logits_RV is not None
        other._logits_RV = np.repeat(self._logits_RV, len(numbers), axis=0)
        return other

    def write(self, length: int) -> Iterator[Drawn]:
        """Draw `length` characters per row. Call `read` first. Raises FileFormatError."""
        characters = self.vocab.characters
        for _ in range(length):
            self._unread, scores = self._draw()
            yield Drawn([characters[index] for index in self._unread], scores)

    @np.errstate(over="ignore", invalid="ignore")  # `draw` reports an overflow
    def _draw(self) -> tuple[list[int], list[float] | None]:
        """Return R ids and, if requested, their log-probabilities."""
        self._step()
        assert self._logits_RV is not None
        uniform_R = [next(stream) for stream in self._uniforms]
        logits_RK, ids_RK = filter_logits(self._logits_RV, self._config, self._unwritten)
        chosen_R = draw(logits_RK, uniform_R, ids_RK)
        if not self._scored:
            return chosen_R, None
        rows = np.arange(len(chosen_R))
        return chosen_R, log_softmax(self._logits_RV)[rows, chosen_R].tolist()

    def _step(self) -> None:
        # The last character is read only if another one follows it.
        if self._unread:
            self._logits_RV = self._engine.step(self._unread)
            self._unread = []


def uniforms(seed: int, row: int = 0) -> Iterator[float]:
    """Yield the random numbers of (seed, row), in [0, 1).

    They are the upper 53 bits of PCG64's raw stream, which numpy guarantees to keep.
    """
    random_raw = np.random.PCG64(derive_seed("sample", seed, row)).random_raw
    while True:
        for raw in random_raw(64).tolist():  # 0.2 us per number less than single calls
            yield (raw >> 11) * 2.0**-53

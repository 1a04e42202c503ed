"""Text from a model: one or several samples, drawn a character at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import draw, filter_logits, log_softmax
from charrnn_cli.seeds import derive_seed, random_seed

# R rows · V vocabulary


def generate(
    checkpoint: Checkpoint,
    prime: str | None = None,
    config: SampleConfig | None = None,
    **settings: Any,
) -> Iterator[str]:
    """Yield `length` new characters, drawn after `prime` was read; the prime itself is not yielded.

    Settings are SampleConfig's. The same seed gives the same text on the same machine.
    Raises UnknownCharacterError for a prime with a character that the model never saw, ConfigError.
    """
    if config is not None and settings:
        raise ConfigError("give either a SampleConfig or settings by name")
    config = config or SampleConfig(**settings)
    writer = Writer(checkpoint, config)
    writer.read(prime or checkpoint.default_prime)
    return (drawn.characters[0] for drawn in writer.write(config.length))


@dataclass(frozen=True, slots=True)
class Drawn:
    """One character a row."""

    characters: Sequence[str]
    log_probabilities: Sequence[float] | None
    """In nats, under the model itself: before temperature and filters. None unless asked for."""


class Writer:
    """Reads and writes text, and keeps the model's state in between.

    Row k of several is drawn from the random numbers of (seed, k).
    """

    def __init__(
        self, checkpoint: Checkpoint, config: SampleConfig, *, scored: bool = False
    ) -> None:
        self.vocab = checkpoint.vocab
        self._config, self._scored = config, scored
        self._engine = Engine(checkpoint.model, checkpoint.weights)
        self._seed = random_seed() if config.seed is None else config.seed
        self._uniforms = [uniforms(self._seed)]
        self._unread: list[int] = []  # ids that the engine has still to be fed, a row each
        self._logits_RV: npt.NDArray[np.float32] | None = None

    def read(self, text: str) -> None:
        """Take in a text; of several rows, each. Raises UnknownCharacterError."""
        for character_id in self.vocab.encode(text):
            self._step()
            self._unread = [character_id] * len(self._uniforms)

    def repeat(self, rows: Iterable[int]) -> "Writer":
        """These rows of a set of samples, each going on from what the only row has read."""
        self._step()
        numbers = list(rows)
        other = object.__new__(Writer)
        other.vocab, other._config, other._scored, other._seed = (
            self.vocab,
            self._config,
            self._scored,
            self._seed,
        )
        other._engine, other._unread = self._engine.repeat(len(numbers)), []
        other._uniforms = [uniforms(self._seed, number) for number in numbers]
        assert self._logits_RV is not None
        other._logits_RV = np.repeat(self._logits_RV, len(numbers), axis=0)
        return other

    def write(self, length: int) -> Iterator[Drawn]:
        """Draw so many characters a row; something must have been read before."""
        characters = self.vocab.characters
        for _ in range(length):
            self._step()
            assert self._logits_RV is not None
            uniform_R = [next(stream) for stream in self._uniforms]
            chosen_R = draw(filter_logits(self._logits_RV, self._config), uniform_R)
            scores = None
            if self._scored:
                rows = np.arange(len(chosen_R))
                scores = log_softmax(self._logits_RV)[rows, chosen_R].tolist()
            self._unread = chosen_R
            yield Drawn([characters[index] for index in chosen_R], scores)

    def _step(self) -> None:
        # The last character of a text is fed when something is to follow it, and not in vain.
        if self._unread:
            self._logits_RV = self._engine.step(self._unread)
            self._unread = []


def uniforms(seed: int, row: int = 0) -> Iterator[float]:
    """Numbers in [0, 1) of (seed, row): the upper 53 bits of PCG64's raw stream, which numpy keeps for ever."""
    random_raw = np.random.PCG64(derive_seed("sample", seed, row)).random_raw
    while True:
        yield (int(random_raw()) >> 11) * 2.0**-53

"""Text from a model: filters on logits, and the loop that draws one character after another."""

import math
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.checkpoint import Checkpoint
from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.inference import Engine

# V vocabulary

Logits = npt.NDArray[np.float64]
"""Shape (V,); a character that is filtered out has -inf."""


def generate(
    checkpoint: Checkpoint, prime: str | None = None, config: SampleConfig | None = None, **settings: Any
) -> Iterator[str]:
    """Yield `length` new characters, drawn after `prime` was read; the prime itself is not yielded.

    Settings are SampleConfig's. The same seed gives the same text on the same machine.
    Raises UnknownCharacterError for a prime with a character that the model never saw, ConfigError.
    """
    if config is not None and settings:
        raise ConfigError("give either a SampleConfig or settings by name")
    config = config or SampleConfig(**settings)
    prime_ids = checkpoint.vocab.encode(prime or checkpoint.default_prime)
    return _generate(Engine(checkpoint.model, checkpoint.weights), checkpoint.vocab.characters, prime_ids, config)


def _generate(engine: Engine, characters: str, prime_ids: list[int], config: SampleConfig) -> Iterator[str]:
    uniform = uniforms(random_seed() if config.seed is None else config.seed)
    logits_V = engine.feed(prime_ids)
    for _ in range(config.length):
        assert logits_V is not None
        chosen = draw(filter_logits(logits_V, config), next(uniform))
        yield characters[chosen]
        logits_V = engine.step(chosen)


def random_seed() -> int:
    """A fresh seed, short enough to type."""
    return secrets.randbelow(2**32)


def uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1): the upper 53 bits of PCG64's raw stream, which numpy keeps for ever."""
    random_raw = np.random.PCG64(seed).random_raw
    while True:
        yield (int(random_raw()) >> 11) * 2.0**-53


def filter_logits(logits_V: npt.NDArray[np.floating[Any]], config: SampleConfig) -> Logits:
    """Temperature, top-k, top-p and min-p, in that order."""
    logits = logits_V.astype(np.float64)
    if config.temperature == 0:
        return keep_top_k(logits, 1)
    logits = apply_temperature(logits, config.temperature)
    if config.top_k:
        logits = keep_top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = keep_top_p(logits, config.top_p)
    if config.min_p > 0:
        logits = keep_min_p(logits, config.min_p)
    return logits


def apply_temperature(logits_V: Logits, temperature: float) -> Logits:
    """Divide by the temperature, the largest logit moved to 0 first so that none overflows."""
    with np.errstate(over="ignore"):  # -1 / 1e-320 is -inf, and right
        scaled_V: Logits = (logits_V - logits_V.max()) / temperature
    return scaled_V


def keep_top_k(logits_V: Logits, k: int) -> Logits:
    """Mask all but the k largest; when values tie, exactly k stay, those of lower id."""
    if k >= len(logits_V):
        return logits_V
    kept = np.argsort(-logits_V, kind="stable")[:k]
    return _keep(logits_V, kept)


def keep_top_p(logits_V: Logits, p: float) -> Logits:
    """Mask all but the likeliest whose probabilities reach p; the one that reaches it stays."""
    order = np.argsort(-logits_V, kind="stable")
    reached = np.searchsorted(np.cumsum(softmax(logits_V)[order]), p)
    return _keep(logits_V, order[: int(reached) + 1])


def keep_min_p(logits_V: Logits, p: float) -> Logits:
    """Mask what is less than p times as likely as the likeliest."""
    return np.where(logits_V >= logits_V.max() + math.log(p), logits_V, -np.inf)


def softmax(logits_V: Logits) -> Logits:
    weights_V: Logits = np.exp(logits_V - logits_V.max())
    weights_V /= weights_V.sum()
    return weights_V


def draw(logits_V: Logits, uniform: float) -> int:
    """Inverse of the cumulative distribution at `uniform` in [0, 1)."""
    cumulative_V = np.cumsum(np.exp(logits_V - logits_V.max()))
    chosen = int(np.searchsorted(cumulative_V, uniform * cumulative_V[-1], side="right"))
    if chosen < len(logits_V) and logits_V[chosen] > -np.inf:
        return chosen
    return int(np.flatnonzero(logits_V > -np.inf)[-1])  # the product above was rounded up to the whole sum


def _keep(logits_V: Logits, kept: npt.NDArray[np.intp]) -> Logits:
    masked_V = np.full_like(logits_V, -np.inf)
    masked_V[kept] = logits_V[kept]
    return masked_V

"""Text from a model: seeds, primes and rows."""

import numpy as np
import pytest

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.sampling import Writer, generate, uniforms
from charrnn_cli.seeds import derive_seed
from tests.helpers import make_checkpoint


def test_uniforms_are_pcg64s() -> None:
    """The random numbers are those that numpy's generator makes of the same stream."""
    stream = uniforms(42)
    generator = np.random.Generator(np.random.PCG64(derive_seed("sample", 42, 0)))
    expected = generator.random(3).tolist()
    assert [next(stream) for _ in range(3)] == expected


def test_greedy_is_top_1() -> None:
    """Temperature 0 and top-k 1 choose the same characters."""
    checkpoint = make_checkpoint()
    cold = "".join(generate(checkpoint, "a", length=60, temperature=0))
    assert cold == "".join(generate(checkpoint, "a", length=60, top_k=1))


def test_the_seed_decides() -> None:
    """One seed always gives the same text, and another seed another text."""
    checkpoint = make_checkpoint(scale=0.1)
    texts = ["".join(generate(checkpoint, "a", length=200, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert [len(text) for text in texts] == [200] * 3


def test_generate_checks_before_it_draws() -> None:
    """An unknown character and mixed settings fail at the call, not at the first character."""
    checkpoint = make_checkpoint()
    with pytest.raises(UnknownCharacterError):
        generate(checkpoint, "Ω")
    with pytest.raises(ConfigError) as caught:
        generate(checkpoint, "a", SampleConfig(), length=3)
    assert caught.value.message == "pass either a SampleConfig or keyword settings, not both"


def test_the_prime_may_come_first() -> None:
    """With echo, a given prime precedes the same characters as without; a default one does not."""
    checkpoint = make_checkpoint()
    plain = list(generate(checkpoint, "ab\r\n", length=9, seed=1))
    assert list(generate(checkpoint, "ab\r\n", length=9, seed=1, echo=True)) == [*"ab\n", *plain]
    assert len(list(generate(checkpoint, length=9, echo=True))) == 9


def test_the_default_prime() -> None:
    """The default prime is a newline if the model knows it, else the most frequent character."""
    assert make_checkpoint().default_prime == "\n"
    assert make_checkpoint(characters="ab cdefgh").default_prime == " "


def test_rows_are_drawn_side_by_side() -> None:
    """Row k draws from (seed, k), whatever rows are beside it; row 0 equals a single sample.

    The texts are short, because products of several rows are rounded differently, and after many
    characters a draw may depend on that.
    """
    checkpoint = make_checkpoint(scale=0.1)
    config = SampleConfig(seed=3, top_k=0)
    writer = Writer(checkpoint, config)
    writer.read("abc")
    rows = list(
        zip(*(drawn.characters for drawn in writer.repeat(range(3)).write(30)), strict=True)
    )
    assert list(rows[0]) == list(generate(checkpoint, "abc", config))[:30]
    assert len(set(rows)) == 3
    later = writer.repeat([2, 5]).write(30)
    assert [drawn.characters[0] for drawn in later] == list(rows[2])


def test_reading_and_writing_take_turns() -> None:
    """Reading, writing and reading again leaves the same state as one long prime."""
    checkpoint = make_checkpoint(scale=0.1)
    one = Writer(checkpoint, SampleConfig(seed=1))
    one.read("ab")
    first = "".join(drawn.characters[0] for drawn in one.write(20))
    one.read("cd")
    second = [drawn.characters[0] for drawn in one.write(20)]
    other = Writer(checkpoint, SampleConfig(seed=1))
    other.read("ab")
    list(other.write(20))  # the same random numbers
    again = Writer(checkpoint, SampleConfig(seed=1))
    again._uniforms = other._uniforms
    again.read("ab" + first + "cd")
    assert [drawn.characters[0] for drawn in again.write(20)] == second


def test_log_probabilities_are_the_models_own() -> None:
    """Log-probabilities are in nats, before temperature and filters."""
    checkpoint = make_checkpoint(scale=0.1)
    writer = Writer(checkpoint, SampleConfig(seed=1, temperature=0.3, top_k=2), scored=True)
    writer.read("a")
    engine, previous = Engine(checkpoint.model, checkpoint.weights), "a"
    for drawn in writer.write(30):
        log_probabilities = log_softmax(engine.step(checkpoint.vocab.encode(previous)))[0]
        previous = drawn.characters[0]
        assert drawn.log_probabilities is not None
        assert drawn.log_probabilities[0] == pytest.approx(
            log_probabilities[checkpoint.vocab.encode(previous)[0]]
        )

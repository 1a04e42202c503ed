"""The samples that training shows of models of documents."""

from dataclasses import replace

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.events import Sampled
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.items import generate_items
from charrnn_cli.text.corpus import Corpus
from tests.helpers import TINY, of_type, run_training, tiny_job

CONFIG = replace(TINY, max_steps=20, eval_every=20, sample_every=20)
ITEMS = ["ab", "ba", "aab", "bab", "b", "abba"] * 20


@pytest.mark.parametrize("prime", ["", "ab"])
def test_samples_are_whole_items(prime: str) -> None:
    """A sample has as many whole items as fit into 200 characters; the prime begins each."""
    config = replace(CONFIG, sample_prime=prime or None)
    (sampled,) = of_type(run_training(Corpus.from_items(ITEMS), config, ngram=0), Sampled)
    lines = f"{sampled.prime}{sampled.text}".split("\n")
    expected = generate_items(load_checkpoint("run"), prime, count=200, length=200, seed=5)
    assert lines == [item.text for item in expected][: len(lines)]
    assert (sampled.prime, len(lines) > 1) == (prime, True)
    assert len(sampled.text) <= 200


def test_samples_begin_documents() -> None:
    """A sample of a model of files begins one, and shows no end symbol."""
    reading = TextOptions()
    corpus = Corpus.from_documents(["abc abd " * 20, "abd " * 40], reading, "files")
    (sampled,) = of_type(run_training(corpus, CONFIG, ngram=0), Sampled)
    assert (sampled.prime, len(sampled.text)) == ("", 200)
    assert "\x03" not in sampled.text


def test_a_prime_of_several_items() -> None:
    """A prime that holds an end is an error before training."""
    with pytest.raises(ConfigError, match=r"^the prime is more than one item$"):
        tiny_job(Corpus.from_items(ITEMS), replace(CONFIG, sample_prime="a\nb"))

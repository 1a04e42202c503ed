"""How much of a model's samples stands in a text."""

import pytest

from charrnn_cli.config import SampleConfig
from charrnn_cli.model import memorized_samples
from charrnn_cli.model.memorized_samples import LENGTH, SAMPLES, compare_samples, draw
from charrnn_cli.model.samples import draw_samples
from charrnn_cli.model.sampling import Writer
from charrnn_cli.text.corpus import Corpus
from tests.helpers import STORY, make_checkpoint

MINUTE = 60.0


def test_the_samples_are_those_of_the_command() -> None:
    """The samples are those of `charrnn sample --count 16 -n 320` at the same seed."""
    checkpoint = make_checkpoint()
    writer = Writer(checkpoint, SampleConfig(length=LENGTH, seed=3))
    writer.read("\n")
    expected = [""] * SAMPLES
    for piece in draw_samples(writer, LENGTH, SAMPLES):
        expected[piece.sample] += piece.text
    assert draw(checkpoint, 3, MINUTE) == expected


def test_too_little_time_shortens_the_samples() -> None:
    """Without time, each sample has one character, and the result says how many were compared."""
    found = compare_samples(make_checkpoint(), Corpus.from_text(STORY), [(0, 500)], 3, -1.0)
    assert found is not None
    assert (found.characters, found.compared) == (SAMPLES, 500)


def test_copies_are_found() -> None:
    """The share counts characters of samples in long spans of the text, of all that were drawn."""
    corpus = Corpus.from_text("".join(chr(200 + index) for index in range(1000)))
    text = "".join(corpus.text())
    samples = [text[100:140] + "x" * 60, text[300:350] + "y" * 50]
    found = memorized_samples._compare(samples, corpus, [(0, len(corpus))])
    assert (found.characters, found.longest) == (200, 50)
    assert found.share == pytest.approx(0.45)
    # What ends one sample and what begins the next one are no span.
    found = memorized_samples._compare([text[:20], text[20:40]], corpus, [(0, len(corpus))])
    assert (found.share, found.longest) == (0.0, 20)
    found = memorized_samples._compare(samples, corpus, [(0, 200)])
    assert found.share == pytest.approx(0.2)


def test_a_long_text_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a longer text than is compared, parts are read that are spread over all of it."""
    monkeypatch.setattr(memorized_samples, "MOST_COMPARED", 1_000)
    corpus = Corpus.from_text(STORY)
    found = compare_samples(make_checkpoint(), corpus, [(0, len(corpus))], 3, -1.0)
    assert found is not None
    assert found.compared == 1_000

"""Leaving characters out of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.text import selection
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.selection import without_unknown
from charrnn_cli.text.vocab import Vocab


@given(text=st.text("abcd", min_size=1, max_size=40), known=st.sets(st.sampled_from("abcx")))
@pytest.mark.parametrize("block", [1, 3, 4096])
def test_any_stretch_is_that_of_the_filtered_text(block: int, text: str, known: set[str]) -> None:
    """Every stretch reads as a slice of the text without the unknown characters."""
    expected = "".join(character for character in text if character in known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "BLOCK", block)
        corpus, left_out = without_unknown(Corpus.from_text(text), Vocab("".join(sorted(known))))
        assert left_out == len(text) - len(expected)
        assert len(corpus) == len(expected)
        for start in range(len(expected) + 1):
            for stop in range(start, len(expected) + 1):
                ids = corpus.read(start, stop).tolist()
                assert corpus.vocab.decode(ids) == expected[start:stop]
    counts = dict(zip(corpus.vocab.characters, corpus.counts_V.tolist(), strict=True))
    assert counts == {character: text.count(character) for character in counts}


def test_a_known_text_stays_as_it_is() -> None:
    """Without unknown characters, the corpus itself is returned."""
    corpus = Corpus.from_text("abba", "story")
    assert without_unknown(corpus, Vocab("abc")) == (corpus, 0)

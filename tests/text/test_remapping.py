"""A text in the ids of another vocabulary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.text import remapping
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.text.vocab import Vocab

CHARACTERS = "\n abcdefgh"
TEXT = "a bad cab had a bead\n" * 20


def test_a_text_is_read_with_the_models_ids() -> None:
    """A text with another vocabulary gets the model's ids; one with the same vocabulary stays."""
    vocab = Vocab(CHARACTERS)
    corpus = in_vocabulary(Corpus.from_text("head"), vocab)
    assert corpus.read(0, 4).tolist() == vocab.encode("head")
    assert "".join(corpus.text()) == "head"
    assert corpus.counts_V.tolist() == [0, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    same = Corpus.from_text(TEXT)
    assert in_vocabulary(same, Vocab.from_text(TEXT)) is same


def test_unknown_characters_are_named() -> None:
    """The error names five characters that the model lacks, and the option that skips them."""
    with pytest.raises(UnknownCharacterError) as caught:
        in_vocabulary(Corpus.from_text("aÀÁÂÃÄÅ", "name"), Vocab(CHARACTERS))
    assert caught.value.message == (
        "the text 'name' has characters that the model's vocabulary lacks: "
        "'À' (U+00C0), 'Á' (U+00C1), 'Â' (U+00C2), 'Ã' (U+00C3), 'Ä' (U+00C4) and 1 more"
    )
    assert caught.value.hint == (
        "skip them with --unknown skip, or use a model trained on a text that has them"
    )


@given(st.lists(st.text("abxy", max_size=9), min_size=1, max_size=4), st.data())
def test_unknown_characters_are_skipped(documents: list[str], data: st.DataObject) -> None:
    """Any stretch of the text, its counts and the starts of its documents fit what is left."""
    text, kept = "".join(documents), [document.translate(SKIPPED) for document in documents]
    whole = Corpus.from_text(text)
    starts = np.cumsum([0, *map(len, documents[:-1])])
    source = Corpus(whole.vocab, whole.counts_V, whole.read, whole.header, whole.sha256, starts)
    expected = "".join(kept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remapping, "BLOCK", data.draw(st.integers(1, 4)))
        patch.setattr(remapping, "BLOCKS_PER_PIECE", data.draw(st.integers(1, 3)))
        corpus = in_vocabulary(source, Vocab(CHARACTERS), skipped="xy")
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(expected))] * 2)))
        ids = corpus.read(start, stop).tolist()
    assert corpus.vocab.decode(ids) == expected[start:stop]
    assert len(corpus) == len(expected)
    assert corpus.counts_V.tolist() == [expected.count(character) for character in CHARACTERS]
    assert corpus.starts_D.tolist() == np.cumsum([0, *map(len, kept[:-1])]).tolist()


SKIPPED = str.maketrans("", "", "xy")

"""Which documents of a list are held out."""

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.config import END_OF_DOCUMENT, TextOptions, TrainConfig
from charrnn_cli.errors import TextError
from charrnn_cli.text import item_split
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.text.item_split import document_hashes, held_out_documents, item_hash
from charrnn_cli.text.splits import matching_rows, split_corpus, symbol_frequencies

ITEMS = st.lists(st.text("abcé漢😀", min_size=1, max_size=6), min_size=2, max_size=60)


def held_out(items: list[str], fraction: float = 0.3) -> tuple[set[str], set[str]]:
    """Return the different items that are trained on, and those that are held out."""
    corpus = Corpus.from_items(items)
    split = split_corpus(corpus, TrainConfig(val_fraction=fraction))
    text = corpus.vocab.decode(corpus.read(0, len(corpus)).tolist())
    trained = [text[start:stop] for start, stop in split.train]
    assert all(each[0] == each[-1] == "\n" for each in trained)
    held = [text[start:stop] for start, stop in split.val]
    assert split.val_characters == sum(map(len, held))
    assert split.train_characters == sum(len(each) - 1 for each in trained)
    assert sorted([*(each[1:] for each in trained), *held]) == sorted(f"{i}\n" for i in items)
    return {each[1:-1] for each in trained}, {each[:-1] for each in held}


@given(ITEMS, st.randoms(use_true_random=False))
def test_the_split_is_one_of_items(items: list[str], random: object) -> None:
    """No item is on both sides, in any order, and a list that grows keeps its split."""
    if len(set(items)) < 2:
        return
    trained, held = held_out(items)
    assert trained
    assert held
    assert not trained & held
    shuffled = items.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert held_out(shuffled) == (trained, held)
    grown, kept = held_out([*items, *map(str, range(50))])
    is_below = {each for each in items if item_hash(each) < 0.3 * 2**64}
    if is_below and is_below != set(items):
        assert held <= kept
        assert trained <= grown


@given(ITEMS, st.integers(1, 9))
def test_hashes_are_those_of_the_items(items: list[str], chunk: int) -> None:
    """The hash of a document is the first 8 bytes of its BLAKE2b, wherever pieces end."""
    corpus = Corpus.from_items(items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_split, "CHUNK_CHARACTERS", chunk)
        found = document_hashes(corpus).tolist()
    assert found == [int.from_bytes(blake2b(each.encode()).digest()[:8], "big") for each in items]
    assert found == list(map(item_hash, items))


def test_the_fraction_is_about_right() -> None:
    """A tenth of many items is held out."""
    trained, held = held_out([str(number) for number in range(4_000)], 0.1)
    assert 330 < len(held) < 470
    assert len(trained) + len(held) == 4_000


def test_one_different_item_cannot_be_split() -> None:
    """Copies of one item are never on both sides."""
    with pytest.raises(TextError) as caught:
        held_out(["anna"] * 9)
    assert caught.value.message == "validation needs at least 2 different documents"
    assert caught.value.hint == "train without validation: --val-fraction 0"
    corpus = Corpus.from_items(["anna"] * 9)
    assert not split_corpus(corpus, TrainConfig(val_fraction=0)).val


def test_extreme_hashes() -> None:
    """At least one document is on each side, whatever the fraction."""
    hashes_D = np.array([5, 2**63, 2**64 - 1], np.uint64)
    assert held_out_documents(hashes_D, 1e-30).tolist() == [True, False, False]
    assert held_out_documents(hashes_D, 0.999).tolist() == [True, True, False]


def test_many_files_are_held_out_whole(tmp_path: Path) -> None:
    """With 200 files or more, files are held out; with fewer, the end of the text."""
    for number in range(200):
        (tmp_path / f"{number:03}.txt").write_text(f"the file {number}")
    options = TextOptions()
    many = encode_text(tmp_path, tmp_path / "many.safetensors", options)
    split = split_corpus(many, TrainConfig())
    assert split.whole_documents
    assert many.end == END_OF_DOCUMENT
    (tmp_path / "000.txt").unlink()
    few = encode_text(tmp_path, tmp_path / "few.safetensors", options)
    split = split_corpus(few, TrainConfig())
    assert not split.whole_documents
    ends = [few.read(stop - 1, stop)[0] for _, stop in split.train]
    assert ends[:-1] == [few.vocab.encode(END_OF_DOCUMENT)[0]] * (len(ends) - 1)
    scored = sum(stop - start for start, stop in [*split.train, *split.val])
    # Every character and every end is scored once; each document begins with a shared symbol.
    assert scored - len(split.train) == len(few) - 1


def test_matching_items_are_whole() -> None:
    """The train loss is that of whole items, spread over the list."""
    corpus = Corpus.from_items([f"{number:05}" for number in range(2_000)])
    split = split_corpus(corpus, TrainConfig())
    rows = matching_rows(split)
    assert len(rows) == len(split.val)
    assert {stop - start for start, stop in rows} == {6}
    trained = {(start + 1, stop) for start, stop in split.train}
    assert trained.issuperset(rows)
    assert rows[0][0] < 100
    assert rows[-1][0] > 0.95 * len(corpus)


def test_frequencies_are_those_of_the_training_items() -> None:
    """The frequencies of symbols leave out the held-out items."""
    corpus = Corpus.from_items([f"{number:04}" for number in range(100)])
    split = split_corpus(corpus, TrainConfig(val_fraction=0.5))
    counts_V = np.ones(len(corpus.vocab))
    for start, stop in split.train:
        counts_V += np.bincount(corpus.read(start + 1, stop), minlength=len(counts_V))
    counts_V[corpus.vocab.encode("\n")[0]] += 1  # before the first item
    np.testing.assert_allclose(symbol_frequencies(corpus, split), counts_V / counts_V.sum())

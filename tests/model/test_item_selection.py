"""Conditions on items, and the fractions that are whole, different and new."""

import re

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model.item_selection import ItemConditions, ItemSelection, likeliest_first
from charrnn_cli.model.items import Item
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.item_split import item_hash
from charrnn_cli.text.known_items import KnownItems

WORDS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=30)


def items_of(words: list[str]) -> list[Item]:
    return [Item(number, word, number % 3 > 0, 1.0) for number, word in enumerate(words)]


@given(
    words=WORDS,
    known=st.none() | WORDS.filter(bool),
    unique=st.booleans(),
    lowest=st.integers(0, 3),
    highest=st.none() | st.integers(2, 4),
    pattern=st.sampled_from([None, "a", "^ab$", "^b", "(ab)+"]),
)
def test_the_selection(
    words: list[str],
    known: list[str] | None,
    unique: bool,
    lowest: int,
    highest: int | None,
    pattern: str | None,
) -> None:
    """An item is kept if it meets all conditions; the counts are of all items."""
    conditions = ItemConditions(
        unique=unique,
        known=None if known is None else KnownItems([Corpus.from_items(known)]),
        min_length=lowest,
        max_length=highest,
        match=None if pattern is None else re.compile(pattern),
    )
    selection = ItemSelection(conditions)
    kept = [item.text for item in items_of(words) if selection.add(item)]
    expected = [
        word
        for number, word in enumerate(words)
        if not (unique and word in words[:number])
        and not (known and word in known)
        and lowest <= len(word) <= (highest or 9)
        and (pattern is None or re.search(pattern, word))
    ]
    assert kept == expected
    assert (selection.drawn, selection.kept) == (len(words), len(kept))
    assert selection.ended == sum(number % 3 > 0 for number in range(len(words)))
    assert selection.unique == len(set(words))
    assert selection.new == len(set(words) - set(known or ()))
    assert selection.is_compared == (known is not None)


def test_no_conditions() -> None:
    """Without conditions, every item is kept."""
    assert ItemConditions().are_none
    assert not ItemConditions(min_length=1).are_none


@given(words=WORDS.filter(bool), others=WORDS.filter(bool))
def test_known_items(words: list[str], others: list[str]) -> None:
    """The items of several lists are known, and no others."""
    known = KnownItems(map(Corpus.from_items, (words, others)))
    assert len(known) == len({*words, *others})
    for word in (*words, *others, "c"):
        assert (item_hash(word) in known) == (word in words or word in others)


def test_no_list() -> None:
    """No item is known without lists."""
    assert item_hash("a") not in KnownItems([])


@given(bits=st.lists(st.integers(0, 3)))
def test_the_likeliest_come_first(bits: list[int]) -> None:
    """Items of equal bits keep their order."""
    items = [Item(number, "a", True, float(each)) for number, each in enumerate(bits)]
    ordered = likeliest_first(items)
    assert [(item.bits, item.number) for item in ordered] == sorted(
        (item.bits or 0.0, item.number) for item in items
    )

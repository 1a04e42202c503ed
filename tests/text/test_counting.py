"""Counts of characters."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.text.counting import CharacterCounts
from charrnn_cli.text.symbol_table import code_points

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def counts_of(text: str) -> CharacterCounts:
    """Count ASCII as bytes and other text as code points, as texts are read."""
    counts = CharacterCounts()
    counts.add_codes(code_points(text.encode() if text.isascii() else text))
    return counts


def as_dict(counts: CharacterCounts) -> dict[str, int]:
    return {chr(code): int(counts.counts[code]) for code in counts.counts.nonzero()[0]}


@given(TEXTS, TEXTS, TEXTS)
def test_counts_add_up(one: str, two: str, three: str) -> None:
    """Counts of parts add up to the counts of the whole, and can be cleared and used again."""
    part, whole = counts_of(two), counts_of(one)
    whole.add(part)
    part.clear()
    part.add(whole)
    part.add(counts_of(three))
    text = one + two + three
    assert part.total == len(text)
    assert as_dict(part) == {character: text.count(character) for character in text}
    whole.add(part)
    whole.clear()
    assert (whole.total, as_dict(whole)) == (0, {})

"""Which characters are drawn together: a base character, and what combines with it."""

import unicodedata
from collections.abc import Iterator

MAX_CLUSTER = 32  # characters; hostile text has marks without end
_JOINER = "\u200d"  # also joins the character after it
_EXTENDING = frozenset("\u200c\u200d\u200e\u200f\u061c")  # without a width of their own
_ALONE = "\n\t"


def combines(cluster: str, character: str) -> bool:
    """Return whether a character is drawn in the place of the cluster before it."""
    if not cluster or cluster in _ALONE or len(cluster) >= MAX_CLUSTER:
        return False
    if character in _ALONE:
        return False
    return (
        cluster.endswith(_JOINER)
        or character in _EXTENDING
        or unicodedata.category(character).startswith("M")  # marks; variation selectors, too
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
    )


def clusters(text: str) -> Iterator[str]:
    """Yield the clusters of a text, which add up to it."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not combines(text[start:place], text[place]):
            yield text[start:place]
            start = place

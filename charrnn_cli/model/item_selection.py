"""Which drawn items to keep, and how many of all are whole, different and new."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from charrnn_cli.model.items import Item
from charrnn_cli.text.item_split import item_hash
from charrnn_cli.text.known_items import KnownItems


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemConditions:
    """What items must be to be kept."""

    unique: bool = False
    """Whether only the first of equal items is kept."""
    known: KnownItems | None = None
    """Items that are not kept; None if there is nothing to compare with."""
    min_length: int = 0
    max_length: int | None = None
    match: re.Pattern[str] | None = None
    """A pattern that must be found in an item."""

    @property
    def are_none(self) -> bool:
        """Whether every item is kept."""
        return self == ItemConditions()

    def admit(self, text: str) -> bool:
        """Return whether an item that is unique and new is kept."""
        return (
            self.min_length <= len(text)
            and (self.max_length is None or len(text) <= self.max_length)
            and (self.match is None or self.match.search(text) is not None)
        )


class ItemSelection:
    """Items that are drawn one after the other: counts all, and says which to keep.

    Different items are told apart by their hashes. The fractions of different items, and of new
    ones among them, are uniqueness and novelty as MOSES defines them (Polykovskiy et al. 2020).
    """

    def __init__(self, conditions: ItemConditions) -> None:
        self._conditions = conditions
        self._hashes = set[int]()
        self.drawn = self.ended = self.new = self.kept = 0

    @property
    def unique(self) -> int:
        """Number of different items."""
        return len(self._hashes)

    @property
    def is_compared(self) -> bool:
        """Whether there are items to compare with, so that `new` has a meaning."""
        return self._conditions.known is not None

    def add(self, item: Item) -> bool:
        """Count an item, and return whether to keep it."""
        conditions, digest = self._conditions, item_hash(item.text)
        is_first = digest not in self._hashes
        self._hashes.add(digest)
        is_new = conditions.known is None or digest not in conditions.known
        self.drawn += 1
        self.ended += item.ended
        self.new += is_first and is_new
        is_kept = is_new and (is_first or not conditions.unique) and conditions.admit(item.text)
        self.kept += is_kept
        return is_kept


def likeliest_first(items: Sequence[Item]) -> list[Item]:
    """Sort items that were scored by their bits; items of equal bits keep their order."""
    return sorted(items, key=lambda item: item.bits or 0.0)

"""Items of lists by their hashes, to find out whether another item is among them."""

from collections.abc import Iterable

import numpy as np

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.item_split import document_hashes

# K different items


class KnownItems:
    """The items of several lists; `in` takes an `item_hash`.

    Items are whole, and they are equal if their hashes of 64 bits are.
    """

    def __init__(self, lists: Iterable[Corpus]) -> None:
        """Read texts that have end symbols. Raises as `Corpus.read` does."""
        hashes = [document_hashes(corpus) for corpus in lists]
        self._hashes_K = np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))

    def __len__(self) -> int:
        return len(self._hashes_K)

    def __contains__(self, digest: int) -> bool:
        place = int(self._hashes_K.searchsorted(np.uint64(digest)))
        return place < len(self._hashes_K) and int(self._hashes_K[place]) == digest

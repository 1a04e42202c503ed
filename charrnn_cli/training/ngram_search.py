"""Contexts and pairs of n-grams, found by their keys on a device."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn_cli.model.ngrams import NgramModel

# N positions · K highest order · C contexts and P pairs of one order

FULL_DISCOUNT = 4
"""The lowest count whose discount stays the same when it is lower by 1."""

_SIGN = -(1 << 63)


class NgramSearch:
    """The sorted keys of an n-gram model on a device; see `Pairs`.

    Contexts of all orders are numbered together, the shortest first; 0 is none of them.
    """

    def __init__(self, ngrams: NgramModel, device: torch.device) -> None:
        self.order, self.vocabulary_size = ngrams.order, ngrams.vocabulary_size
        orders = ngrams.orders
        self.contexts = [_on(device, pairs.contexts.view(np.int64)) for pairs in orders]
        # torch compares signed numbers only. A context's key has a digit less, so it has no sign.
        self._pairs = [_on(device, pairs.keys.view(np.int64) ^ _SIGN) for pairs in orders]
        counts = [np.minimum(pairs.counts, FULL_DISCOUNT).astype(np.uint8) for pairs in orders]
        self._counts = [_on(device, counts_P) for counts_P in counts]
        sizes = [len(pairs.contexts) for pairs in orders]
        self.offsets = [1 + sum(sizes[:length]) for length in range(self.order)]
        self.num_contexts = 1 + sum(sizes)

    def context_numbers(self, length: int, keys_N: Tensor) -> Tensor:
        """Return the numbers of contexts of `length` characters, (N,); 0 for those never seen."""
        places_N, is_seen_N = _find(self.contexts[length], keys_N)
        return torch.where(is_seen_N, places_N + self.offsets[length], 0)

    def counts(self, length: int, keys_N: Tensor, ids_N: Tensor) -> Tensor:
        """Return the counts of characters after contexts, at most 4, (N,); 0 if never seen."""
        wanted_N = (keys_N * self.vocabulary_size + ids_N) ^ _SIGN
        places_N, is_seen_N = _find(self._pairs[length], wanted_N)
        counts_P = self._counts[length]
        if not len(counts_P):
            return torch.zeros_like(places_N)
        return torch.where(is_seen_N, counts_P[places_N].long(), 0)

    def ancestors(self) -> Tensor:
        """Return the numbers of each context's own last characters, (C, K), from longest to none.

        Column j has K - 1 - j characters; it is 0 where the context has fewer.
        """
        most, device = self.order - 1, self.contexts[0].device
        numbers_CK = torch.zeros(self.num_contexts, self.order, dtype=torch.int32, device=device)
        for length, keys_C in enumerate(self.contexts):
            first = self.offsets[length]
            own_CK = numbers_CK[first : first + len(keys_C)]
            if length:
                shorter_C = keys_C % self.vocabulary_size ** (length - 1)
                own_CK.copy_(numbers_CK[self.context_numbers(length - 1, shorter_C)])
            own_CK[:, most - length] = torch.arange(
                first, first + len(keys_C), dtype=torch.int32, device=device
            )
        return numbers_CK


def _find(sorted_C: Tensor, wanted_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indexes of keys, and the mask of those that are there; both (N,)."""
    if not len(sorted_C):
        return torch.zeros_like(wanted_N), torch.zeros_like(wanted_N, dtype=torch.bool)
    places_N = torch.searchsorted(sorted_C, wanted_N).clamp_(max=len(sorted_C) - 1)
    return places_N, sorted_C[places_N] == wanted_N


def _on(device: torch.device, array: npt.NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)

"""Interpolated Kneser-Ney smoothing on a device, with the formula of `model.ngrams`.

Shapes depend on no data, so that the host never waits, and nothing is added up in random order.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.training.ngram_search import FULL_DISCOUNT, NgramSearch

# R positions · K highest order · V vocabulary · C contexts and P pairs of all orders
# W the most pairs of a context, added up over the orders · D ways to leave out an occurrence
# The K orders stand from the highest to the lowest.

MAX_NUMBERS = 1 << 24  # in a tensor at a time
BYTES_AT_WORK = 24 * MAX_NUMBERS


@dataclass(frozen=True, slots=True)
class Places:
    """What R positions of a text need for their probabilities."""

    contexts: Tensor
    """The number of the longest context that was seen, (R,)."""
    changes: Tensor
    """The way to leave out the position's own occurrence, a `change_number`, (R,)."""
    targets: Tensor
    """The id at each position, (R,)."""
    shown: Tensor
    """Characters of the context that count, (R,)."""


class Smoothing:
    """The counts of an n-gram model, and the probabilities that they give."""

    def __init__(self, ngrams: NgramModel, search: NgramSearch) -> None:
        device = search.contexts[0].device

        def on_device(array: npt.NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self._order, self._size = ngrams.order, ngrams.vocabulary_size
        self._ancestors_CK = search.ancestors()
        orders = ngrams.orders
        firsts = np.cumsum([0, *(len(pairs.keys) for pairs in orders)])
        numbers = [np.zeros((1, 3), np.int64)]
        numbers += [
            np.stack([pairs.first[:-1] + first, np.diff(pairs.first), pairs.totals], axis=1)
            for pairs, first in zip(orders, firsts, strict=False)
        ]
        self._numbers_C3 = on_device(np.concatenate(numbers))
        """The first pair, the number of pairs and the total of each context."""
        reserved = [np.zeros(1), *(pairs.reserved for pairs in orders)]
        self._reserved_C = on_device(np.concatenate(reserved))
        self._changes_D3K = on_device(_changes(ngrams))
        # Pairs of an order go into columns of their own. The last pair stands for none.
        begins = (self._size + 1) * np.arange(self._order - 1, -1, -1)
        columns = [pairs.ids + begin for pairs, begin in zip(orders, begins, strict=True)]
        columns_P = np.concatenate([*columns, np.array([self._size])]).astype(np.int32)
        self._columns_P, self._none = on_device(columns_P), len(columns_P) - 1
        kept = [pairs.rest(pairs.counts).astype(np.float32) for pairs in orders]
        self._kept_P = on_device(np.concatenate([*kept, np.zeros(1, np.float32)]))
        most = [int(np.diff(pairs.first).max(initial=0)) for pairs in reversed(orders)]
        self._orders_W = on_device(np.repeat(np.arange(self._order), most))
        self._places_W = on_device(np.concatenate([np.arange(each) for each in most]))
        self._begins_K = on_device(begins[::-1].copy())
        self._lengths_K = torch.arange(self._order, device=device).flip(0)
        self.max_rows = max(1, MAX_NUMBERS // max(sum(most), self._order * (self._size + 1)))
        """Positions at a time."""

    def probabilities(self, places: Places) -> Tensor:
        """Return q, (R, V), in float32; at most `max_rows` positions."""
        contexts_RK = self._ancestors_CK[places.contexts].long()
        gone_RK, saved_RK, lost_RK = self._changes_D3K[places.changes].unbind(1)
        first_RK, lengths_RK, totals_RK = self._numbers_C3[contexts_RK].unbind(2)
        rest_RK = totals_RK - gone_RK
        is_unused_RK = (places.shown[:, None] < self._lengths_K) | (rest_RK <= 0)
        # A count that is lower by 1 reserves as much less as `saved_RK`.
        reserved_RK = self._reserved_C[contexts_RK] - saved_RK
        rest_RK = rest_RK.clamp(min=1)
        # masked_fill: `where` would copy its number to the device, and wait.
        factors_RK = (reserved_RK / rest_RK).masked_fill(is_unused_RK, 1.0).cumprod(1)
        higher_RK = functional.pad(factors_RK[:, :-1], (1, 0), value=1.0)
        scales_RK = (higher_RK / rest_RK).masked_fill(is_unused_RK, 0.0).float()
        lengths_RK = lengths_RK.masked_fill(is_unused_RK, 0)
        terms_RU = self._terms(first_RK, lengths_RK, scales_RK)
        # The same products as those of the terms, so that a single occurrence leaves exactly 0.
        own_RK = places.targets[:, None] + self._begins_K
        rest_terms_RK = terms_RU.gather(1, own_RK) - lost_RK.float() * scales_RK
        terms_RU.scatter_(1, own_RK, rest_terms_RK)
        terms_RKV = terms_RU.view(-1, self._order, self._size + 1)[:, :, : self._size]
        return terms_RKV.sum(1) + (factors_RK[:, -1:] / self._size).float()

    def _terms(self, first_RK: Tensor, lengths_RK: Tensor, scales_RK: Tensor) -> Tensor:
        """Return what each order adds to q, (R, K · (V + 1)); an order's last column is unused."""
        is_none_RW = self._places_W >= lengths_RK[:, self._orders_W]
        pairs_RW = first_RK[:, self._orders_W] + self._places_W
        pairs_RW.masked_fill_(is_none_RW, self._none)
        kept_RW = self._kept_P[pairs_RW] * scales_RK[:, self._orders_W]
        width = self._order * (self._size + 1)
        terms_RU = torch.zeros(len(first_RK), width, device=first_RK.device)
        # Only places without a pair share a column, and all of them write 0 there.
        return terms_RU.scatter_(1, self._columns_P[pairs_RW].long(), kept_RW)


def change_number(order: int, highest: Tensor, lowest: Tensor, count: Tensor) -> Tensor:
    """Return a number for an occurrence to leave out; 0 stands for none.

    The counts of contexts of `lowest` to `highest` characters are lower by 1. That of the shortest
    context is `count`, at most 4, and the others are 1.
    """
    return 1 + (highest * order + lowest) * FULL_DISCOUNT + count - 1


def _changes(ngrams: NgramModel) -> npt.NDArray[np.float64]:
    """Return what changes in each order when an occurrence is left out, (D, 3, K).

    The three are the decrease of the total, of the sum of discounts, and of the count less its
    discount.
    """
    order = ngrams.order
    highest_D, lowest_D, count_D = (
        axis.ravel() for axis in np.indices((order, order, FULL_DISCOUNT))
    )
    changes_D3K = np.zeros((1 + len(highest_D), 3, order))
    for length, pairs in enumerate(ngrams.orders):
        count_C = np.arange(FULL_DISCOUNT + 1)
        lost_C = np.diff(pairs.rest(count_C), prepend=0.0)
        saved_C = np.diff(pairs.discount(count_C), prepend=0.0)
        level_D = np.where(lowest_D == length, count_D + 1, 1)
        level_D[(length < lowest_D) | (length > highest_D)] = 0
        changes_3K = np.stack([level_D > 0, saved_C[level_D], lost_C[level_D]], axis=1)
        changes_D3K[1:, :, order - 1 - length] = changes_3K
    return changes_D3K

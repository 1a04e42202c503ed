"""The items of a list as windows of similar length, one per step."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig
from charrnn_cli.seeds import derive_seed
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span, span_array
from charrnn_cli.training.window import WHOLE, Share, Window

# B batch rows · T time · D items · G batches

SHORT = 32  # characters; each length up to it is a class of its own
STEP = 16  # a class of longer items is 1/16 wide

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Batches:
    """The batches of an epoch before they are shuffled: the items by length, cut into groups.

    Only their lengths decide, so every epoch has the same batches with other items.
    """

    firsts: Integers
    """Where each batch begins in the order of length."""
    stops: Integers
    steps: Integers
    """Steps of each batch: the windows of its longest item."""


class ItemWindows:
    """Separate items, packed by length into batches of about batch size x seq len characters.

    The inputs of an item are the end symbol and its characters; the targets are its characters and
    the end symbol. Every epoch reads each item once, from the zero state. Items of a class of
    lengths are shuffled among themselves by (seed, epoch), and so are the batches; the last of each
    kind may be smaller. Items longer than T characters form batches that take as many consecutive
    steps as they have windows, and carry their state.
    """

    def __init__(
        self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig, seed: int
    ) -> None:
        self._corpus, self._seed = corpus, seed
        self._spans_D2 = span_array(spans)
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        lengths_D = self._spans_D2[:, 1] - self._spans_D2[:, 0] - 1
        classes_D = length_classes(lengths_D, self.seq_len)
        self._order_D = np.argsort(-classes_D, kind="stable")
        self._classes_D = classes_D[self._order_D]  # descending
        self._batches = _cut(lengths_D[self._order_D], self._classes_D, config)
        self.per_epoch = int(self._batches.steps.sum())
        self._epoch = functools.lru_cache(maxsize=2)(self._shuffled)
        self._rows = functools.lru_cache(maxsize=4)(self._find_rows)  # asked for several times

    def num_rows(self, step: int) -> int:
        """Return the number of rows of a step, B."""
        return len(self._rows(step)[0])

    def at(self, step: int, share: Share = WHOLE) -> Window:
        """Return the rows of a share in the window of a step."""
        all_B2, is_first = self._rows(step)
        lengths_B = all_B2[:, 1] - all_B2[:, 0]
        rows_B2 = all_B2[share.of(len(all_B2))]
        inputs_TB = np.zeros((int(lengths_B.max()), len(rows_B2)), np.int64)
        targets_TB = np.full_like(inputs_TB, IGNORED)
        for row, (start, stop) in enumerate(rows_B2.tolist()):
            if start < stop:
                ids = self._corpus.read(start, stop + 1)
                inputs_TB[: stop - start, row] = ids[:-1]
                targets_TB[: stop - start, row] = ids[1:]
        is_first_B = np.full(len(rows_B2), is_first)
        return Window(inputs_TB, targets_TB, is_first_B, int(lengths_B.sum()))

    def positions(self, step: int, share: Share = WHOLE) -> Integers:
        """Return where each target of a step is in the text, (T, B); -1 if it is IGNORED."""
        rows_B2, _ = self._rows(step)
        lengths_B = rows_B2[:, 1] - rows_B2[:, 0]
        times_T1 = np.arange(int(lengths_B.max()))[:, None]
        rows = share.of(len(rows_B2))
        positions_TB = rows_B2[rows, 0] + 1 + times_T1
        positions_TB[times_T1 >= lengths_B[rows]] = -1
        return positions_TB

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_]:
        """Return the mask (B,) of rows that start from the zero state: all in a batch's first."""
        rows_B2, is_first = self._rows(step)
        return np.full(len(rows_B2), is_first)

    def _find_rows(self, step: int) -> tuple[Integers, bool]:
        """Return the inputs of each row as (start, stop), (B, 2), and whether the batch begins.

        The rows of items that have ended are empty.
        """
        epoch, place = divmod(step, self.per_epoch)
        items_D, batches_G, ends_G = self._epoch(epoch)
        rank = int(ends_G.searchsorted(place, side="right"))
        batch = int(batches_G[rank])
        window = place - int(ends_G[rank] - self._batches.steps[batch])
        first, stop = self._batches.firsts[batch], self._batches.stops[batch]
        rows_B2 = self._spans_D2[items_D[first:stop]] - np.array([0, 1])
        starts_B = np.minimum(rows_B2[:, 0] + window * self.seq_len, rows_B2[:, 1])
        stops_B = np.minimum(starts_B + self.seq_len, rows_B2[:, 1])
        return np.stack([starts_B, stops_B], axis=1), window == 0

    def _shuffled(self, epoch: int) -> tuple[Integers, Integers, Integers]:
        """Return the items of an epoch in the order of length, its batches in the order of steps,

        and the step after each one's steps.
        """
        # Sorting raw numbers gives the same order in every numpy; a library's shuffle may not.
        raw = np.random.PCG64(derive_seed("items", self._seed, epoch)).random_raw
        items_D = self._order_D[np.lexsort((raw(len(self._order_D)), -self._classes_D))]
        batches_G = np.argsort(raw(len(self._batches.steps)), kind="stable")
        return items_D, batches_G, np.cumsum(self._batches.steps[batches_G])


def length_classes(lengths_D: Integers, seq_len: int) -> Integers:
    """Return the class of each length, a number that ascends with it, (D,).

    Each length up to 32 is a class, then each 1/16; a class never has items of different numbers of
    windows of `seq_len` characters.
    """
    bounds, longest = list(range(1, SHORT + 1)), int(lengths_D.max())
    while bounds[-1] < longest:
        bounds.append(bounds[-1] + bounds[-1] // STEP)
    windows = range(seq_len, longest + seq_len, seq_len)
    edges = np.unique(np.array([*bounds, *windows], np.int64))
    return np.searchsorted(edges, lengths_D)


def _cut(lengths_D: Integers, classes_D: Integers, config: TrainConfig) -> _Batches:
    """Cut items into batches, given their lengths and classes in the order of classes, descending.

    Items of one window and longer ones are never in the same batch.
    """
    # The longest possible item of a class decides, so that a shuffle changes nothing.
    edges = np.flatnonzero(np.diff(classes_D, prepend=-1))
    longest_D = np.repeat(np.maximum.reduceat(lengths_D, edges), np.diff([*edges, len(lengths_D)]))
    characters, seq_len = config.batch_size * config.seq_len, config.seq_len
    num_long = int(np.count_nonzero(longest_D > seq_len))
    firsts, stops, steps = [], [], []
    first = 0
    while first < len(longest_D):
        longest = int(longest_D[first])
        rows = max(1, characters // min(longest, seq_len))
        stop = min(first + rows, num_long if longest > seq_len else len(longest_D))
        firsts.append(first)
        stops.append(stop)
        steps.append(-(-longest // seq_len))
        first = stop
    return _Batches(np.array(firsts), np.array(stops), np.array(steps))

"""Several spans of a text in parallel, as inputs and targets."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus

# T time · R rows · S spans

Span = tuple[int, int]
"""Offsets in a text: the first character, and the one after the last."""


class SpanArray(Sequence[Span]):
    """Spans in an array (S, 2), as a sequence: a tuple of millions would take gigabytes."""

    def __init__(self, spans_S2: npt.NDArray[np.int64]) -> None:
        self.spans_S2 = spans_S2

    def __len__(self) -> int:
        return len(self.spans_S2)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> "SpanArray": ...
    def __getitem__(self, index: int | slice) -> "Span | SpanArray":
        if isinstance(index, slice):
            return SpanArray(self.spans_S2[index])
        start, stop = self.spans_S2[index].tolist()
        return start, stop

    def __iter__(self) -> Iterator[Span]:
        return map(tuple, self.spans_S2.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.spans_S2, dtype)


def span_array(spans: Sequence[Span]) -> npt.NDArray[np.int64]:
    """Return spans as an array, (S, 2)."""
    return np.array(spans, np.int64).reshape(-1, 2)


IGNORED = -100
"""Target after the end of a shorter row; torch's cross entropy ignores this value by default."""


def row_windows(
    corpus: Corpus, rows: Sequence[Span], start: int, length: int
) -> npt.NDArray[np.int64]:
    """Return inputs and targets of R rows, (2, length, R), from offset `start` of each row.

    Every character of a row is a target once; the input for the first one is the character before
    the row, so no row may start at character 0. Raises as `Corpus.read` does.
    """
    both_TR = np.empty((2, length, len(rows)), np.int64)
    both_TR[0], both_TR[1] = 0, IGNORED
    for column, (first, last) in enumerate(rows):
        begin, end = first + start, min(first + start + length, last)
        if begin < end:
            ids = corpus.read(begin - 1, end)
            both_TR[0, : end - begin, column] = ids[:-1]
            both_TR[1, : end - begin, column] = ids[1:]
    return both_TR

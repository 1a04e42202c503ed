"""Spans of a text, read together and kept apart."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import CHUNK_CHARACTERS, Corpus
from charrnn_cli.text.corpus_file import DTYPES, Ids, ids_dtype
from charrnn_cli.text.rows import Span, span_array

# N characters of all spans · S spans · P spans read together

MANY = 1_000  # spans

PIECES = 1_000  # of a sample

_FAR = 255  # the most characters before one that are counted


@dataclass(frozen=True, slots=True)
class SpanText:
    """The characters of several spans."""

    ids: Ids
    """Ids, (N,)."""
    before: npt.NDArray[np.uint8]
    """Number of characters before each one in its span, (N,); 255 means 255 or more."""


def read_spans(corpus: Corpus, spans: Sequence[Span]) -> SpanText:
    """Read spans in their order. Raises as `Corpus.read` does."""
    spans_S2 = span_array(spans)
    lengths_S = spans_S2[:, 1] - spans_S2[:, 0]
    starts_S = np.cumsum(lengths_S) - lengths_S
    ids_N = np.empty(int(lengths_S.sum()), DTYPES[ids_dtype(len(corpus.vocab))])
    if len(spans) < MANY:
        done = 0
        for start, stop in joined(spans):
            ids_N[done : done + stop - start] = corpus.read(start, stop)
            done += stop - start
    else:
        _read_many(corpus, spans_S2, starts_S, ids_N)
    before_N = np.full(len(ids_N), _FAR, np.uint8)
    for offset in range(min(_FAR, int(lengths_S.max(initial=0)))):
        starts_S = starts_S[lengths_S > offset]
        lengths_S = lengths_S[lengths_S > offset]
        before_N[starts_S + offset] = offset
    return SpanText(ids_N, before_N)


def _read_many(
    corpus: Corpus, spans_S2: npt.NDArray[np.int64], to_S: npt.NDArray[np.int64], ids_N: Ids
) -> None:
    """Read many spans in ascending order into `ids_N`, each to its place there.

    Reading each by itself would take a second per 300,000 spans.
    """
    first = 0
    while first < len(spans_S2):
        start = int(spans_S2[first, 0])
        last = int(spans_S2[:, 1].searchsorted(start + CHUNK_CHARACTERS, side="right"))
        last = max(last, first + 1)
        stop = int(spans_S2[last - 1, 1])
        lengths_P = spans_S2[first:last, 1] - spans_S2[first:last, 0]
        shifts_P = spans_S2[first:last, 0] - start - (to_S[first:last] - to_S[first])
        number = int(lengths_P.sum())
        places = np.repeat(shifts_P, lengths_P) + np.arange(number)
        ids_N[to_S[first] : to_S[first] + number] = corpus.read(start, stop)[places]
        first = last


def joined(spans: Sequence[Span]) -> list[Span]:
    """Join spans where one starts at the end of the one before."""
    found: list[Span] = []
    for start, stop in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def spread_indexes(length: int, most: int) -> npt.NDArray[np.int64]:
    """Return up to `most` indexes below `length`, at even distances from 0 on."""
    number = min(length, most)
    return np.arange(number, dtype=np.int64) * length // max(1, number)


def evenly_sampled(spans: Sequence[Span], most: int) -> list[Span]:
    """Return parts of spans, spread evenly over them; the spans themselves if they are short.

    The parts have `most` characters together, or up to 1,000 fewer.
    """
    ends = list(accumulate(stop - start for start, stop in spans))
    return list(spans) if not ends or ends[-1] <= most else list(_pieces(spans, ends, most))


def _pieces(spans: Sequence[Span], ends: Sequence[int], most: int) -> Iterator[Span]:
    """Cut pieces out of the spans as if these were one text, in which they end at `ends`."""
    pieces = min(PIECES, most)
    for piece in range(pieces):
        first = ends[-1] * piece // pieces
        last = first + most // pieces
        for span in range(bisect_right(ends, first), bisect_left(ends, last) + 1):
            start, stop = spans[span]
            shift = stop - ends[span]
            yield max(start, first + shift), min(stop, last + shift)

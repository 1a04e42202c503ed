"""Several spans side by side, as inputs and targets."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus

Span = tuple[int, int]
"""Characters from start to stop."""


IGNORED = -100
"""Target of positions behind a shorter row's end, as torch's cross entropy skips it."""


def row_windows(
    corpus: Corpus, rows: Sequence[Span], start: int, length: int
) -> npt.NDArray[np.int64]:
    """Columns `start` to `start + length` of several rows side by side: (2, length, R), inputs and targets.

    Every character of a row is a target once; the first one's input is the character before the row.
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

"""Whether a text that is read as one document looks like a list of items."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus

# L lines · N characters

MOST_READ = 4_000_000  # characters of the beginning
FEWEST_LINES = 1_000
SHORT_LINE = 60  # characters
SHORT_SHARE = 0.9  # of the lines of a list are short
ORDERED = 0.2  # more neighbors that begin alike than by chance: makemore's names have 0.45 more
SAME_CELLS = 0.95  # of the rows of a table have the same number of cells


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list of lines."""

    is_ordered: bool
    """Whether neighbors begin alike much more often than by chance."""
    is_table: bool
    """Whether tabs cut the lines into the same number of cells."""


def list_shape(corpus: Corpus) -> ListShape | None:
    """Return the shape of a text of one file that looks like a list; None for other texts.

    A list has many lines, most of them short and none empty. Raises as `Corpus.read` does.
    """
    if corpus.num_documents > 1 or corpus.end is not None or "\n" not in corpus.vocab:
        return None
    ids_N = corpus.read(0, min(len(corpus), MOST_READ))
    newline = corpus.vocab.encode("\n")[0]
    ends_L = np.flatnonzero(ids_N == newline)
    if len(ends_L) and len(ids_N) == len(corpus) and ends_L[-1] < len(ids_N) - 1:
        ends_L = np.append(ends_L, len(ids_N))  # the last line has no end
    lengths_L = np.diff(ends_L, prepend=-1) - 1
    if len(lengths_L) < FEWEST_LINES or lengths_L.min() == 0:
        return None
    if np.mean(lengths_L < SHORT_LINE) < SHORT_SHARE:
        return None
    firsts_L = ids_N[ends_L - lengths_L]
    return ListShape(_is_ordered(firsts_L), _is_table(corpus, ids_N, ends_L))


def _is_ordered(firsts_L: npt.NDArray[np.unsignedinteger]) -> bool:
    alike = float(np.mean(firsts_L[1:] == firsts_L[:-1]))
    shares = np.unique(firsts_L, return_counts=True)[1] / len(firsts_L)
    return alike > float((shares**2).sum()) + ORDERED


def _is_table(
    corpus: Corpus, ids_N: npt.NDArray[np.unsignedinteger], ends_L: npt.NDArray[np.intp]
) -> bool:
    if "\t" not in corpus.vocab:
        return False
    tabs = np.flatnonzero(ids_N == corpus.vocab.encode("\t")[0])
    cells_L = np.bincount(np.searchsorted(ends_L, tabs), minlength=len(ends_L))[: len(ends_L)]
    usual = int(np.median(cells_L))
    return usual > 0 and float(np.mean(cells_L == usual)) >= SAME_CELLS

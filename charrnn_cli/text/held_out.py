"""Validation and test texts in files of their own, read as if they followed the training text."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.item_split import document_hashes
from charrnn_cli.text.one_document import between_ends
from charrnn_cli.text.rows import Span, SpanArray

MOST_ROWS, LONGEST_ROW = 20, 25_000  # rows of one text; longer texts have more rows
MIN_ROW = 100  # characters; shorter rows would mostly measure the cold start


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The texts that a run does not train on, in the vocabulary of its training text."""

    val: Corpus | None = None
    """The validation text; None if it is a part of the training text."""
    test: Corpus | None = None

    @property
    def val_sha256(self) -> str | None:
        """Digest of the validation text, if it has a file of its own."""
        return None if self.val is None else self.val.sha256

    @property
    def test_sha256(self) -> str | None:
        """Digest of the test text, if there is one."""
        return None if self.test is None else self.test.sha256


class JoinedCorpus(Corpus):
    """A training text whose `read` goes on with the texts held out for it.

    Everything else, such as its length, its counts and its digest, is that of the training text.
    `val` and `test` are rows of the held-out texts, as spans beyond the training text; each row is
    evaluated from the zero state. A document's first character, which nothing predicts, is in none.
    """

    def __init__(self, corpus: Corpus, held_out: HeldOut) -> None:
        """Join the texts. Raises TextError for a held-out text with nothing to predict."""
        super().__init__(
            corpus.vocab,
            corpus.counts_V,
            corpus.read,
            corpus.header,
            corpus.sha256,
            corpus.starts_D,
        )
        self.held_out = held_out
        self._parts = [corpus]
        self.val = self._added(held_out.val, "validation")
        self.test = self._added(held_out.test, "testing")

    @property
    def reach(self) -> int:
        return sum(map(len, self._parts))

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids from `start` to `stop`, (stop - start,), of all texts; see Corpus."""
        if stop <= len(self):
            return super().read(start, stop)
        pieces, first = [], 0
        for part in self._parts:
            begin, end = max(start, first) - first, min(stop, first + len(part)) - first
            if begin < end:
                pieces.append(part.read(begin, end))
            first += len(part)
        if start > stop or stop > first:
            raise IndexError(f"characters {start} to {stop} of {first}")
        return np.concatenate(pieces) if pieces else self._parts[0].read(0, 0)

    def _added(self, text: Corpus | None, purpose: str) -> Sequence[Span]:
        """Append a text, with the end symbols that it lacks, and return its rows."""
        if text is None:
            return ()
        before = self.reach
        if self.end is not None and text.end is None:
            text = between_ends(text, self.end)
        starts = text.starts_D.tolist() if _keeps_documents_apart(text) else [0]
        rows: Sequence[Span]
        if text.has_items:
            rows = SpanArray(text.document_spans() + np.array([before + 1, before], np.int64))
        else:
            rows = [
                (before + start, before + stop)
                for start, stop in held_out_rows(len(text), starts, is_ended=text.end is not None)
            ]
        if sum(stop - start for start, stop in rows) < 2:
            raise TextError(
                f"{purpose} needs at least 2 characters after the first; "
                f"the text {text.name!r} has {len(text) - 1:,}"
            )
        self._parts.append(text)
        return rows


def held_out_rows(length: int, starts: Sequence[int], *, is_ended: bool) -> list[Span]:
    """Cut a text into rows of at least 100 characters, at most 20 if it has 500,000 or fewer.

    Documents begin at the offsets `starts`. Rows end with a document; a document's first character
    is in no row. If documents are ended, this is the end symbol, which the document before it has
    as its last character.
    """
    number = max(1, min(MOST_ROWS, length // MIN_ROW), -(-length // LONGEST_ROW))
    edges = {length * row // number for row in range(number + 1)}
    firsts = set(starts)
    cuts = sorted(edges | firsts)
    shared = firsts - {0} if is_ended else set[int]()
    rows = [
        (start + (start in firsts), stop + (stop in shared))
        for start, stop in itertools.pairwise(cuts)
    ]
    return [(start, stop) for start, stop in rows if start < stop]


def held_out_of(corpus: Corpus) -> HeldOut:
    """Return the texts that are held out for a training text in files of their own."""
    return corpus.held_out if isinstance(corpus, JoinedCorpus) else HeldOut()


def shared_items(corpus: Corpus) -> float:
    """Return the fraction of the items held out in a file of their own that are trained on, too.

    It is 0 if the text is not a list with such a file. Raises as `Corpus.read` does.
    """
    val = held_out_of(corpus).val
    if val is None or not val.has_items:
        return 0.0
    return float(np.isin(document_hashes(val), document_hashes(corpus)).mean())


def _keeps_documents_apart(text: Corpus) -> bool:
    return text.end is not None or (text.num_documents > 1 and not text.separator)

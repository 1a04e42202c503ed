"""What n-grams predict at each step.

The network must not see what it has to predict: where the text of the n-grams itself is read, each
position's own occurrence is left out of the counts.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_counts import counted_spans
from charrnn_cli.model.ngram_pairs import Integers
from charrnn_cli.model.ngram_reader import Inputs, as_inputs
from charrnn_cli.model.ngrams import START, LeftOut, NgramModel
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span, span_array
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.window import WHOLE, Share, Windows

# T time · B batch rows · R positions · K highest order · V vocabulary

Positions = npt.NDArray[np.int64]


def ngram_text(job: TrainingJob) -> "NgramText | None":
    """Return the n-grams of a job with its text; None for a model without n-grams."""
    if job.ngrams is None:
        return None
    is_own = job.counted == job.corpus.sha256
    return NgramText(job.ngrams, job.corpus, counted_spans(job.split.train) if is_own else ())


def ngram_inputs(
    job: TrainingJob, windows: Windows, share: Share = WHOLE, *, ahead: bool = False
) -> "NgramInputs | None":
    """Return the inputs from n-grams of a job's windows; None for a model without n-grams."""
    text = ngram_text(job)
    if text is None:
        return None
    return NgramInputs(text, windows, job.split.train, share, ahead=ahead)


class NgramText:
    """A text and n-grams, which were counted in spans of this text, or in another one."""

    def __init__(self, ngrams: NgramModel, corpus: Corpus, counted: Sequence[Span]) -> None:
        self.order = ngrams.order
        self.ngrams, self.corpus, self.counted = ngrams, corpus, counted
        self._edges = SpanEdges(counted)

    def inputs(self, positions_TB: Positions, limits_TB: Positions) -> Inputs:
        """Return the inputs that predict the characters at positions of the text, (T, B, V).

        The n-grams see at most as many characters before each position as `limits_TB`. A column
        ascends and then has the position -1, where the inputs have no meaning.
        """
        contexts_TBK, targets_TB = self._read(positions_TB)
        contexts_RK = contexts_TBK.reshape(positions_TB.size, -1)
        lengths_R = np.maximum(self._edges.before(positions_TB).ravel(), 0)
        left_out = None
        if lengths_R.any():
            left_out = LeftOut(targets_TB.ravel(), lengths_R)
        q_RV = self.ngrams.distributions(contexts_RK, limits_TB.ravel(), left_out)
        return as_inputs(q_RV).reshape(*positions_TB.shape, -1)

    def _read(self, positions_TB: Positions) -> tuple[npt.NDArray[np.int32], Integers]:
        """Return the K - 1 characters before each position, (T, B, K - 1), and those at it."""
        most = self.order - 1
        contexts_TBK = np.full((*positions_TB.shape, most), START, np.int32)
        targets_TB = np.zeros(positions_TB.shape, np.int64)
        for column, positions_T in enumerate(positions_TB.T):
            inside_T = positions_T[positions_T >= 0]
            if not len(inside_T):
                continue
            start = max(0, int(inside_T[0]) - most)
            ids = self.corpus.read(start, int(inside_T[-1]) + 1).astype(np.int32)
            padded = np.concatenate([np.full(most, START, np.int32), ids])
            places_T = inside_T - start + most
            targets_TB[: len(inside_T), column] = padded[places_T]
            before_TK = places_T[:, None] - np.arange(1, most + 1)
            contexts_TBK[: len(inside_T), column] = padded[before_TK]
        return contexts_TBK, targets_TB


class SpanEdges:
    """Where spans of a text, in ascending order, start and stop.

    A span may begin with the last character of the one before it; as a position, that character
    belongs to the earlier span.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts, self._stops = span_array(spans).T
        self._overlaps = np.zeros(len(self._starts), bool)
        self._overlaps[1:] = self._starts[1:] < self._stops[:-1]

    def before(self, positions: Positions) -> Positions:
        """Return how many characters of its span are before each position; -1 outside of spans."""
        if not len(self._starts):
            return np.full(positions.shape, -1, np.int64)
        spans = np.searchsorted(self._starts, positions, side="right") - 1
        spans -= self._overlaps[spans] & (self._starts[spans] == positions)
        is_inside = (spans >= 0) & (positions < self._stops[spans])
        return np.where(is_inside, positions - self._starts[spans], -1)


class NgramInputs:
    """The inputs of each training step, which depend only on the step.

    Those of the next step can be computed ahead, in a thread. Without a core to spare, that takes
    longer than it saves: the threads of a product wait for the slowest.
    """

    def __init__(
        self,
        text: NgramText,
        windows: Windows,
        spans: Sequence[Span],
        share: Share = WHOLE,
        *,
        ahead: bool,
    ) -> None:
        """Prepare the inputs of a share of windows that read `spans` of the text."""
        self.text, self._windows, self._edges = text, windows, SpanEdges(spans)
        self._share = share
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[int, Future[Inputs]] | None = None

    def at(self, step: int) -> Inputs:
        """Return the inputs of a step, (T, B, V). Raises as `Corpus.read` does."""
        if self._thread is None:
            return self._compute(step)
        ready = self._next
        if ready is None or ready[0] != step:
            ready = step, self._thread.submit(self._compute, step)
        self._next = step + 1, self._thread.submit(self._compute, step + 1)
        return ready[1].result()

    def _compute(self, step: int) -> Inputs:
        positions_TB = self._windows.positions(step, self._share)
        in_span_TB = np.maximum(self._edges.before(positions_TB), 0)
        times_T1 = np.arange(1, len(positions_TB) + 1)[:, None]
        read_B = characters_read(self._windows, step, self.text.order - 1)
        read_B = read_B[self._share.of(len(read_B))]
        return self.text.inputs(positions_TB, np.minimum(in_span_TB, times_T1 + read_B))


def characters_read(windows: Windows, step: int, most: int) -> Positions:
    """Return how many characters each row's state has read before a step, (B,).

    A row that has read `most` or more may get any number from there on.
    """
    is_read_B = ~windows.reset_rows(step)
    read_B = np.zeros(len(is_read_B), np.int64)
    while is_read_B.any() and int(read_B.max()) < most:
        read_B[is_read_B] += windows.seq_len  # only the last window of a row may be shorter
        step -= 1
        if int(read_B.max()) < most:
            is_read_B &= ~windows.reset_rows(step)
    return read_B

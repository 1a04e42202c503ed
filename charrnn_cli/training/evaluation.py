"""The loss of a torch model on rows of text, computed the same way for every reported figure."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.ngram_reader import NgramReader
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span, row_windows
from charrnn_cli.training.device import autocast, float32_products, to_device
from charrnn_cli.training.network import CharRNN, RecurrentState
from charrnn_cli.training.ngram_device import DeviceNgrams
from charrnn_cli.training.ngram_inputs import NgramText
from charrnn_cli.training.processes import Processes

MAX_LOGITS = 1 << 24  # elements at a time, 64 MB; limits memory without changing the result
MAX_WINDOW = 500  # characters per row at a time
MAX_ROWS = 128  # rows at a time


def window_length(num_rows: int, vocabulary_size: int) -> int:
    """Return the characters per row that are evaluated at a time."""
    return max(1, min(MAX_WINDOW, MAX_LOGITS // (num_rows * vocabulary_size)))


class TorchPredictor:
    """A `scoring.Predictor` in torch, for long texts; float32."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._model, self._device = CharRNN(checkpoint.model), device
        self._ngrams = checkpoint.ngrams
        self._model.load(checkpoint.weights)
        self._model.to(device)
        self._state: RecurrentState | None = None
        self._reader: NgramReader | None = None

    def start(self, rows: int) -> None:
        self._state = None
        self._reader = None if self._ngrams is None else NgramReader(self._ngrams, rows)

    def losses(
        self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        length = window_length(inputs_TR.shape[1], self._model.config.vocabulary_size)
        starts = range(0, len(inputs_TR), length)
        return np.concatenate(
            [self._losses(inputs_TR[t : t + length], targets_TR[t : t + length]) for t in starts]
        )

    @torch.no_grad()
    @float32_products("ieee")
    def _losses(
        self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        ngrams_TRV = None
        if self._reader is not None:
            ngrams_TRV = torch.from_numpy(self._reader.read(inputs_TR)).to(self._device)
        logits_TRV, self._state = self._model(
            torch.from_numpy(inputs_TR).to(self._device), self._state, None, ngrams_TRV
        )
        targets_TR = np.ascontiguousarray(targets_TR)
        losses = functional.cross_entropy(
            logits_TRV.flatten(0, 1),
            torch.from_numpy(targets_TR).flatten().to(self._device),
            ignore_index=IGNORED,
            reduction="none",
        )
        losses_TR: npt.NDArray[np.float32] = losses.view(targets_TR.shape).cpu().numpy()
        return losses_TR


def never_stop() -> bool:
    return False


@torch.no_grad()
@float32_products("ieee")
def evaluate(
    model: CharRNN,
    corpus: Corpus,
    rows: Sequence[Span],
    precision: str,
    should_stop: Callable[[], bool] = never_stop,
    ngrams: NgramText | DeviceNgrams | None = None,
    processes: Processes | None = None,
) -> float | None:
    """Return the mean nats per character over all rows, or None once `should_stop` returns True.

    Each row is a span of the corpus and starts from the zero state; dropout is off, and every
    character is scored once. `ngrams` are those of a model with n-grams, on the same corpus.
    Several `processes` share the rows, and stop together.
    """
    processes = processes or Processes()
    # Group rows of similar length, because a group takes as long as its longest row.
    if len(rows) > MAX_ROWS:
        rows = sorted(rows, key=lambda row: row[1] - row[0])
    total = 0.0
    for first in range(0, len(rows), MAX_ROWS):
        some = rows[first : first + MAX_ROWS]
        loss = _sum_of_losses(model, corpus, some, precision, should_stop, ngrams, processes)
        if loss is None:
            return None
        total += loss
    return processes.total(total)[0] / sum(stop - start for start, stop in rows)


def _sum_of_losses(
    model: CharRNN,
    corpus: Corpus,
    rows: Sequence[Span],
    precision: str,
    should_stop: Callable[[], bool],
    ngrams: NgramText | DeviceNgrams | None,
    processes: Processes,
) -> float | None:
    device = model.output.weight.device
    longest = max(stop - start for start, stop in rows)
    state: RecurrentState | None = None
    total = 0.0
    window = window_length(len(rows), model.config.vocabulary_size)
    rows = rows[processes.share.of(len(rows))]
    for start in range(0, longest, window):
        if processes.total(should_stop())[0]:
            return None
        if not rows:
            continue
        length = min(window, longest - start)
        both_TR = to_device(row_windows(corpus, rows, start, length), device)
        ngrams_TRV = None
        if ngrams is not None:
            ngrams_TRV = _ngram_inputs(ngrams, rows, start, length, device)
        with autocast(device, precision):
            logits_TRV, state = model(both_TR[0], state, None, ngrams_TRV)
        total += functional.cross_entropy(
            logits_TRV.flatten(0, 1).float(),
            both_TR[1].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        ).item()
    return total


def _ngram_inputs(
    ngrams: NgramText | DeviceNgrams,
    rows: Sequence[Span],
    start: int,
    length: int,
    device: torch.device,
) -> Tensor:
    """Return the inputs from n-grams for the targets of `row_windows`, (length, R, V)."""
    read_T1 = start + np.arange(1, length + 1)[:, None]
    firsts_R, stops_R = np.array(rows, np.int64).T
    positions_TR = firsts_R + read_T1 - 1
    positions_TR[positions_TR >= stops_R] = -1
    read_TR = np.repeat(read_T1, len(rows), axis=1)
    if isinstance(ngrams, DeviceNgrams):
        return ngrams.inputs(to_device(positions_TR, device), to_device(read_TR, device))
    return to_device(ngrams.inputs(positions_TR, read_TR), device)

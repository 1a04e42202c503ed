"""What n-grams predict in a text, computed on a device where numpy would limit the speed.

The context of each position, and how to leave out its own occurrence, are found once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from charrnn_cli.model.ngram_reader import FLOOR
from charrnn_cli.text.corpus import CHUNK_CHARACTERS
from charrnn_cli.text.rows import Span, span_array
from charrnn_cli.training.device import MAX_MEMORY_FRACTION, to_device
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.ngram_inputs import (
    NgramInputs,
    NgramText,
    characters_read,
    ngram_inputs,
    ngram_text,
)
from charrnn_cli.training.ngram_search import FULL_DISCOUNT, NgramSearch
from charrnn_cli.training.ngram_smoothing import BYTES_AT_WORK, Places, Smoothing, change_number
from charrnn_cli.training.window import WHOLE, Share, Windows
from charrnn_cli.training.windows import TrainWindows

# T time · B batch rows · R positions · K highest order · V vocabulary · N characters of the text


class DeviceNgrams:
    """An `NgramText` on a device."""

    def __init__(self, text: NgramText, device: torch.device) -> None:
        """Copy the counts, and find the context of each position. Raises as `Corpus.read` does."""
        self.device, self.order = device, text.order
        self.vocabulary_size = text.ngrams.vocabulary_size
        search = NgramSearch(text.ngrams, device)
        self._smoothing = Smoothing(text.ngrams, search)
        self.length = length = text.corpus.reach
        ids_type = torch.uint8 if self.vocabulary_size <= 256 else torch.int32
        self._targets_N = torch.empty(length, dtype=ids_type, device=device)
        self._contexts_N = torch.empty(length, dtype=torch.int32, device=device)
        self._changes_N = torch.empty(length, dtype=torch.int16, device=device)
        counted = _SpanEdges(text.counted, device)
        for start in range(0, length, CHUNK_CHARACTERS):
            self._find(search, text, counted, start, min(start + CHUNK_CHARACTERS, length))

    def inputs(self, positions_TB: Tensor, limits_TB: Tensor) -> Tensor:
        """Return the same as `NgramText.inputs`, (T, B, V), without a wait for the device."""
        at_R, limits_R = positions_TB.clamp(min=0).flatten(), limits_TB.flatten()
        rows = self._smoothing.max_rows
        parts = [
            self._inputs(at_R[first : first + rows], limits_R[first : first + rows])
            for first in range(0, len(at_R), rows)
        ]
        inputs_RV = parts[0] if len(parts) == 1 else torch.cat(parts)
        return inputs_RV.view(*positions_TB.shape, self.vocabulary_size)

    def _inputs(self, at_R: Tensor, limits_R: Tensor) -> Tensor:
        places = Places(
            self._contexts_N[at_R].long(),
            self._changes_N[at_R].long(),
            self._targets_N[at_R].long(),
            limits_R,
        )
        log_RV = self._smoothing.probabilities(places).clamp_(min=FLOOR).log_()
        return log_RV.sub_(log_RV.mean(dim=1, keepdim=True))

    def _find(
        self, search: NgramSearch, text: NgramText, counted: "_SpanEdges", start: int, stop: int
    ) -> None:
        """Find what `inputs` needs for the positions from `start` to `stop`."""
        most = self.order - 1
        begin = max(0, start - most)
        read = torch.from_numpy(text.corpus.read(begin, stop).astype(np.int64)).to(self.device)
        at_N = torch.arange(start, stop, device=self.device)
        targets_N, keys_N = read[start - begin :], torch.zeros_like(at_N)
        keys, contexts_N = [], torch.zeros_like(at_N)
        for length in range(self.order):
            if length:
                back_N = read[(at_N - begin - length).clamp_(min=0)]
                keys_N = keys_N + back_N * self.vocabulary_size ** (length - 1)
            keys.append(keys_N)
            numbers_N = search.context_numbers(length, keys_N)
            is_longer_N = (numbers_N > 0) & (at_N >= length)
            contexts_N = torch.where(is_longer_N, numbers_N, contexts_N)
        self._targets_N[start:stop] = targets_N
        self._contexts_N[start:stop] = contexts_N
        self._changes_N[start:stop] = self._changes(search, keys, targets_N, counted.before(at_N))

    def _changes(
        self, search: NgramSearch, keys: Sequence[Tensor], targets_N: Tensor, before_N: Tensor
    ) -> Tensor:
        """Return the number of the change that leaves out each position's occurrence, (N,)."""
        highest_N = before_N.clamp(min=0, max=self.order - 1)
        is_last_N = torch.zeros_like(before_N, dtype=torch.bool)
        lowest_N, last_N = highest_N, torch.full_like(before_N, FULL_DISCOUNT)
        for length in range(self.order - 1, -1, -1):
            counts_N = search.counts(length, keys[length], targets_N)
            is_gone_N = (is_last_N | (highest_N == length)) & (counts_N > 0)
            lowest_N = torch.where(is_gone_N, length, lowest_N)
            last_N = torch.where(is_gone_N, counts_N, last_N)
            is_last_N = is_gone_N & (counts_N == 1)
        numbers_N = change_number(self.order, highest_N, lowest_N, last_N)
        return torch.where(before_N > 0, numbers_N, 0)


class DeviceNgramInputs:
    """The inputs of each training step on a device; the counterpart of `NgramInputs`."""

    def __init__(
        self, text: DeviceNgrams, windows: Windows, spans: Sequence[Span], share: Share = WHOLE
    ) -> None:
        """Prepare the inputs of a share of windows that read `spans` of the text."""
        self.text, self._windows, self._share = text, windows, share
        edges, device, most = _SpanEdges(spans, text.device), text.device, text.order - 1
        self._in_span_N = torch.empty(text.length, dtype=torch.uint8, device=device)
        for start in range(0, text.length, CHUNK_CHARACTERS):
            stop = min(start + CHUNK_CHARACTERS, text.length)
            before_N = edges.before(torch.arange(start, stop, device=device))
            self._in_span_N[start:stop] = before_N.clamp_(min=0, max=min(most, 255))
        self._shifts: tuple[Tensor, Tensor] | None = None
        if isinstance(windows, TrainWindows):
            starts_S, shifts_S = windows.shifts
            self._shifts = to_device(starts_S, device), to_device(shifts_S, device)

    def at(self, step: int, targets_TB: Tensor | None = None) -> Tensor:
        """Return the inputs of the share of a step, (T, B, V).

        `targets_TB` is where the targets of `TrainWindows` are in the training text, if that is
        known on the device. Raises as `Windows.positions` does.
        """
        device = self.text.device
        positions_TB = self._positions(step, targets_TB)
        times_T1 = torch.arange(1, len(positions_TB) + 1, device=device)[:, None]
        read_B = characters_read(self._windows, step, self.text.order - 1)
        read_B = read_B[self._share.of(len(read_B))]
        read_TB = times_T1 + to_device(read_B, device)
        in_span_TB = self._in_span_N[positions_TB.clamp(min=0)].long()
        return self.text.inputs(positions_TB, torch.minimum(in_span_TB, read_TB))

    def _positions(self, step: int, targets_TB: Tensor | None) -> Tensor:
        """Return `Windows.positions` on the device."""
        if targets_TB is None or self._shifts is None:
            return to_device(self._windows.positions(step, self._share), self.text.device)
        starts_S, shifts_S = self._shifts
        spans_TB = torch.searchsorted(starts_S, targets_TB, right=True) - 1
        return targets_TB + shifts_S[spans_TB]


class _SpanEdges:
    """`ngram_inputs.SpanEdges` on a device."""

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        starts_S, stops_S = span_array(spans).T.copy()
        overlaps_S = np.zeros(len(starts_S), bool)
        overlaps_S[1:] = starts_S[1:] < stops_S[:-1]
        self._starts_S, self._stops_S, self._overlaps_S = (
            to_device(each_S, device) for each_S in (starts_S, stops_S, overlaps_S)
        )

    def before(self, positions_N: Tensor) -> Tensor:
        """Return how many characters of its span are before each position; -1 outside of spans."""
        if not len(self._starts_S):
            return torch.full_like(positions_N, -1)
        spans_N = torch.searchsorted(self._starts_S, positions_N, right=True) - 1
        first_N = spans_N.clamp(min=0)
        is_shared_N = self._overlaps_S[first_N] & (self._starts_S[first_N] == positions_N)
        spans_N = spans_N - is_shared_N.long()
        first_N = spans_N.clamp(min=0)
        is_inside_N = (spans_N >= 0) & (positions_N < self._stops_S[first_N])
        return torch.where(is_inside_N, positions_N - self._starts_S[first_N], -1)


InputsOfSteps = NgramInputs | DeviceNgramInputs


def inputs_of_steps(
    job: TrainingJob,
    windows: Windows,
    device: torch.device,
    share: Share = WHOLE,
    *,
    ahead: bool,
) -> InputsOfSteps | None:
    """Return the inputs of a share of a job's windows; None for a model without n-grams.

    Raises as `Corpus.read` does.
    """
    text = ngram_text(job)
    if text is not None and has_room(text, device):
        return DeviceNgramInputs(DeviceNgrams(text, device), windows, job.split.train, share)
    return ngram_inputs(job, windows, share, ahead=ahead)


def has_room(text: NgramText, device: torch.device) -> bool:
    """Whether to compute on the device, which must be a GPU with enough memory."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return _num_bytes(text) + BYTES_AT_WORK <= MAX_MEMORY_FRACTION * free


def _num_bytes(text: NgramText) -> int:
    """Return the memory for the counts, their keys and the text; the keys are needed at first."""
    orders, order = text.ngrams.orders, text.order
    num_pairs = text.ngrams.num_pairs
    num_contexts = sum(len(pairs.contexts) for pairs in orders)
    return 17 * num_pairs + (40 + 4 * order) * num_contexts + 12 * text.corpus.reach

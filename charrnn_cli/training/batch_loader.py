"""Windows as tensors on the device."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn_cli.training.device import MAX_MEMORY_FRACTION, to_device
from charrnn_cli.training.ngram_device import DeviceNgramInputs, InputsOfSteps
from charrnn_cli.training.window import WHOLE, Share, Windows
from charrnn_cli.training.windows import TrainWindows

# T time · B batch rows · N characters of training text

CHARACTERS_PER_COPY = 1 << 24  # limits the memory used on the host


@dataclass(frozen=True, slots=True)
class Batch:
    """A `Window` as tensors on the device."""

    inputs: Tensor
    """Ids, (T, B)."""
    targets: Tensor
    """Ids or IGNORED, (T, B)."""
    reset_rows: Tensor | None
    """Mask (B,); None if no row is reset."""
    is_fresh: bool
    """Whether all rows are reset."""
    count: int
    """Targets of the step that are not IGNORED, those of other processes included."""
    ngrams: Tensor | None
    """Inputs from n-grams, (T, B, V); None without them."""


class BatchLoader:
    """Batches on a device, copied one by one or read from a `resident` text."""

    def __init__(
        self,
        windows: Windows,
        device: torch.device,
        *,
        resident: bool,
        ngrams: InputsOfSteps | None = None,
        share: Share = WHOLE,
    ) -> None:
        self._windows, self._device, self._ngrams = windows, device, ngrams
        self._share = share
        self._text: _ResidentText | None = None
        if resident and isinstance(windows, TrainWindows):
            self._text = _ResidentText(windows, device, share)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0 over all epochs."""
        if self._text is not None:
            places_TB = self._text.places(step)
            ids_TB = self._text.ids(places_TB)
            ngrams_TBV = self._ngram_inputs(step, places_TB[1:])
            num_rows = self._windows.num_rows(step)
            reset_B = self._windows.reset_rows(step)[self._share.of(num_rows)]
            count = self._windows.seq_len * num_rows
            mask_B, is_fresh = self._mask(reset_B), bool(reset_B.all())
            return Batch(ids_TB[:-1], ids_TB[1:], mask_B, is_fresh, count, ngrams_TBV)
        window = self._windows.at(step, self._share)
        return Batch(
            to_device(window.inputs, self._device),
            to_device(window.targets, self._device),
            self._mask(window.reset_rows),
            bool(window.reset_rows.all()),
            window.count,
            self._ngram_inputs(step, None) if window.inputs.size else None,
        )

    def _ngram_inputs(self, step: int, targets_TB: Tensor | None) -> Tensor | None:
        """Return the inputs from n-grams; see `DeviceNgramInputs.at`."""
        if isinstance(self._ngrams, DeviceNgramInputs):
            return self._ngrams.at(step, targets_TB)
        return None if self._ngrams is None else to_device(self._ngrams.at(step), self._device)

    def _mask(self, mask_B: npt.NDArray[np.bool_]) -> Tensor | None:
        return to_device(mask_B, self._device) if mask_B.any() else None


class _ResidentText:
    """The whole text on the device, with one byte per character if the vocabulary allows it."""

    def __init__(self, windows: TrainWindows, device: torch.device, share: Share) -> None:
        self._windows = windows
        ids_N = np.empty(min(CHARACTERS_PER_COPY, windows.num_characters), _dtype(windows))
        dtype = torch.from_numpy(ids_N).dtype
        self._text_N = torch.empty(windows.num_characters, dtype=dtype, device=device)
        for start in range(0, windows.num_characters, CHARACTERS_PER_COPY):
            piece_N = ids_N[: windows.num_characters - start]
            windows.read_into(piece_N, start)
            self._text_N[start : start + len(piece_N)] = torch.from_numpy(piece_N).to(device)
        rows_B = torch.arange(windows.batch_size, device=device) * windows.per_epoch
        self._rows_B = rows_B[share.of(windows.batch_size)]
        self._times_T = torch.arange(windows.seq_len + 1, device=device)

    def places(self, step: int) -> Tensor:
        """Return where the characters of a step's rows are in the training text, (T + 1, B)."""
        windows = self._windows
        # Repeats `TrainWindows.starts` on the device, which needs no copy.
        numbers_B = (self._rows_B + windows.first_window(step)) % windows.num_windows
        starts_B = (numbers_B * windows.seq_len).clamp(max=windows.last_start)
        return starts_B + self._times_T[:, None]

    def ids(self, places_TB: Tensor) -> Tensor:
        """Return the ids at places of the training text."""
        return self._text_N[places_TB].long()


def has_room(windows: Windows, device: torch.device) -> bool:
    """Whether to copy the whole text to the device, which must be a GPU with enough memory."""
    if device.type != "cuda" or not isinstance(windows, TrainWindows):
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return windows.num_characters * _dtype(windows).itemsize <= MAX_MEMORY_FRACTION * free


def _dtype(windows: TrainWindows) -> np.dtype[np.uint8] | np.dtype[np.int32]:
    return np.dtype(np.uint8) if windows.num_symbols <= 256 else np.dtype(np.int32)

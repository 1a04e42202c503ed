"""The windows of the training text as tensors on the device that trains."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from charrnn_cli.training.windows import TrainWindows, Windows

# T time · B batch rows · N characters of training text

MEMORY_SHARE = 0.1  # of what is free on the device; the rest is the model's
CHUNK = 1 << 24  # characters copied at a time: the host's memory stays flat


@dataclass(frozen=True, slots=True)
class Batch:
    """A window on the device; see `Window`."""

    inputs: Tensor
    targets: Tensor
    reset_rows: Tensor | None
    count: int


class BatchLoader:
    """Windows on a device: copied one by one, or picked there where the whole text is `resident`."""

    def __init__(self, windows: Windows, device: torch.device, *, resident: bool) -> None:
        self._windows, self._device = windows, device
        self._text = (
            _Resident(windows, device) if resident and isinstance(windows, TrainWindows) else None
        )

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        if self._text is not None:
            return self._text.batch(step)
        window = self._windows.at(step)
        reset_rows_B = (
            None
            if window.reset_rows is None
            else torch.from_numpy(window.reset_rows).to(self._device)
        )
        inputs_TB, targets_TB = (torch.from_numpy(ids) for ids in (window.inputs, window.targets))
        return Batch(
            inputs_TB.to(self._device), targets_TB.to(self._device), reset_rows_B, window.count
        )


class _Resident:
    """The whole text on the device, a byte a character where it can be."""

    def __init__(self, windows: TrainWindows, device: torch.device) -> None:
        self._windows = windows
        ids_N = np.empty(min(CHUNK, windows.num_characters), _dtype(windows))
        self._text_N = torch.empty(
            windows.num_characters, dtype=torch.from_numpy(ids_N).dtype, device=device
        )
        for start in range(0, windows.num_characters, CHUNK):
            piece_N = ids_N[: windows.num_characters - start]
            windows.read_into(piece_N, start)
            self._text_N[start : start + len(piece_N)] = torch.from_numpy(piece_N).to(device)
        self._starts_B = torch.from_numpy(windows.starts(0)).to(device)
        self._times_T = torch.arange(windows.seq_len + 1, device=device)

    def batch(self, step: int) -> Batch:
        window = step % self._windows.per_epoch
        where_TB = self._starts_B + (self._times_T + window * self._windows.seq_len)[:, None]
        ids_TB = self._text_N[where_TB].long()
        reset_rows = self._windows.reset_rows(step)
        reset_rows_B = (
            None if reset_rows is None else torch.from_numpy(reset_rows).to(self._text_N.device)
        )
        return Batch(ids_TB[:-1], ids_TB[1:], reset_rows_B, ids_TB[1:].numel())


def has_room(windows: Windows, device: torch.device) -> bool:
    """Whether the whole text should live on the device. Where the device is the host, it need not be copied."""
    if device.type != "cuda" or not isinstance(windows, TrainWindows):
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return windows.num_characters * _dtype(windows).itemsize <= MEMORY_SHARE * free


def _dtype(windows: TrainWindows) -> np.dtype[np.uint8] | np.dtype[np.int32]:
    return np.dtype(np.uint8) if windows.num_symbols <= 256 else np.dtype(np.int32)

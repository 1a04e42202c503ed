"""The windows of the training text as tensors on the device that trains."""

import numpy as np
import torch
from torch import Tensor

from charrnn_cli.batches import TrainWindows

# T time · B batch rows · N characters of training text

MEMORY_SHARE = 0.1  # of what is free on the device; the rest is the model's
CHUNK = 1 << 24  # characters copied at a time: the host's memory stays flat


class Feed:
    """Windows of ids, (T + 1, B), on a device: from the whole text there where `resident`, else copied one by one."""

    def __init__(self, windows: TrainWindows, device: torch.device, *, resident: bool) -> None:
        self._windows, self._device = windows, device
        self._text_N = _copy_text(windows, device) if resident else None
        self._starts_B = torch.from_numpy(windows.starts(0)).to(device)
        self._times_T = torch.arange(windows.seq_len + 1, device=device)

    def __getitem__(self, window: int) -> Tensor:
        if self._text_N is None:
            return torch.from_numpy(self._windows[window]).to(self._device)
        where_TB = self._starts_B + (self._times_T + window * self._windows.seq_len)[:, None]
        return self._text_N[where_TB].long()


def has_room(windows: TrainWindows, device: torch.device) -> bool:
    """Whether the whole text should live on the device. Where the device is the host, it need not be copied."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return windows.num_characters * _dtype(windows).itemsize <= MEMORY_SHARE * free


def _dtype(windows: TrainWindows) -> np.dtype[np.uint8] | np.dtype[np.int32]:
    return np.dtype(np.uint8) if windows.num_symbols <= 256 else np.dtype(np.int32)


def _copy_text(windows: TrainWindows, device: torch.device) -> Tensor:
    ids_N = np.empty(min(CHUNK, windows.num_characters), _dtype(windows))
    text_N = torch.empty(windows.num_characters, dtype=torch.from_numpy(ids_N).dtype, device=device)
    for start in range(0, windows.num_characters, CHUNK):
        piece_N = ids_N[: windows.num_characters - start]
        windows.read_into(piece_N, start)
        text_N[start : start + len(piece_N)] = torch.from_numpy(piece_N).to(device)
    return text_N

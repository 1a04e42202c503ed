"""Steps of a model without a text, which keep a process as busy as training does.

While the first of several processes times its steps, the others take such steps, so that cores and
memory are shared as they are later. This also prepares the kernels of the others.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.processes import Processes
from charrnn_cli.training.trainer import Trainer
from charrnn_cli.training.window import WHOLE, Share, Window


def stand_in(
    model: ModelConfig, config: TrainConfig, device: torch.device, processes: Processes
) -> Trainer:
    """Return a trainer of a model without n-grams, for the rows of one of several processes."""
    decisions = Decisions(
        seed=0,
        device=str(device),
        precision="bf16" if config.precision == "bf16" else "fp32",
        threads=processes.threads,
        steps=1000,
        dropout=0.25 if config.dropout is None else config.dropout,
        eval_every=0,
        val_rows=0,
    )
    alone = Processes(processes.share, processes.local_size)
    model = dataclasses.replace(model, ngram=0)
    return Trainer(model, config, decisions, _EqualWindows(config), processes=alone)


class _EqualWindows:
    """Windows of one character, over and over."""

    per_epoch = 1

    def __init__(self, config: TrainConfig) -> None:
        self.seq_len, self._batch_size = config.seq_len, config.batch_size

    def at(self, step: int, share: Share = WHOLE) -> Window:
        ids_TB = np.zeros((self.seq_len, share.count(self._batch_size)), np.int64)
        return Window(ids_TB, ids_TB, np.zeros(ids_TB.shape[1], bool), ids_TB.size)

    def positions(self, step: int, share: Share = WHOLE) -> npt.NDArray[np.int64]:
        return np.zeros((self.seq_len, share.count(self._batch_size)), np.int64)

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_]:
        return np.zeros(self._batch_size, bool)

    def num_rows(self, step: int) -> int:
        return self._batch_size

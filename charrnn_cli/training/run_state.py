"""All that a run is at one step, taken down and taken up again: what resume files hold."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.warm_start import grown_weights
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.snapshot import RunCounters, TrainingSnapshot
from charrnn_cli.training.trainer import Trainer, resume_tensor_shapes


class RunState:
    """The trainer, the run's progress, and who they are: `capture` and `restore` are each other's inverse."""

    def __init__(
        self,
        trainer: Trainer,
        corpus: Corpus,
        config: TrainConfig,
        run: str,
        source: Mapping[str, Any],
        started: float,
    ) -> None:
        self.trainer, self.progress = trainer, RunCounters()
        self._corpus, self._config, self._run, self._source = corpus, config, run, source
        self._started = started
        self.init_from: str | None = None
        """The checkpoint that the run began with."""

    @property
    def seconds(self) -> float:
        """Of work, over all resumed parts."""
        return time.monotonic() - self._started

    def load_initial_weights(self, initial: Checkpoint) -> None:
        """Begin with a checkpoint's weights."""
        self.trainer.load_initial_weights(grown_weights(initial, self.trainer.model.config))
        self.init_from = f"{initial.run}@{initial.step}"

    def resume(self, state: TrainingSnapshot) -> None:
        """Go on from a saved state. Raises FileFormatError."""
        self.restore(state)
        self.progress = RunCounters.from_json(dict(state.progress))
        self.progress.finished = False
        self._started -= self.progress.seconds
        self.init_from = state.checkpoint.data.get("init_from")

    def checkpoint(self, val_loss: float | None = None, *, interrupted: bool = False) -> Checkpoint:
        """The model as it is evaluated and written out; copies."""
        trainer = self.trainer
        return Checkpoint(
            model=trainer.model.config,
            vocab=self._corpus.vocab,
            weights=trainer.evaluated.export(),
            run=self._run,
            step=trainer.step,
            epoch=trainer.epoch,
            train_loss=trainer.train_loss if trainer.step else None,
            val_loss=val_loss,
            train=self._config.to_json(),
            data={
                "name": self._corpus.name,
                "sha256": self._corpus.sha256,
                "characters": len(self._corpus),
                "commonest": self._corpus.vocab.characters[int(self._corpus.counts_V.argmax())],
                **({"init_from": self.init_from} if self.init_from else {}),
            },
            versions={"torch": torch.__version__},
            interrupted=interrupted,
        )

    def capture(
        self, val_loss: float | None = None, *, interrupted: bool = False
    ) -> TrainingSnapshot:
        """Everything, as a resume file holds it; copies."""
        checkpoint = self.checkpoint(val_loss, interrupted=interrupted)
        self.progress.train_loss = checkpoint.train_loss
        self.progress.lr_scale = self.trainer.lr_scale
        self.progress.seconds = self.seconds
        return TrainingSnapshot(
            checkpoint=checkpoint,
            tensors=self.trainer.snapshot(),
            progress=dataclasses.asdict(self.progress),
            source=self._source,
        )

    def restore(self, state: TrainingSnapshot) -> None:
        """Weights, optimizer, recurrent state and position; the progress stays. Raises FileFormatError."""
        trainer, step = self.trainer, state.checkpoint.step
        expected = resume_tensor_shapes(trainer.model.config, self._config) if step else {}
        if step and {name: array.shape for name, array in state.tensors.items()} != expected:
            raise FileFormatError(f"the state of run {self._run!r} does not fit its configuration")
        trainer.restore(state.checkpoint.weights, state.tensors)
        trainer.step = step
        loss = state.checkpoint.train_loss
        trainer.train_loss = math.nan if loss is None else loss
        trainer.lr_scale = float(state.progress["lr_scale"])

"""All that a run is at one step, taken down and taken up again: what resume files hold."""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import Checkpoint, ResumeState
from charrnn_cli.model.warm_start import grown_weights
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.trainer import Trainer, resume_tensor_shapes


@dataclass(kw_only=True, slots=True)
class Progress:
    """What a run knows about itself besides its tensors; plain numbers, kept in the resume file."""

    train_loss: float | None = None
    lr_scale: float = 1.0
    handled_step: int = 0
    """The last step after which evaluation and saving, where due, were done."""
    best_step: int | None = None
    best_val_loss: float | None = None
    since_best: int = 0
    """Evaluations since the best one."""
    divergences: int = 0
    seconds: float = 0.0
    """Of work, over all resumed parts."""
    finished: bool = False

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Raises FileFormatError."""
        try:
            return cls(**raw)
        except TypeError as error:
            raise FileFormatError(f"the resume file is damaged: {error}") from error

    def note(self, step: int, val_loss: float) -> bool:
        """Take in an evaluation's loss; whether it is the best so far."""
        best = math.isfinite(val_loss) and (self.best_val_loss is None or val_loss < self.best_val_loss)
        if best:
            self.best_step, self.best_val_loss = step, val_loss
        self.since_best = 0 if best else self.since_best + 1
        return best


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
        self.trainer, self.progress = trainer, Progress()
        self._corpus, self._config, self._run, self._source = corpus, config, run, source
        self._started = started
        self.init_from: str | None = None
        """The checkpoint that the run began with."""

    @property
    def seconds(self) -> float:
        """Of work, over all resumed parts."""
        return time.monotonic() - self._started

    def begin_with(self, initial: Checkpoint) -> None:
        """Begin with a checkpoint's weights."""
        self.trainer.begin_with(grown_weights(initial, self.trainer.model.config))
        self.init_from = f"{initial.run}@{initial.step}"

    def resume(self, state: ResumeState) -> None:
        """Go on from a saved state. Raises FileFormatError."""
        self.restore(state)
        self.progress = Progress.from_json(dict(state.progress))
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

    def capture(self, val_loss: float | None = None, *, interrupted: bool = False) -> ResumeState:
        """Everything, as a resume file holds it; copies."""
        checkpoint = self.checkpoint(val_loss, interrupted=interrupted)
        self.progress.train_loss = checkpoint.train_loss
        self.progress.lr_scale = self.trainer.lr_scale
        self.progress.seconds = self.seconds
        return ResumeState(
            checkpoint=checkpoint,
            tensors=self.trainer.snapshot(),
            progress=dataclasses.asdict(self.progress),
            source=self._source,
        )

    def restore(self, state: ResumeState) -> None:
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

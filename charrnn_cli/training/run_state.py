"""The live state of a run, which can be captured and restored."""

import dataclasses
import time

import torch

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.events import Evaluated, Replanned, SlowedDown
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.warm_start import grown_weights
from charrnn_cli.storage.header import DataFacts, RunCounters
from charrnn_cli.text.held_out import held_out_of
from charrnn_cli.training.calibration import one_thread_speedup
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.recurrent_state import snapshot_shapes
from charrnn_cli.training.snapshot import TrainingSnapshot
from charrnn_cli.training.trainer import Trainer


class RunState:
    """A trainer and the run's counters; `restore` is the inverse of `capture`.

    Starts where the job starts: from random or initial weights, or from its snapshot. `started` is
    the time when the work began, on `time.monotonic`'s clock.
    Raises FileFormatError for a snapshot that does not match the job.
    """

    def __init__(
        self, job: TrainingJob, decisions: Decisions, trainer: Trainer, started: float
    ) -> None:
        self.trainer, self.counters = trainer, RunCounters()
        self.init_from = job.init_from
        self._job, self._config = job, decisions.recorded(job.config)
        self._started = started
        if job.snapshot is not None:
            self.restore(job.snapshot)
            self.counters = dataclasses.replace(job.snapshot.counters, finished=False)
            self._started -= self.counters.seconds
        elif job.initial is not None:
            trainer.load_initial_weights(grown_weights(job.initial, job.model))

    def follow(self, config: TrainConfig, decisions: Decisions) -> Replanned:
        """Go on with another plan of the same run, and record it."""
        planned = self.trainer.decisions.steps
        self.trainer.follow(config, decisions)
        self._config = decisions.recorded(config)
        return Replanned(
            step=self.trainer.step,
            planned_steps=planned,
            total_steps=decisions.steps,
            seconds=self.seconds,
        )

    def slowed_down(self, chars_per_second: float, before: float) -> SlowedDown:
        """Report that training is slower than it was; measures for up to half a second."""
        faster = one_thread_speedup(self._job, self.trainer.device)
        return SlowedDown(
            step=self.trainer.step,
            chars_per_second=chars_per_second,
            before=before,
            one_thread=None if faster is None else faster * chars_per_second,
            seconds=self.seconds,
        )

    @property
    def seconds(self) -> float:
        """Seconds of work, including all resumed parts."""
        return time.monotonic() - self._started

    def checkpoint(
        self, evaluated: Evaluated | None = None, *, interrupted: bool = False
    ) -> Checkpoint:
        """Return the model as it is evaluated and saved, with its losses; its arrays are copies."""
        trainer, corpus = self.trainer, self._job.corpus
        held_out = held_out_of(corpus)
        return Checkpoint(
            model=self._job.model,
            vocab=corpus.vocab,
            weights=trainer.evaluated.export(),
            run=self._job.run.name,
            step=trainer.step,
            epoch=trainer.epoch,
            train_loss=None if evaluated is None else evaluated.train_loss,
            val_loss=None if evaluated is None else evaluated.val_loss,
            train=self._config.to_json(),
            data=DataFacts(
                name=corpus.name,
                sha256=corpus.sha256,
                characters=corpus.num_characters,
                commonest=corpus.vocab.characters[int(corpus.counts_V.argmax())],
                init_from=self.init_from,
                counted=self._job.counted,
                val_sha256=held_out.val_sha256,
                test_sha256=held_out.test_sha256,
                end=corpus.end,
                longest_item=corpus.longest_item,
                reading=corpus.header.reading,
            ),
            ngrams=self._job.ngrams,
            versions={"torch": str(torch.__version__)},
            interrupted=interrupted,
        )

    def capture(
        self, evaluated: Evaluated | None = None, *, interrupted: bool = False
    ) -> TrainingSnapshot:
        """Return everything that a resume file stores; its arrays are copies."""
        checkpoint = self.checkpoint(evaluated, interrupted=interrupted)
        self.counters.running_loss = self.trainer.running_loss if self.trainer.step else None
        self.counters.lr_scale = self.trainer.lr_scale
        self.counters.seconds = self.seconds
        return TrainingSnapshot(
            checkpoint=checkpoint,
            tensors=self.trainer.snapshot(),
            counters=dataclasses.replace(self.counters),
            source=self._job.source,
        )

    def restore(self, snapshot: TrainingSnapshot, lr_scale: float | None = None) -> None:
        """Go to the snapshot's step, with another `lr_scale` if given; the counters do not change.

        Raises FileFormatError for tensors that do not match the configuration.
        """
        checkpoint = snapshot.checkpoint
        shapes = dict[str, tuple[int, ...]]()
        if checkpoint.step:
            num_rows = self.trainer.windows.num_rows(checkpoint.step - 1)
            shapes = snapshot_shapes(self._job.model, self._config, num_rows)
        actual = {name: array.shape for name, array in snapshot.tensors.items()}
        if checkpoint.step and actual != shapes:
            raise FileFormatError(
                f"the resume file of run {self._job.run.name!r} does not match its configuration"
            )
        self.trainer.restore(
            checkpoint.weights,
            snapshot.tensors,
            step=checkpoint.step,
            running_loss=snapshot.counters.running_loss,
            lr_scale=snapshot.counters.lr_scale if lr_scale is None else lr_scale,
        )

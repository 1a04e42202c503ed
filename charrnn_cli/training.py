"""The training loop as a producer of events: when to step, evaluate, save, go back and end."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch

from charrnn_cli.batches import GAP_STRIDE, Span, matching_rows
from charrnn_cli.checkpoint import Checkpoint, ResumeState
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.corpus import Corpus
from charrnn_cli.device import memory_errors_told
from charrnn_cli.errors import DivergedError, FileFormatError, RunBusyError, StorageError
from charrnn_cli.evaluation import evaluate, never_stop
from charrnn_cli.events import Diverged, Evaluated, MemoryShort, StepLogged, TrainEvent, TrainingFinished
from charrnn_cli.lock import hold_lock
from charrnn_cli.metrics import record
from charrnn_cli.planning import Plan, ending_seconds, make_plan
from charrnn_cli.publish import sweep_temporaries
from charrnn_cli.runs import Run
from charrnn_cli.saving import SaveEvent, Saver
from charrnn_cli.tensorfile import read_header
from charrnn_cli.trainer import Trainer, resume_tensor_shapes
from charrnn_cli.transfer import grown_weights

LOG_INTERVAL = 1.0  # seconds
MAX_DIVERGENCES = 3

EndReason = Literal["complete", "time", "patience", "stopped"]


def train(
    corpus: Corpus,
    model: ModelConfig,
    config: TrainConfig | None = None,
    *,
    run: Run,
    resume: ResumeState | None = None,
    initial: Checkpoint | None = None,
    should_stop: Callable[[], bool] = never_stop,
    started: float | None = None,
    source: dict[str, Any] | None = None,
) -> Iterator[TrainEvent]:
    """Train in `run`, or go on from `resume`, and tell what happens as events; nothing is printed.

    A new run begins with the weights of `initial`, whose vocabulary the model's begins with, or with fresh ones.
    `should_stop` is asked between steps: the run is then saved and ended. `max_time` counts from `started`, a moment
    on `time.monotonic`'s clock. `source` is kept in the resume file for whoever resumes.
    Raises ConfigError, TextError, DeviceError, FileFormatError, RunBusyError, StorageError, DivergedError.
    """
    started = time.monotonic() if started is None else started
    threads = torch.get_num_threads()
    with hold_lock(run.path):
        sweep_temporaries(run.path)
        try:
            config = config or TrainConfig()
            saver = Saver(run, config.keep)
            first_step = 0 if resume is None else resume.checkpoint.step
            _check_not_moved(run, first_step)
            with memory_errors_told("use a smaller --batch-size, --seq-len, --size or --layers"):
                plan = make_plan(corpus, model, config, started=started, first_step=first_step, should_stop=should_stop)
                loop = _Loop(corpus, model, plan, run, saver, started, source or {}, should_stop)
                if resume is not None:
                    loop.resume(resume)
                elif initial is not None:
                    loop.begin_with(initial)
                yield from record(loop.events(), run.metrics_path)
        finally:
            torch.set_num_threads(threads)  # the plan's number is for this run alone
            run.discard_if_empty()


def _check_not_moved(run: Run, step: int) -> None:
    """With the lock held: raises RunBusyError when another process has trained the run since its state was read."""
    if not run.resume_path.exists():
        return
    reached = read_header(run.resume_path).metadata.get("step")
    if reached != step:
        raise RunBusyError(
            f"run {run.name!r} was trained on to step {reached} meanwhile", hint=f"charrnn train --resume {run.name}"
        )


@dataclass(kw_only=True, slots=True)
class _Progress:
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


class _Loop:
    def __init__(
        self,
        corpus: Corpus,
        model: ModelConfig,
        plan: Plan,
        run: Run,
        saver: Saver,
        started: float,
        source: dict[str, Any],
        should_stop: Callable[[], bool],
    ) -> None:
        self.corpus, self.plan, self.run, self.source, self.should_stop = corpus, plan, run, source, should_stop
        self.trainer = Trainer(model, plan.config, plan.windows, plan.steps)
        self.progress = _Progress()
        self.saver = saver
        self.started = started
        self.val_loss: float | None = None
        self.init_from: dict[str, Any] = {}
        self.good = self._state()  # where to go back to when the loss diverges

    def resume(self, state: ResumeState) -> None:
        """Go on from a saved state."""
        self._restore(state)
        self.progress = _Progress.from_json(dict(state.progress))
        self.progress.finished = False
        self.started -= self.progress.seconds
        self.init_from = {name: state.checkpoint.data[name] for name in ("init_from",) if name in state.checkpoint.data}
        self.good = self._state()

    def begin_with(self, initial: Checkpoint) -> None:
        """Begin with a checkpoint's weights."""
        self.trainer.begin_with(grown_weights(initial, self.trainer.model.config))
        self.init_from = {"init_from": f"{initial.run}@{initial.step}"}
        self.good = self._state()

    def events(self) -> Iterator[TrainEvent]:
        yield self.plan.started(self.run.name, self.trainer.model.config, self.trainer.step)
        if self.init_from and not self.trainer.step and self.plan.split.val:
            yield from self._beginning()
        reason: EndReason = "complete"
        first_step = self.trainer.step
        logged_at, logged = time.monotonic(), 0
        log_now = True  # the first step at once: a sign of life
        sound = True
        while True:
            if not sound:
                yield self._go_back()
                logged_at, logged = time.monotonic(), self.trainer.characters
            step = self.trainer.step
            late = step > first_step and self._is_late()
            last = late or step >= self.plan.steps
            if step > self.progress.handled_step and (last or self._is_due(step)):
                sound = self.trainer.is_finite()
                if not sound:
                    continue
                if self.plan.split.val and (last or not step % self._eval_every):
                    evaluated = self._evaluate()
                    if evaluated is None:
                        reason = "stopped"
                        break
                    sound = math.isfinite(evaluated.val_loss)
                    if not sound:
                        continue
                    yield evaluated
                    patient = self.progress.since_best < (self.plan.config.patience or math.inf)
                    yield from self._save(evaluated.val_loss, finished=last or not patient)
                    if not patient:
                        reason = "patience"
                        break
                else:
                    yield from self._save(None, finished=last)
            if last:
                reason = "time" if step < self.plan.steps else "complete"
                break
            if self.should_stop():
                reason = "stopped"
                break
            parts = self.trainer.parts
            sound = self.trainer.update()
            if not sound:
                continue
            if self.trainer.parts > parts:
                yield MemoryShort(step=self.trainer.step, parts=self.trainer.parts, seconds=self._seconds())
            now = time.monotonic()
            if log_now or self._log_is_due(now - logged_at):
                sound = self.trainer.is_finite()
                if not sound:
                    continue
                yield self._logged(self.trainer.characters - logged, now - logged_at)
                logged_at, logged, log_now = time.monotonic(), self.trainer.characters, False
            if self.saver.resume_is_due and self.trainer.is_finite():
                yield from self.saver.save_resume(self._state(), self._seconds())
        yield from self._end(reason)

    # ---- what is due

    def _is_late(self) -> bool:
        if self.plan.deadline is None:
            return False
        ending = ending_seconds(self.plan.evaluation_seconds)
        return time.monotonic() + self.plan.seconds_per_step + ending > self.plan.deadline

    @property
    def _eval_every(self) -> int:
        return self.plan.config.eval_every or self.plan.steps

    def _is_due(self, step: int) -> bool:
        """Whether the step is to be evaluated or saved."""
        save_every = self.plan.config.save_every
        return bool((self.plan.split.val and not step % self._eval_every) or (save_every and not step % save_every))

    def _log_is_due(self, seconds: float) -> bool:
        every = self.plan.config.log_every
        return seconds >= LOG_INTERVAL if every is None else self.trainer.step % every == 0

    # ---- evaluating, saving, going back

    def _evaluate(self) -> Evaluated | None:
        progress, step = self.progress, self.trainer.step
        val_loss = self._loss_on(self.plan.split.val)
        clean_train_loss = self._loss_on(matching_rows(self.plan.split)[::GAP_STRIDE])
        if val_loss is None or clean_train_loss is None:
            return None
        best = math.isfinite(val_loss) and (progress.best_val_loss is None or val_loss < progress.best_val_loss)
        if best:
            progress.best_step, progress.best_val_loss = step, val_loss
        progress.since_best = 0 if best else progress.since_best + 1
        self.val_loss = val_loss
        return Evaluated(
            step=step,
            epoch=self.trainer.epoch,
            train_loss=self.trainer.train_loss,
            clean_train_loss=clean_train_loss,
            val_loss=val_loss,
            best=best,
            seconds=self._seconds(),
        )

    def _beginning(self) -> Iterator[Evaluated]:
        """What the model can do before its first step; no step file can be its best."""
        val_loss = self._loss_on(self.plan.split.val)
        clean_train_loss = self._loss_on(matching_rows(self.plan.split)[::GAP_STRIDE])
        if val_loss is not None and clean_train_loss is not None:
            yield Evaluated(
                step=0,
                epoch=0.0,
                train_loss=clean_train_loss,
                clean_train_loss=clean_train_loss,
                val_loss=val_loss,
                best=False,
                seconds=self._seconds(),
            )

    def _loss_on(self, rows: Sequence[Span]) -> float | None:
        return evaluate(self.trainer.evaluated, self.corpus, rows, self.plan.config.precision, self.should_stop)

    def _save(self, val_loss: float | None, *, finished: bool) -> Iterator[SaveEvent]:
        self.progress.handled_step, self.progress.finished = self.trainer.step, finished
        self.good = self._state(val_loss)
        yield from self.saver.save(self.good, self._seconds())

    def _go_back(self) -> Diverged:
        step = self.trainer.step
        self.progress.divergences += 1
        if self.progress.divergences > MAX_DIVERGENCES:
            raise DivergedError(
                f"the loss is not a number at step {step}, also after {MAX_DIVERGENCES} attempts at lower rates",
                hint=f"train with a lower --lr than {self.trainer.config.lr * self.trainer.lr_scale:g}",
            )
        lr_scale = self.trainer.lr_scale / 2
        self._restore(self.good)
        self.trainer.lr_scale = lr_scale
        return Diverged(
            step=step,
            back_to=self.trainer.step,
            learning_rate=self.trainer.config.lr * lr_scale,
            seconds=self._seconds(),
        )

    def _state(self, val_loss: float | None = None, *, interrupted: bool = False) -> ResumeState:
        trainer, progress = self.trainer, self.progress
        progress.train_loss = trainer.train_loss if trainer.step else None
        progress.lr_scale = trainer.lr_scale
        progress.seconds = self._seconds()
        checkpoint = Checkpoint(
            model=trainer.model.config,
            vocab=self.corpus.vocab,
            weights=trainer.evaluated.export(),
            run=self.run.name,
            step=trainer.step,
            epoch=trainer.epoch,
            train_loss=progress.train_loss,
            val_loss=val_loss,
            train=self.plan.config.to_json(),
            data={
                "name": self.corpus.name,
                "sha256": self.corpus.sha256,
                "characters": len(self.corpus),
                "commonest": self.corpus.vocab.characters[int(self.corpus.counts_V.argmax())],
                **self.init_from,
            },
            versions={"torch": torch.__version__},
            interrupted=interrupted,
        )
        return ResumeState(
            checkpoint=checkpoint,
            tensors=trainer.snapshot(),
            progress=dataclasses.asdict(progress),
            source=self.source,
        )

    def _restore(self, state: ResumeState) -> None:
        trainer, step = self.trainer, state.checkpoint.step
        expected = resume_tensor_shapes(trainer.model.config, self.plan.config) if step else {}
        if step and {name: array.shape for name, array in state.tensors.items()} != expected:
            raise FileFormatError(f"the state of run {self.run.name!r} does not fit its configuration")
        trainer.restore(state.checkpoint.weights, state.tensors)
        trainer.step = step
        loss = state.checkpoint.train_loss
        trainer.train_loss = math.nan if loss is None else loss
        trainer.lr_scale = float(state.progress["lr_scale"])

    # ---- telling

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _logged(self, characters: int, seconds: float) -> StepLogged:
        return StepLogged(
            step=self.trainer.step,
            epoch=self.trainer.epoch,
            train_loss=self.trainer.train_loss,
            learning_rate=self.trainer.learning_rate,
            chars_per_second=characters / max(seconds, 1e-9),
            seconds=self._seconds(),
        )

    def _end(self, reason: EndReason) -> Iterator[TrainEvent]:
        step, progress, plan = self.trainer.step, self.progress, self.plan
        train_loss = None
        if reason != "stopped" and plan.split.val:
            train_loss = self._loss_on(matching_rows(plan.split))
        if reason == "stopped" and step > progress.handled_step and self.trainer.is_finite():
            yield from self.saver.save(self._state(interrupted=True), self._seconds())
        elif reason != "stopped" and not progress.finished:  # nothing was left to do when it was resumed
            progress.finished = True
            yield from self.saver.save_resume(self._state(self.val_loss), self._seconds())
        if self.saver.error is not None:
            saved = [entry for entry in self.run.checkpoints() if entry.metadata]
            last = f"; the last good checkpoint is {self.run.reference(saved[-1].step)}" if saved else ""
            raise StorageError(f"{self.saver.error.message}{last}", hint=self.saver.error.hint)
        yield TrainingFinished(
            run=self.run.name,
            step=step,
            total_steps=plan.steps,
            epoch=self.trainer.epoch,
            train_loss=train_loss,
            val_loss=self.val_loss,
            best_step=progress.best_step,
            best_val_loss=progress.best_val_loss,
            reason=reason,
            seconds=self._seconds(),
        )

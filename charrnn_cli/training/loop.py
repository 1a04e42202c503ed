"""The training loop as a producer of events: when to step, evaluate, save, go back and end."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch

from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import DivergedError, RunBusyError, StorageError
from charrnn_cli.events import (
    BatchSplit,
    Diverged,
    Evaluated,
    Sampled,
    StepLogged,
    TrainEvent,
    TrainingFinished,
)
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.atomic import sweep_temporaries
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.metrics_log import record
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.splits import GAP_STRIDE, matching_rows, symbol_frequencies
from charrnn_cli.training.device import translate_memory_errors
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.plan import Plan, ending_seconds, make_plan
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.saver import SaveEvent, Saver
from charrnn_cli.training.snapshot import TrainingSnapshot
from charrnn_cli.training.trainer import Trainer

LOG_INTERVAL = 1.0  # seconds
MAX_DIVERGENCES = 3
SAMPLE_LENGTH = 200  # characters, a twentieth of a second

EndReason = Literal["complete", "time", "patience", "stopped"]


def train(
    corpus: Corpus,
    model: ModelConfig,
    config: TrainConfig | None = None,
    *,
    run: Run,
    resume: TrainingSnapshot | None = None,
    initial: Checkpoint | None = None,
    should_stop: Callable[[], bool] = never_stop,
    started: float | None = None,
    source: dict[str, Any] | None = None,
) -> Iterator[TrainEvent]:
    """Train in `run`, or go on from `resume`, and tell what happens as events; nothing is printed.

    A new run begins with the weights of `initial`, whose vocabulary the model's begins with, or with fresh ones.
    `should_stop` is asked between steps: the run is then saved and ended. `max_time` counts from `started`, a moment
    on `time.monotonic`'s clock. `source` is kept in the resume file for whoever resumes.
    Raises ConfigError, TextError, UnknownCharacterError, DeviceError, FileFormatError, RunBusyError, StorageError,
    DivergedError.
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
            if config.sample_prime is not None:
                corpus.vocab.encode(config.sample_prime)  # raises UnknownCharacterError
            with translate_memory_errors(
                "use a smaller --batch-size, --seq-len, --size or --layers"
            ):
                plan = make_plan(
                    corpus,
                    model,
                    config,
                    started=started,
                    first_step=first_step,
                    should_stop=should_stop,
                )
                fresh = resume is None and initial is None
                frequencies_V = symbol_frequencies(corpus, plan.split) if fresh else None
                trainer = Trainer(model, plan.config, plan.windows, plan.steps, frequencies_V)
                state = RunState(trainer, corpus, plan.config, run.name, source or {}, started)
                if resume is not None:
                    state.resume(resume)
                elif initial is not None:
                    state.load_initial_weights(initial)
                loop = _Loop(corpus, plan, run, saver, state, should_stop)
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
            f"run {run.name!r} was trained on to step {reached} meanwhile",
            hint=f"charrnn train --resume {run.name}",
        )


class _Loop:
    def __init__(
        self,
        corpus: Corpus,
        plan: Plan,
        run: Run,
        saver: Saver,
        state: RunState,
        should_stop: Callable[[], bool],
    ) -> None:
        self.corpus, self.plan, self.run, self.saver, self.should_stop = (
            corpus,
            plan,
            run,
            saver,
            should_stop,
        )
        self.state, self.trainer, self.progress = state, state.trainer, state.progress
        self.val_loss: float | None = None
        self.last_good = state.capture()  # where to go back to when the loss diverges

    def events(self) -> Iterator[TrainEvent]:
        yield self.plan.started(self.run.name, self.trainer.model.config, self.trainer.step)
        if self.state.init_from and not self.trainer.step and self.plan.split.val:
            beginning = self._measure()  # of the given weights; no step file can be its best
            if beginning is not None:
                yield beginning
        reason: EndReason = "complete"
        first_step = self.trainer.step
        logged_at, logged = time.monotonic(), 0
        log_now = True  # the first step at once: a sign of life
        healthy = True
        while True:
            if not healthy:
                yield self._go_back()
                logged_at, logged = time.monotonic(), self.trainer.characters
            step = self.trainer.step
            late = step > first_step and self._is_late()
            last = late or step >= self.plan.steps
            if step > self.progress.last_saved_step and (last or self._is_due(step)):
                healthy = self.trainer.is_healthy()
                if not healthy:
                    continue
                if self.plan.split.val and (last or not step % self._eval_every):
                    evaluated = self._evaluate()
                    if evaluated is None:
                        reason = "stopped"
                        break
                    healthy = math.isfinite(evaluated.val_loss)
                    if not healthy:
                        continue
                    yield evaluated
                    patient = self.progress.evaluations_since_best < (
                        self.plan.config.patience or math.inf
                    )
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
            healthy = self.trainer.update()
            if not healthy:
                continue
            if self.trainer.parts > parts:
                yield BatchSplit(
                    step=self.trainer.step, parts=self.trainer.parts, seconds=self.state.seconds
                )
            sample_every = self.plan.config.sample_every
            if sample_every and self.trainer.step % sample_every == 0 and self.trainer.is_healthy():
                yield self._sampled()
            now = time.monotonic()
            if log_now or self._log_is_due(now - logged_at):
                healthy = self.trainer.is_healthy()
                if not healthy:
                    continue
                yield self._logged(self.trainer.characters - logged, now - logged_at)
                logged_at, logged, log_now = time.monotonic(), self.trainer.characters, False
            if self.saver.resume_is_due and self.trainer.is_healthy():
                yield from self.saver.save_resume(self.state.capture(), self.state.seconds)
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
        return bool(
            (self.plan.split.val and not step % self._eval_every)
            or (save_every and not step % save_every)
        )

    def _log_is_due(self, seconds: float) -> bool:
        every = self.plan.config.log_every
        return seconds >= LOG_INTERVAL if every is None else self.trainer.step % every == 0

    # ---- evaluating, saving, going back

    def _evaluate(self) -> Evaluated | None:
        evaluated = self._measure()
        if evaluated is None:
            return None
        self.val_loss = evaluated.val_loss
        return dataclasses.replace(
            evaluated, best=self.progress.record_evaluation(evaluated.step, evaluated.val_loss)
        )

    def _measure(self) -> Evaluated | None:
        """Both losses without dropout; None when something asked to stop."""
        val_loss = self._loss_on(self.plan.split.val)
        clean_train_loss = self._loss_on(matching_rows(self.plan.split)[::GAP_STRIDE])
        if val_loss is None or clean_train_loss is None:
            return None
        return Evaluated(
            step=self.trainer.step,
            epoch=self.trainer.epoch,
            train_loss=self.trainer.train_loss if self.trainer.step else clean_train_loss,
            clean_train_loss=clean_train_loss,
            val_loss=val_loss,
            best=False,
            seconds=self.state.seconds,
        )

    def _loss_on(self, rows: Sequence[Span]) -> float | None:
        return evaluate(
            self.trainer.evaluated, self.corpus, rows, self.plan.config.precision, self.should_stop
        )

    def _save(self, val_loss: float | None, *, finished: bool) -> Iterator[SaveEvent]:
        self.progress.last_saved_step, self.progress.finished = self.trainer.step, finished
        self.last_good = self.state.capture(val_loss)
        yield from self.saver.save(self.last_good, self.state.seconds)

    def _go_back(self) -> Diverged:
        step = self.trainer.step
        self.progress.divergences += 1
        if self.progress.divergences > MAX_DIVERGENCES:
            raise DivergedError(
                f"the loss blew up at step {step}, also after {MAX_DIVERGENCES} attempts at lower rates",
                hint=f"train with a lower --lr than {self.trainer.config.lr * self.trainer.lr_scale:g}",
            )
        lr_scale = self.trainer.lr_scale / 2
        self.state.restore(self.last_good)
        self.trainer.lr_scale = lr_scale
        return Diverged(
            step=step,
            back_to=self.trainer.step,
            learning_rate=self.trainer.config.lr * lr_scale,
            seconds=self.state.seconds,
        )

    # ---- telling

    def _logged(self, characters: int, seconds: float) -> StepLogged:
        return StepLogged(
            step=self.trainer.step,
            epoch=self.trainer.epoch,
            train_loss=self.trainer.train_loss,
            learning_rate=self.trainer.learning_rate,
            chars_per_second=characters / max(seconds, 1e-9),
            seconds=self.state.seconds,
        )

    def _sampled(self) -> Sampled:
        checkpoint = self.state.checkpoint()
        prime = self.plan.config.sample_prime or checkpoint.default_prime
        text = "".join(
            generate(checkpoint, prime, length=SAMPLE_LENGTH, seed=self.plan.config.seed)
        )
        return Sampled(step=self.trainer.step, prime=prime, text=text, seconds=self.state.seconds)

    def _end(self, reason: EndReason) -> Iterator[TrainEvent]:
        step, progress, plan = self.trainer.step, self.progress, self.plan
        train_loss = None
        if reason != "stopped" and plan.split.val:
            train_loss = self._loss_on(matching_rows(plan.split))
        if reason == "stopped" and step > progress.last_saved_step and self.trainer.is_healthy():
            yield from self.saver.save(self.state.capture(interrupted=True), self.state.seconds)
        elif (
            reason != "stopped" and not progress.finished
        ):  # nothing was left to do when it was resumed
            progress.finished = True
            yield from self.saver.save_resume(self.state.capture(self.val_loss), self.state.seconds)
        if self.saver.error is not None:
            saved = [entry for entry in self.run.checkpoints() if entry.metadata]
            last = (
                f"; the last good checkpoint is {self.run.reference(saved[-1].step)}"
                if saved
                else ""
            )
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
            seconds=self.state.seconds,
        )

"""The training loop, a generator of events that performs one action at a time."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from charrnn_cli.errors import DivergedError, RunBusyError
from charrnn_cli.events import (
    BatchSplit,
    Diverged,
    Evaluated,
    Sampled,
    StepLogged,
    TrainEvent,
    TrainingFinished,
)
from charrnn_cli.model.sampling import generate, shown_prime
from charrnn_cli.storage.metrics_log import record
from charrnn_cli.text.rows import Span
from charrnn_cli.text.splits import symbol_frequencies
from charrnn_cli.training.actions import (
    ENDINGS,
    Action,
    LoopCounters,
    is_last,
    is_out_of_patience,
    next_action,
)
from charrnn_cli.training.calibration import calibrate
from charrnn_cli.training.decisions import Calibration
from charrnn_cli.training.device import restored_threads, translate_memory_errors
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.final_test import final_test
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.plan import Plan, make_plan
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.saver import Saver, check_room
from charrnn_cli.training.snapshot import check_snapshot
from charrnn_cli.training.speed import PlanWatch, SpeedWatch
from charrnn_cli.training.trainer import make_trainer

MAX_DIVERGENCES = 3
SAMPLE_LENGTH = 200  # characters, generated in a twentieth of a second


def train(
    job: TrainingJob,
    *,
    should_stop: Callable[[], bool] = never_stop,
    started: float | None = None,
    calibration: Calibration | None = None,
    reserve: float = 0.0,
) -> Iterator[TrainEvent]:
    """Train a job, and report progress as events; nothing is printed.

    The generator is lazy: work is done only while events are taken from it. A `break` loses the
    steps since the last save, about a minute at most; `should_stop` is polled between steps and
    saves before the run ends. `max_time` counts from `started`, on `time.monotonic`'s clock; by
    default, from the first event. `calibration` is that of this job, if it was measured before.
    `reserve` seconds of `max_time` are left for the caller's work after the last event.
    Raises ConfigError, TextError, DeviceError, FileFormatError, RunBusyError, StorageError,
    MemoryShortageError, DivergedError.
    """
    started = time.monotonic() if started is None else started
    with job.held() as held, restored_threads():
        saver = Saver(held.run, held.config.keep)  # puts a damaged resume file aside first
        _check_not_advanced(held)
        with translate_memory_errors("use a smaller --batch-size, --seq-len, --size or --layers"):
            if calibration is None:
                calibration = calibrate(held, should_stop)
            torch.set_num_threads(calibration.threads)
            now = time.monotonic()
            plan = make_plan(held, calibration, started=started, now=now, reserve=reserve)
            is_fresh = held.snapshot is None and held.initial is None
            frequencies_V = symbol_frequencies(held.corpus, held.split) if is_fresh else None
            trainer = make_trainer(held, plan.decisions, plan.windows, frequencies_V)
            state = RunState(held, plan.decisions, trainer, started)
            loop = _Loop(held, plan, saver, state, should_stop)
            yield from record(loop.events(), held.run)


def _check_not_advanced(job: TrainingJob) -> None:
    """Raise RunBusyError if the run has advanced since the job was prepared."""
    reached = job.run.resume_header()
    if reached is not None and reached.step != job.first_step:
        raise RunBusyError(
            f"another process has trained run {job.run.name!r} to step {reached.step}",
            hint=f"charrnn train --resume {job.run.name}",
        )


class _Loop:
    """Performs the actions that `next_action` names."""

    def __init__(
        self,
        job: TrainingJob,
        plan: Plan,
        saver: Saver,
        state: RunState,
        should_stop: Callable[[], bool],
    ) -> None:
        self.job, self.plan, self.saver, self.should_stop = job, plan, saver, should_stop
        self.state, self.trainer, self.run = state, state.trainer, state.counters
        self.counters = LoopCounters.at(self.trainer.step, self.run, time.monotonic())
        self.evaluated: Evaluated | None = None  # at the present step
        self.last_good = state.capture()  # restored after a divergence
        self._logged_characters = 0
        self._speed = SpeedWatch()
        self._pace = PlanWatch(plan, self.trainer.step, time.monotonic())
        self._perform: dict[Action, Callable[[], Iterator[TrainEvent]]] = {
            Action.UPDATE: self._update,
            Action.SAMPLE: self._sample,
            Action.LOG: self._log,
            Action.EVALUATE: self._evaluate,
            Action.SAVE: self._save,
            Action.SAVE_RESUME: self._save_resume,
            Action.GO_BACK: self._go_back,
        }

    def events(self) -> Iterator[TrainEvent]:
        """Yield all events of the run."""
        check_snapshot(self.last_good)
        free = check_room(self.job.run, self.plan.first_save_bytes(self.job.model))
        yield self.plan.started(self.job, self.trainer.step, free)
        if self.state.init_from and not self.trainer.step and self.plan.val:
            # The initial weights have no step file, so they are never the best.
            beginning = self._measure()
            if beginning is not None:
                yield beginning
        while (action := self._next()) not in ENDINGS:
            yield from self._perform[action]()
        yield from self._end(action)

    def _next(self) -> Action:
        self.counters.stop_requested |= self.should_stop()
        action = next_action(time.monotonic(), self.plan, self.counters)
        # A stop ends the run at a state that can be saved, or that is saved already.
        return Action.GO_BACK if action is Action.STOPPED and not self._is_healthy() else action

    # ---- actions

    def _update(self) -> Iterator[TrainEvent]:
        parts, characters, before = self.trainer.parts, self.trainer.characters, time.monotonic()
        self.counters.healthy = self.trainer.update()
        self.counters.step = self.trainer.step
        best = self._speed.best
        speed = self._speed.add(time.monotonic() - before, self.trainer.characters - characters)
        self.counters.slowness = self._speed.slowness(self.plan)
        if speed is not None:
            yield self.state.slowed_down(speed, best)
        fitting = self._pace.fitting(self.plan, self.trainer.step, time.monotonic())
        if fitting is not None:
            self.plan = fitting
            event = self.state.follow(fitting.config, fitting.decisions)
            yield from self._save_resume()  # before it is reported: a resumed run follows it, too
            yield event
        if self.trainer.parts > parts:
            yield BatchSplit(
                step=self.trainer.step, parts=self.trainer.parts, seconds=self.state.seconds
            )

    def _sample(self) -> Iterator[TrainEvent]:
        self.counters.sampled_step = self.counters.step
        if not self._is_healthy():
            return
        checkpoint = self.state.checkpoint()
        prime = self.job.config.sample_prime or shown_prime(checkpoint)
        seed = self.plan.decisions.seed
        text = "".join(generate(checkpoint, prime, length=SAMPLE_LENGTH, seed=seed))
        yield Sampled(step=self.trainer.step, prime=prime, text=text, seconds=self.state.seconds)

    def _log(self) -> Iterator[TrainEvent]:
        if not self._is_healthy():
            return
        characters, now = self.trainer.characters, time.monotonic()
        elapsed = max(now - self.counters.logged_at, 1e-9)
        yield StepLogged(
            step=self.trainer.step,
            epoch=self.trainer.epoch,
            running_loss=self.trainer.running_loss,
            learning_rate=self.trainer.learning_rate,
            chars_per_second=(characters - self._logged_characters) / elapsed,
            seconds=self.state.seconds,
        )
        self._restart_log()

    def _evaluate(self) -> Iterator[TrainEvent]:
        evaluated = self._measure() if self._is_healthy() else None
        if evaluated is None:  # a stop was requested, or the loss has diverged
            self.counters.stop_requested |= self.counters.healthy
            return
        self.counters.healthy = math.isfinite(evaluated.val_loss)
        if not self.counters.healthy:
            return
        best = self.run.record_evaluation(evaluated.step, evaluated.val_loss)
        self.counters.evaluated_step = evaluated.step
        self.evaluated = dataclasses.replace(evaluated, best=best)
        yield self.evaluated

    def _save(self) -> Iterator[TrainEvent]:
        if not self._is_healthy():
            return
        evaluated = self.counters.evaluated_step == self.counters.step
        last = is_last(time.monotonic(), self.plan, self.counters)
        self.run.last_saved_step = self.counters.step
        self.run.finished = last or (evaluated and is_out_of_patience(self.plan, self.run))
        self.last_good = self.state.capture(self.evaluated if evaluated else None)
        yield from self.saver.save(self.last_good, self.state.seconds)
        self.counters.resume_saved_at = time.monotonic()

    def _save_resume(self) -> Iterator[TrainEvent]:
        if self._is_healthy():
            yield from self.saver.save_resume(self.state.capture(), self.state.seconds)
            self.counters.resume_saved_at = time.monotonic()

    def _go_back(self) -> Iterator[TrainEvent]:
        step, rate = self.trainer.step, self.job.config.lr
        self.run.divergences += 1
        if self.run.divergences > MAX_DIVERGENCES:
            raise DivergedError(
                f"the loss diverged at step {step}, after {MAX_DIVERGENCES} retries at lower rates",
                hint=f"use an --lr below {rate * self.trainer.lr_scale:g}",
            )
        lr_scale = self.trainer.lr_scale / 2
        self.state.restore(self.last_good, lr_scale)
        back_to = self.trainer.step
        self.counters.step = self.counters.sampled_step = back_to
        self.counters.evaluated_step = min(self.counters.evaluated_step, back_to)
        self.counters.healthy = True
        self._restart_log()
        yield Diverged(
            step=step, back_to=back_to, learning_rate=rate * lr_scale, seconds=self.state.seconds
        )

    # ---- helpers of the actions

    def _is_healthy(self) -> bool:
        """Ask the trainer, which may wait for the device, and record the answer."""
        self.counters.healthy = self.trainer.is_healthy()
        return self.counters.healthy

    def _restart_log(self) -> None:
        self.counters.logged_step, self.counters.logged_at = self.trainer.step, time.monotonic()
        self._logged_characters = self.trainer.characters

    def _measure(self) -> Evaluated | None:
        """Return both losses without dropout, or None if a stop was requested."""
        val_loss = self._loss_on(self.plan.val)
        train_loss = self._loss_on(self.plan.matching)
        if val_loss is None or train_loss is None:
            return None
        return Evaluated(
            step=self.trainer.step,
            epoch=self.trainer.epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            best=False,
            seconds=self.state.seconds,
        )

    def _loss_on(self, rows: Sequence[Span]) -> float | None:
        model, corpus, ngrams = self.trainer.evaluated, self.job.corpus, self.trainer.ngrams
        precision = self.plan.decisions.precision
        return evaluate(model, corpus, rows, precision, self.should_stop, ngrams)

    # ---- the end

    def _end(self, reason: Action) -> Iterator[TrainEvent]:
        step, stopped = self.trainer.step, reason is Action.STOPPED
        if stopped and step > self.run.last_saved_step:
            snapshot = self.state.capture(interrupted=True)
            yield from self.saver.save(snapshot, self.state.seconds)
        elif not stopped and not self.run.finished:  # resumed when nothing was left to do
            self.run.finished = True
            yield from self.saver.save_resume(
                self.state.capture(self.evaluated), self.state.seconds
            )
        self.saver.check_saved()
        if not stopped:
            yield from final_test(self.job, self.plan, self.state, self.should_stop)
        last = self.evaluated if self.counters.evaluated_step == step else None
        yield TrainingFinished(
            run=self.job.run.name,
            step=step,
            total_steps=self.plan.decisions.steps,
            epoch=self.trainer.epoch,
            train_loss=getattr(last, "train_loss", None),
            val_loss=getattr(last, "val_loss", None),
            best_step=self.run.best_step,
            best_val_loss=self.run.best_val_loss,
            reason=reason.value,
            seconds=self.state.seconds,
        )

"""The actions of a training loop, performed one at a time."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

from charrnn_cli.errors import DivergedError
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
from charrnn_cli.text.rows import Span
from charrnn_cli.training.actions import (
    ENDINGS,
    SHARED,
    Action,
    LoopCounters,
    is_last,
    is_out_of_patience,
    is_resume_due,
    next_action,
)
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.final_test import final_test
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.plan import Plan
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.saver import NoSaver, Saver, check_room
from charrnn_cli.training.snapshot import check_snapshot
from charrnn_cli.training.speed import PlanWatch, SpeedWatch
from charrnn_cli.training.wishes import Wishes

MAX_DIVERGENCES = 3
SAMPLE_LENGTH = 200  # characters, generated in a twentieth of a second


class ActionLoop:
    """Performs the actions that `next_action` names.

    Several processes perform the same ones: with each step, they agree on what depends on time and
    signals. The first process alone writes and shows.
    """

    def __init__(
        self,
        job: TrainingJob,
        plan: Plan,
        saver: Saver | NoSaver,
        state: RunState,
        should_stop: Callable[[], bool],
    ) -> None:
        self.job, self.plan, self.saver, self.should_stop = job, plan, saver, should_stop
        self.state, self.trainer, self.run = state, state.trainer, state.counters
        self.processes = state.trainer.processes
        self.processes.ask = self._wishes
        self.counters = LoopCounters.at(self.trainer.step, self.run, time.monotonic())
        if not self.processes.is_alone:
            self.counters.agreed = Wishes()
        self.evaluated: Evaluated | None = None  # at the present step
        self.last_good = state.capture()  # restored after a divergence
        self._logged_characters = 0
        self._speed = SpeedWatch()
        self._pace = PlanWatch(plan, self.trainer.step, time.monotonic())
        self._fitting: Plan | None = None  # to agree on
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
        free = 0
        if self.processes.is_first:
            free = check_room(self.job.run, self.plan.first_save_bytes(self.job.model))
        yield self.plan.started(self.job, self.trainer.step, free)
        if self.state.init_from and not self.trainer.step and self.plan.val:
            # The initial weights have no step file, so they are never the best.
            beginning = self._measure()
            if beginning is not None:
                yield beginning
        while (action := self._next()) not in ENDINGS:
            yield from self._perform[action]()
            if action in SHARED:
                self.processes.wait_for_first()
        yield from self._end(action)

    def _next(self) -> Action:
        if self.processes.is_alone:
            self.counters.stop_requested |= self.should_stop()
        action = next_action(time.monotonic(), self.plan, self.counters)
        # A stop ends the run at a state that can be saved, or that is saved already.
        return Action.GO_BACK if action is Action.STOPPED and not self._is_healthy() else action

    def _wishes(self) -> Wishes:
        """Return what this process wants; what depends on time is up to the first one."""
        stop = self.should_stop()
        if not self.processes.is_first:
            return Wishes(stop)
        now, counters = time.monotonic(), self.counters
        late, save = self.plan.is_late(now, counters.slowness), is_resume_due(now, counters)
        return Wishes(stop, late, save, replan=self._fitting is not None)

    # ---- actions

    def _update(self) -> Iterator[TrainEvent]:
        parts, characters, before = self.trainer.parts, self.trainer.characters, time.monotonic()
        self.counters.healthy = self.trainer.update()
        self.counters.step = self.trainer.step
        if not self.processes.is_alone:
            self.counters.agreed = self.processes.agreed
            self.counters.stop_requested |= self.processes.agreed.stop
        if self.processes.is_first:
            best = self._speed.best
            duration = time.monotonic() - before
            speed = self._speed.add(duration, self.trainer.characters - characters)
            self.counters.slowness = self._speed.slowness(self.plan)
            if speed is not None:
                yield self.state.slowed_down(speed, best)
        yield from self._replan()
        if self.trainer.parts > parts:
            yield BatchSplit(
                step=self.trainer.step, parts=self.trainer.parts, seconds=self.state.seconds
            )

    def _replan(self) -> Iterator[TrainEvent]:
        """Fit the plan to a slower machine, after the step in which all agree on it."""
        fitting, self._fitting = self._fitting, None
        if self.processes.is_alone or fitting is None:
            now = time.monotonic()
            fitting = self._fitting = self._pace.fitting(self.plan, self.trainer.step, now)
        if not (self.processes.is_alone or self.processes.agreed.replan):
            return
        if not self.processes.is_alone:
            steps, per_step = self.processes.total(
                *((fitting.decisions.steps, fitting.seconds_per_step) if fitting else (0, 0))
            )
            fitting = self.plan.replanned(self.trainer.step, int(steps), per_step)
        self._fitting = None
        if fitting is not None:
            self.plan = fitting
            event = self.state.follow(fitting.config, fitting.decisions)
            yield from self._save_resume()  # before it is reported: a resumed run follows it, too
            yield event

    def _sample(self) -> Iterator[TrainEvent]:
        self.counters.sampled_step = self.counters.step
        if not self._is_healthy() or not self.processes.is_first:
            return
        checkpoint = self.state.checkpoint()
        prime = self.job.config.sample_prime or shown_prime(checkpoint)
        seed = self.plan.decisions.seed
        text = "".join(generate(checkpoint, prime, length=SAMPLE_LENGTH, seed=seed))
        yield Sampled(step=self.trainer.step, prime=prime, text=text, seconds=self.state.seconds)

    def _log(self) -> Iterator[TrainEvent]:
        if not self.trainer.is_healthy():  # may wait for the device
            # Several processes go back together, and each has a clock of its own.
            self.counters.healthy = not self.processes.is_alone
            self._restart_log()
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
        self._restart_minute()

    def _save_resume(self) -> Iterator[TrainEvent]:
        if self._is_healthy():
            yield from self.saver.save_resume(self.state.capture(), self.state.seconds)
            self._restart_minute()

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

    def _restart_minute(self) -> None:
        self.counters.resume_saved_at = time.monotonic()
        if self.counters.agreed is not None:
            self.counters.agreed = dataclasses.replace(self.counters.agreed, save=False)

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
        return evaluate(model, corpus, rows, precision, self.should_stop, ngrams, self.processes)

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
        if not stopped and self.processes.is_first:
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

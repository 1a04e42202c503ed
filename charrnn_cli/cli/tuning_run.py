"""A study in the terminal: its trials one after the other, signals, and the table at the end."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.study_clock import StudyClock
from charrnn_cli.cli.study_end import end_study
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.phases import SECONDS_TO_LOAD, Phases
from charrnn_cli.cli.terminal.tuning_output import end_facts, start_facts, trial_facts
from charrnn_cli.errors import (
    ConfigError,
    DivergedError,
    InterruptionError,
    MemoryShortageError,
)
from charrnn_cli.events import TrainEvent, TrainingFinished
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.tensorboard import check_tensorboard, log_to_tensorboard
from charrnn_cli.training.tuning.events import TrialFinished, TrialStarted, TuningStarted
from charrnn_cli.training.tuning.rounds import Finished, Wait, winner

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.tuning.study import Study, Task

STOPPING = "finishing this step, then saving; press Ctrl-C again to exit without saving"
POLL_INTERVAL = 0.2  # seconds between looks at the trials of other processes


class TuningRun:
    """This process's work on a study, and its messages."""

    def __init__(
        self,
        *,
        quiet: bool,
        as_json: bool,
        tensorboard: Path | None,
        machine: Mapping[str, Any],
    ) -> None:
        """`machine` has settings of this computer that replace the study's."""
        self.quiet, self.as_json = quiet or as_json, as_json
        self.only_reference = quiet and not as_json
        self.tensorboard, self.machine = tensorboard, machine
        if tensorboard is not None:
            check_tensorboard()
        self.stop = StopRequest(lambda: self.say([("stop", STOPPING)]))
        self._clock = StudyClock()

    def say(self, facts: Iterable[tuple[str, str]]) -> None:
        if not self.quiet:
            for label, text in facts:
                console.say(label, text)

    def emit(self, event: Any) -> None:
        """Write an event as a line of JSON, with --json."""
        if self.as_json:
            console.write_line(safe_text.to_json(event_to_json(event, utc_now())))

    def run(self, open_study: "Callable[[Phases], Study]", *, joins: bool = False) -> None:
        """Work on a study until it is finished or, if it `joins`, until nothing is left to take.

        Raises InterruptionError after a signal, with the command that goes on.
        """
        with self.stop.listening():
            with Phases(self.stop, quiet=self.quiet) as phases:
                study = open_study(phases)
            try:
                self._work(study, joins=joins)
            except InterruptionError as stop:
                hint = f"charrnn tune --resume {study.files.name}"
                raise InterruptionError(
                    stop.message, signum=stop.exit_code - 128, hint=hint
                ) from stop

    def _work(self, study: "Study", *, joins: bool) -> None:
        spec, name = study.spec, study.files.name
        event = TuningStarted(
            study=name,
            budget=spec.budget,
            spent=sum(each.seconds for each in study.trials()),
            trials=[each.trials for each in spec.rounds],
            space=list(map(str, spec.space)),
            seed=spec.seed,
        )
        self.emit(event)
        self.say(start_facts(event, spec.rounds))
        if (points := spec.rounds[0].trials) < spec.trials:
            few = f"all {points} points" if points > 1 else "the only point"
            self.say([("note", f"the first round tries {few} of the space, none twice")])
        is_waiting = False
        while True:
            self.stop.check()
            with study.next_task() as task:
                match task:
                    case Finished():
                        break
                    case Wait(is_last_round) if joins and is_last_round:
                        break
                    case Wait():
                        self.say([] if is_waiting else [("wait", "for trials of other processes")])
                        is_waiting = True
                    case _:
                        is_waiting = False
                        self._train(study, task)
            if is_waiting:
                time.sleep(POLL_INTERVAL)
        if joins:
            self.say(
                [("done", "no trial is left to take"), ("next", f"charrnn tune --resume {name}")]
            )
        else:
            end_study(self, study, self._clock.left(study))

    # ---- one trial

    def _train(self, study: "Study", task: "Task") -> None:
        """Train a trial, and record how it ended."""
        with Phases(self.stop, quiet=self.quiet) as phases:
            phases.announce("loading torch", 0.0 if "torch" in sys.modules else SECONDS_TO_LOAD)
            from charrnn_cli.training.tuning.trial_job import (
                prune_loser,
                recorded_loss,
                run_of_trial,
                trained_seconds,
                trial_run,
            )

        run = trial_run(study.files.name, task.number)
        problem, loss = None, None
        if task.is_adopted:
            loss = recorded_loss(run)
            counted = next(each.seconds for each in study.trials() if each.number == task.number)
            self._clock.adopt(max(counted, trained_seconds(run)))
        if loss is None:
            try:
                loss, problem = self._attempt(study, task, run)
            except InterruptionError:
                study.count_time(task, self._clock.taken)
                raise
        took = self._clock.finish()
        study.tell(task, loss, took, problem)
        best = winner(study.known())
        prune_loser(study.files.name, study.spec, study.known(), task.number)
        ended = TrialFinished(
            study=study.files.name,
            trial=task.number,
            round=task.round + 1,
            run=run.name,
            val_loss=loss,
            seconds=took,
            problem=problem,
            best_run=None if best is None else run_of_trial(study.files.name, best.number),
            best_val_loss=None if best is None else best.val_loss,
        )
        self.emit(ended)
        self.say(end_facts(ended))

    def _attempt(self, study: "Study", task: "Task", run: Run) -> tuple[float | None, str | None]:
        """Train the run of a trial; return its lowest loss, or why it has none.

        Raises InterruptionError after a signal.
        """
        from charrnn_cli.training.tuning.trial_job import discard_unsaved, with_limit

        if task.is_adopted:
            discard_unsaved(run, study.spec)
        is_resumed = run.has_resume_file()
        seconds = None if is_resumed else self._clock.seconds_of(study, task)
        event = TrialStarted(
            study=study.files.name,
            trial=task.number,
            round=task.round + 1,
            run=run.name,
            params=task.params,
            max_seconds=seconds,
            resumed=is_resumed,
        )
        self.emit(event)
        self.say(trial_facts(event, study.spec.default))
        try:
            with Phases(self.stop, quiet=self.quiet) as phases:
                job = self._job(study, task, run.name, seconds, phases, is_resumed=is_resumed)
                if seconds is not None:  # reading the text took some of what all trials share
                    job = with_limit(job, self._clock.seconds_of(study, task))
                return self._show(study, job, task, phases), None
        except (DivergedError, MemoryShortageError, ConfigError) as error:
            return None, error.message  # its time is too short for the model, for example

    def _job(
        self,
        study: "Study",
        task: "Task",
        name: str,
        seconds: float | None,
        phases: Phases,
        *,
        is_resumed: bool,
    ) -> "TrainingJob":
        from charrnn_cli.training.job import TrainingJob
        from charrnn_cli.training.tuning.trial_job import trial_job

        phases.announce("encoding")
        if is_resumed:
            return TrainingJob.resumed(name, self.machine, progress=phases.progress)
        return trial_job(
            study.spec,
            task.params,
            name=name,
            machine=self.machine,
            seconds=seconds,
            progress=phases.progress,
            announce=phases.announce,
        )

    def _show(self, study: "Study", job: "TrainingJob", task: "Task", phases: Phases) -> float:
        """Train while showing the events; return the lowest loss. A limit of time counts from now.

        Raises InterruptionError after a signal, and as `train` does.
        """
        from charrnn_cli.training.tuning.trial_job import train_trial

        started = time.monotonic()
        events: Iterable[TrainEvent] = train_trial(job, task.params, self.stop, started)
        if self.tensorboard is not None:
            events = log_to_tensorboard(events, self.tensorboard)
        events = phases.before(events)
        if not self.quiet and console.is_live(sys.stderr):
            from charrnn_cli.cli.terminal.training_output import show

            limit = job.config.max_time
            events = show(events, deadline=None if limit is None else started + limit)
        elif not self.quiet:
            from charrnn_cli.cli.terminal.training_output import with_warnings

            events = with_warnings(events)
        finished: TrainingFinished | None = None
        for event in events:
            self._clock.count(study, task)
            if isinstance(event, TrainingFinished):
                finished = event
        assert finished is not None
        if self.stop.signum is not None and finished.reason == "stopped":
            saved = f", saved {finished.run}@{finished.step}" if finished.step else ""
            raise InterruptionError(
                f"stopped {finished.run} at step {finished.step}{saved}", signum=self.stop.signum
            )
        if finished.best_val_loss is None:
            raise DivergedError(f"run {finished.run} was never evaluated")
        return finished.best_val_loss

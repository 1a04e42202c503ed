"""A training job in the terminal: facts, live events, advice and the next command."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.dry_run import needs_facts, timed_plan
from charrnn_cli.cli.new_job import prepare
from charrnn_cli.cli.next_commands import (
    AFRESH,
    command_to_sample,
    complete_facts,
    interruption,
    try_facts,
    words_to_continue,
)
from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.sample_copies import compared, copy_facts, seconds_to_compare, write_json
from charrnn_cli.cli.scale import measured_scale, scale_facts
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.start_or_resume import settings_left
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.corpus_output import (
    describe_corpus,
    describe_texts,
    describe_unread,
    list_files,
)
from charrnn_cli.cli.terminal.phases import SECONDS_TO_LOAD, SECONDS_TO_TIME, Phases
from charrnn_cli.cli.terminal.run_facts import (
    end_facts,
    job_facts,
    name_facts,
    overlap_facts,
    plan_facts,
    shorter_run_facts,
    thread_facts,
)
from charrnn_cli.cli.terminal.verdict import plan_verdict, run_verdict, verdict_to_json
from charrnn_cli.errors import CharrnnError, InterruptionError, StorageError
from charrnn_cli.events import (
    BestTested,
    CheckpointRemoved,
    Evaluated,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.metrics_log import Metrics, event_to_json, read_metrics
from charrnn_cli.storage.paths import check_writable, runs_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.training.tensorboard import check_tensorboard, log_to_tensorboard

if TYPE_CHECKING:
    from charrnn_cli.training.decisions import Calibration
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.process_group import ProcessGroup

STOPPING = "finishing this step, then saving; press Ctrl-C again to exit without saving"


class TrainingRun:
    """One run and its messages, which `quiet` and `as_json` turn off; `group` trains it, if any."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        as_json: bool = False,
        tensorboard: Path | None = None,
        stop: StopRequest | None = None,
        group: "ProcessGroup | None" = None,
    ) -> None:
        self.quiet, self.as_json = quiet or as_json, as_json
        self.only_reference = quiet and not as_json
        self.started = STARTED  # a time limit counts from here, on `time.monotonic`'s clock
        self.rename: Callable[[TrainingJob], TrainingJob] = lambda job: job
        self._is_open = False  # whether nothing decides the model and the length of the run
        self._is_planned = False  # whether the time has chosen the model
        self._starts_afresh = False  # whether that was typed
        self._evaluations: list[Evaluated] = []
        self._tested: BestTested | None = None
        self.tensorboard = tensorboard
        if tensorboard is not None:
            check_tensorboard()
        self.stop, self._group = stop or StopRequest(), group
        self.stop.acknowledge = lambda: self.say("stop", STOPPING)

    def say(self, label: str, text: str) -> None:
        if not self.quiet:
            console.say(label, text)

    def _say_all(self, facts: Iterable[tuple[str, str]]) -> None:
        for label, text in facts:
            self.say(label, text)

    # ---- a new run, or a resumed one

    def new(
        self,
        source: Source,
        settings: Mapping[str, Any],
        *,
        options: Mapping[str, Any] | None = None,
        preset: str | None = None,
        name: str | None = None,
        dry_run: bool = False,
    ) -> str:
        """Train a new run, or only show its plan with `dry_run`. Return its name."""
        if not dry_run:
            check_writable(runs_directory())
        self.say("charrnn", f"reading {describe_texts(list(source.paths))}")
        with self.stop.listening(), Phases(self.stop, quiet=self.quiet) as phases:
            phases.announce("encoding")
            new = prepare(
                source,
                settings,
                options=options,
                preset=preset,
                name=name,
                say=self._say_all,
                stop=self.stop,
                phases=phases,
                started=self.started,
            )
            new = dataclasses.replace(new, job=self.rename(new.job))
            if dry_run:
                self._say_all(list_files(new.job.corpus))
            self._say_all([*name_facts(new.job.run), *job_facts(new.job)])
            if not self.quiet:
                phases.announce("looking for validation text in the training text")
                self._say_all(overlap_facts(new.job))
            self._is_open, self._is_planned = new.is_open, new.calibration is not None
            self._starts_afresh = source.init_from == AFRESH
            if dry_run:
                event = timed_plan(
                    new.job, new.calibration, self.stop, phases, as_json=self.as_json
                )
                self._say_plan(new.job, event)
                self._say_all(needs_facts(event))
            else:
                self._train(new.job, phases, new.calibration)
        return new.job.run.name

    def resume(
        self,
        reference: str,
        settings: Mapping[str, Any],
        *,
        texts: Sequence[Path] = (),
        options: Mapping[str, Any] | None = None,
        allow_new_data: bool = False,
        goes_on: bool = False,
    ) -> None:
        """Resume a run unless it is complete; it `goes_on` if the same command started it."""
        from charrnn_cli.training.job import TrainingJob
        from charrnn_cli.training.resume import is_complete, open_resume_point
        from charrnn_cli.training.resume_text import resumed_source

        point = open_resume_point(reference, Registry())
        if point.warning is not None:
            self.say("warning", point.warning)
        settings = settings_left(point, settings) if goes_on else settings
        if is_complete(point, settings) or (goes_on and point.snapshot.counters.finished):
            facts = complete_facts(point, {} if goes_on else settings, texts)
            self._say_all(facts[:1] if goes_on else facts)
            if self.only_reference:
                console.write_line(f"{point.run.name}@{point.chosen_step}")
            return
        source, _ = resumed_source(point, texts, options)
        check_writable(point.run.path)
        self.say("charrnn", f"reading {describe_texts(list(source.paths))}")
        with self.stop.listening(), Phases(self.stop, quiet=self.quiet) as phases:
            phases.announce("encoding")
            job = TrainingJob.resumed(
                point,
                settings,
                texts=texts,
                options=options,
                allow_new_data=allow_new_data,
                progress=phases.progress,
            )
            self._say_all(describe_corpus(job.corpus))
            self._train(job, phases)

    def _say_plan(self, job: "TrainingJob", event: TrainingStarted) -> None:
        """Describe the plan, judge it, and name a better command if there is one."""
        if self.quiet:
            return
        facts, diagnosis = plan_verdict(job, event, is_planned=self._is_planned)
        self._say_all([*plan_facts(event), *facts])
        seconds, afresh = event.seconds_planned, self._starts_afresh
        self._say_all(try_facts(job, diagnosis, seconds=seconds, starts_afresh=afresh))
        self._say_all(shorter_run_facts(job, event) if self._is_open else [])

    def _train(
        self, job: "TrainingJob", phases: Phases, calibration: "Calibration | None" = None
    ) -> None:
        """Train while showing the events, then print advice and the next command.

        Raises InterruptionError after a signal.
        """
        scale = {} if self.quiet else measured_scale(job, phases, self.stop.check)
        self._say_all(scale_facts(scale))
        job = dataclasses.replace(job, scale=scale)
        phases.announce("loading torch", SECONDS_TO_LOAD if calibration is None else 0)
        from charrnn_cli.training.loop import train

        if calibration is None:
            phases.announce(f"timing steps of {job.model}", SECONDS_TO_TIME)
        events: Iterable[TrainEvent] = train(
            job,
            should_stop=self.stop,
            started=self.started,
            calibration=calibration,
            reserve=0.0 if self.only_reference else seconds_to_compare(job),
            group=self._group,
        )
        if self.tensorboard is not None:
            events = log_to_tensorboard(events, self.tensorboard)
        started, finished, lost = self._show(job, phases.before(events))
        if self.stop.signum is not None and finished.reason == "stopped":
            raise interruption(finished, self.stop.signum)
        self._say_all([*end_facts(finished, self._tested), *describe_unread(job.corpus)])
        if not self.only_reference:
            as_json = self.as_json and lost is None
            self._say_all(copy_facts(copies := compared(job, started, finished, self.started)))
            write_json(copies if as_json else None)
            self._say_verdict(job, started, finished, as_json=as_json)
        else:
            console.write_line(f"{finished.run}@{finished.chosen_step}")
        self.say("next", command_to_sample(finished.run, has_items=job.corpus.has_items))
        if lost is not None:
            raise lost

    def _say_verdict(
        self,
        job: "TrainingJob",
        started: TrainingStarted,
        finished: TrainingFinished,
        *,
        as_json: bool,
    ) -> None:
        facts, diagnosis = run_verdict(
            job, started, finished, self._evaluations, is_planned=self._is_planned
        )
        tried = try_facts(
            job,
            diagnosis,
            seconds=finished.seconds,
            to_continue=words_to_continue(job, finished),
            starts_afresh=self._starts_afresh,
        )
        self._say_all([*facts, *tried])
        if as_json and diagnosis is not None:
            console.write_line(verdict_to_json(finished.run, diagnosis, dict(tried).get("try")))

    def _show(
        self, job: "TrainingJob", events: Iterable[TrainEvent]
    ) -> tuple[TrainingStarted, TrainingFinished, CharrnnError | None]:
        """Consume the events; return the first, the last, and an error of standard output, if any.

        Training continues after such an error.
        """
        from charrnn_cli.cli.terminal.training_output import say_warning, show  # imports rich.live

        started: TrainingStarted | None = None
        finished: TrainingFinished | None = None
        lost: CharrnnError | None = None
        if not self.quiet:
            limit = job.config.max_time
            deadline = None if limit is None else self.started + limit
            recorded = read_metrics(job.run.metrics_path) if job.first_step else Metrics([], [])
            events = show(events, scale=job.scale, recorded=recorded, deadline=deadline)
        for event in events:
            if self.quiet and isinstance(event, CheckpointRemoved):
                say_warning(event)  # nothing is deleted without a word
            if self.as_json and lost is None:
                try:
                    console.write_line(safe_text.to_json(event_to_json(event, utc_now())))
                except (console.ReaderGoneError, StorageError, InterruptionError) as error:
                    lost = error
            match event:
                case TrainingStarted():
                    started = event
                    self._say_plan(job, event)
                    self._say_all(thread_facts(job.config.threads, event.threads))
                    self.say("run", f"{event.run} in {job.run.path.with_name(event.run)}")
                case Evaluated():
                    self._evaluations.append(event)
                case BestTested():
                    self._tested = event
                case TrainingFinished():
                    finished = event
        assert started is not None
        assert finished is not None
        return started, finished, lost

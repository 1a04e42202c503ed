"""`charrnn train --seeds`: the same settings with several seeds, one run after the other."""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.errors import ConfigError, InterruptionError, NotFoundError
from charrnn_cli.events import SeedsFinished
from charrnn_cli.settings import option_name
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.header import ResumeHeader
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import check_new_run_name
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_read_once
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob

_NOT_REPEATED = ("seed", "replanned_at", "replanned_from")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedRuns:
    """Runs NAME-seed1 to NAME-seedN, which differ in the seed alone.

    The first one decides everything that is open; the others repeat its recorded settings.
    """

    number: int
    make: Callable[[float], TrainingRun]
    """Make the messages of a run whose time counts from an instant of `time.monotonic`."""
    quiet: bool
    as_json: bool

    def new(
        self,
        source: Source,
        settings: Mapping[str, Any],
        *,
        options: Mapping[str, Any],
        preset: str | None,
        name: str | None,
    ) -> None:
        """Train all runs. Raises InterruptionError with the command that goes on with them."""
        if any(path == STANDARD_INPUT or is_read_once(path) for path in source.paths):
            raise ConfigError(
                "--seeds reads the text several times, and this text can be read only once",
                hint="save the text in a file",
            )
        registry = Registry()
        if name is not None:
            self._check_free(registry, name)
        training, bases = self.make(STARTED), list[str]()

        def renamed(job: "TrainingJob") -> "TrainingJob":
            bases.append(self._free_base(registry, job))
            first = check_new_run_name(run_of_seed(bases[0], 1))
            run = Run(first, registry.root / first)
            return dataclasses.replace(job, run=run, default_name=None)

        training.rename = renamed
        try:
            training.new(source, {**settings, "seed": 1}, options=options, preset=preset, name=name)
        except InterruptionError as stop:
            is_saved = any(_seed_run(registry, base, 1).has_resume_file() for base in bases)
            raise self._interrupted(stop, bases[0] if is_saved else None) from stop
        self._go_on(bases[0], {})

    def resume(self, name: str, settings: Mapping[str, Any]) -> None:
        """Go on with runs NAME-seed1 to NAME-seedN, and train those that do not exist yet.

        Raises NotFoundError if there is no first one, ConfigError for a limit that a finished run
        did not have, InterruptionError.
        """
        from charrnn_cli.training.follow_up import LIMITS  # imports numpy

        finished = [
            run.name
            for run in (_seed_run(Registry(), name, seed) for seed in range(1, self.number + 1))
            if run.has_resume_file() and _header(run).finished
        ]
        for limit in sorted(settings.keys() & set(LIMITS)) if finished else ():
            raise ConfigError(
                f"{option_name(limit)} cannot change: {finished[0]} is finished without it",
                hint="start new runs with it, so that all have one schedule",
            )
        self._go_on(name, settings)

    def _go_on(self, base: str, settings: Mapping[str, Any]) -> None:
        registry = Registry()
        first = _header(registry.run(run_of_seed(base, 1)))
        try:
            for seed in range(1, self.number + 1):
                run = _seed_run(registry, base, seed)
                if not run.has_resume_file():
                    _repeat(first, seed, run.name, settings, self.make(time.monotonic()))
                elif not _header(run).finished:
                    self.make(time.monotonic()).resume(run.name, settings)
        except InterruptionError as stop:
            raise self._interrupted(stop, base) from stop
        self._summarize(base)

    def _check_free(self, registry: Registry, base: str) -> None:
        """Raise ConfigError if a name is taken, with one that is free."""
        try:
            for seed in range(1, self.number + 1):
                registry.check_free(check_new_run_name(run_of_seed(base, seed)))
        except ConfigError as error:
            if not _seed_run(registry, base, 1).has_resume_file():
                raise
            raise ConfigError(
                error.message,
                hint=f"use another --run NAME, or charrnn train --resume {base} "
                f"--seeds {self.number}",
            ) from error

    def _free_base(self, registry: Registry, job: "TrainingJob") -> str:
        """Return the beginning of names that are all free, from the name of a job."""
        default, base, number = job.default_name, job.run.name, 1
        while default is not None and any(
            os.path.lexists(_seed_run(registry, base, seed).path)
            for seed in range(1, self.number + 1)
        ):
            number += 1
            base = f"{default}-{number}"
        return base

    def _interrupted(self, stop: InterruptionError, base: str | None) -> InterruptionError:
        hint = None if base is None else f"charrnn train --resume {base} --seeds {self.number}"
        return InterruptionError(stop.message, signum=stop.exit_code - 128, hint=hint)

    def _summarize(self, base: str) -> None:
        registry = Registry()
        names = [run_of_seed(base, seed) for seed in range(1, self.number + 1)]
        losses = [_header(registry.run(name)).progress.best_val_loss for name in names]
        known = [loss for loss in losses if loss is not None]
        event = SeedsFinished(
            runs=names,
            val_losses=known,
            mean_val_loss=statistics.fmean(known) if known else None,
            spread=statistics.stdev(known) if len(known) > 1 else None,
        )
        if self.as_json:
            console.write_line(safe_text.to_json(event_to_json(event, utc_now())))
        if self.quiet or self.as_json:
            return
        if event.mean_val_loss is not None and event.spread is not None:
            bits = bits_per_character(event.mean_val_loss)
            facts = f"{event.mean_val_loss:.3f} ± {event.spread:.3f} ({bits:.2f} bpc)"
            ends = f"lowest {min(known):.3f}, highest {max(known):.3f}"
            text = f"val loss {facts}: mean and standard deviation of {len(known)} runs; {ends}"
            console.say("seeds", text)
        if len(known) > 1:
            console.say("next", f"charrnn checkpoints compare {' '.join(names)}")
        else:
            console.say("next", f"charrnn sample {names[0]}")


def run_of_seed(base: str, seed: int) -> str:
    """Return the name of the run of a seed."""
    return f"{base}-seed{seed}"


def _seed_run(registry: Registry, base: str, seed: int) -> Run:
    """Return the run of a seed, which may not exist yet."""
    name = run_of_seed(base, seed)
    return Run(name, registry.root / name)


def _header(run: Run) -> ResumeHeader:
    header = run.resume_header()
    if header is None:
        raise NotFoundError(
            f"run {run.name!r} has no resume file to repeat", hint="charrnn checkpoints list"
        )
    return header


def _repeat(
    first: ResumeHeader, seed: int, name: str, settings: Mapping[str, Any], training: TrainingRun
) -> None:
    """Train a new run with the recorded settings of the first, but for the seed."""
    if first.source is None:
        raise NotFoundError(f"nothing records where the text of {first.run!r} is")
    model = first.model.to_json()
    if first.source.init_from is not None:  # sets the architecture
        model = {"ngram": model["ngram"]}
    recorded = {
        key: value
        for key, value in {**model, **first.train}.items()
        if key not in (*_NOT_REPEATED, "vocabulary_size")
    }
    training.new(first.source, {**recorded, **settings, "seed": seed}, name=name)

"""The task of a new study: what is searched, and what is fixed for its text and this machine."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.new_job import better_start, is_read_again
from charrnn_cli.cli.next_commands import AFRESH
from charrnn_cli.cli.process import STARTED, set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.corpus_output import describe_corpus
from charrnn_cli.cli.terminal.formats import format_count, format_duration
from charrnn_cli.cli.terminal.phases import SECONDS_TO_LOAD, Phases
from charrnn_cli.cli.terminal.run_facts import Facts, start_facts
from charrnn_cli.errors import ConfigError
from charrnn_cli.seeds import random_seed
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_read_once
from charrnn_cli.training.candidates import leaves_model_open
from charrnn_cli.training.evaluation_plan import LEAST_CHARACTERS, SHARE
from charrnn_cli.training.tuning.dimension import RELATIVE, number_of_points
from charrnn_cli.training.tuning.rounds import (
    least_budget,
    number_of_trials,
    number_of_whole_trials,
    plan_rounds,
)
from charrnn_cli.training.tuning.space import (
    default_params,
    default_space,
    parse_space,
    with_defaults,
)
from charrnn_cli.training.tuning.spec import StudySpec

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob

_CHOSEN = ("layers", "size", "lr", "weight_decay", "epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was typed for a new study."""

    source: Source
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    preset: str | None
    searched: Sequence[str]
    """The values of --set."""
    trials: int | None
    budget: float | None


def new_spec(
    request: Request, say: Callable[[Facts], None], stop: StopRequest, phases: Phases
) -> "tuple[StudySpec, TrainingJob]":
    """Read the text, and decide what all trials share; return that with a job on the text.

    Raises ConfigError, and as `TrainingJob.new` does.
    """
    set_blas_threads()
    source, given = request.source, request.settings
    if any(path == STANDARD_INPUT or is_read_once(path) for path in source.paths):
        raise ConfigError(
            "a study reads the text several times, and this text can be read only once",
            hint="save the text in a file",
        )
    settings = {**given, "seed": given.get("seed", random_seed())}
    trials = request.trials or number_of_trials(request.budget or 0.0)
    is_open = request.preset is None and leaves_model_open(given)
    is_afresh = source.init_from == AFRESH
    if is_afresh:
        source = dataclasses.replace(source, init_from=None)
    job = _job(request, source, settings, phases)
    if not job.split.val:
        raise ConfigError("a study requires a validation text", hint="use --val-fraction 0.1")
    say(describe_corpus(job.corpus))
    may_start_anywhere = is_open and source.init_from is None and not is_afresh
    may_start_anywhere &= source.unknown == "error" and "ngram" not in given
    may_start_anywhere &= not request.searched and is_read_again(source)
    if may_start_anywhere and not job.corpus.has_items:
        start = better_start(job, phases, say)
        if start is not None:
            say(start_facts(start))
            source = dataclasses.replace(source, init_from=start.reference, unknown="extend")
            job = _job(request, source, settings, phases)
    is_warm = source.init_from is not None
    space = default_space(given, is_warm=is_warm)
    if request.searched:
        space = parse_space(request.searched, given, is_warm=is_warm)
    if not space:
        raise ConfigError("nothing is left to search", hint="add --set, or leave out an option")
    whole = None
    if request.budget is not None and is_open and not is_warm:
        left = STARTED + request.budget - time.monotonic()
        most = int(min(trials, number_of_points(space)))
        last = plan_rounds(most, has_budget=True)[-1].share * left
        job, whole = _chosen(job, last, settings, stop, phases)
    elif is_warm and "epochs" not in given and job.config.epochs is not None:
        settings["epochs"] = job.config.epochs
    spec = _spec(request, source, settings, space, trials, job)
    if whole is not None and request.budget is not None:
        fitting = number_of_whole_trials(request.budget, whole)
        if fitting is not None:
            spec = dataclasses.replace(spec, is_whole=True, trials=request.trials or fitting)
    _check_time(spec)
    return spec, job


def _check_time(spec: StudySpec) -> None:
    """Raise ConfigError if each of the trials that were asked for would be too short."""
    if spec.budget is not None and spec.budget < (least := least_budget(spec.rounds)):
        trials = format_count(spec.rounds[0].trials, "trial")
        raise ConfigError(
            f"a budget of {format_duration(spec.budget)} is too short for {trials}",
            hint=f"use at least --budget {math.ceil(least)}s, or leave out --trials",
        )


def _job(
    request: Request, source: Source, settings: Mapping[str, Any], phases: Phases
) -> "TrainingJob":
    from charrnn_cli.training.job import TrainingJob

    limit = {} if request.budget is None else {"max_time": request.budget}
    return TrainingJob.new(
        source,
        {**settings, **limit},
        preset=request.preset or "default",
        options=request.options,
        progress=phases.progress,
        announce=phases.announce,
    )


def _chosen(
    job: "TrainingJob",
    seconds: float,
    settings: Mapping[str, Any],
    stop: StopRequest,
    phases: Phases,
) -> "tuple[TrainingJob, float | None]":
    """Return the job with the model and the recipe that `train` chooses for the last round.

    Also return the seconds of a whole run, if it needs less than that time.
    """
    phases.announce("loading torch", SECONDS_TO_LOAD)
    from charrnn_cli.training.time_limit import choose_model
    from charrnn_cli.training.windows import make_windows

    choice = choose_model(job, seconds, stop, settings, phases.announce)
    stop.check()
    if not choice.is_whole or choice.job.config.epochs is None:
        return choice.job, None
    windows = make_windows(choice.job.corpus, choice.job.split, choice.job.config, seed=0)
    steps = choice.job.config.epochs * windows.per_epoch
    return choice.job, steps * choice.calibration.seconds_per_step / (1 - SHARE)


def _spec(
    request: Request,
    source: Source,
    settings: dict[str, Any],
    space: Any,
    trials: int,
    job: "TrainingJob",
) -> StudySpec:
    defaults = {**job.model.to_json(), **job.config.to_json()}
    if not request.searched:
        space = with_defaults(space, defaults)
    searched = {each.name for each in space} | ({"dropout"} if _is_relative(space) else set())
    if source.init_from is None:
        # Fixed where they are not searched: each trial would choose them for its own time.
        known = {name: defaults[name] for name in _CHOSEN if name not in searched}
        chosen = {name: value for name, value in known.items() if value is not None}
        settings = {**chosen, **settings} if request.budget is not None else settings
    else:
        source = dataclasses.replace(source, init_from=_fixed_start(job, source))
    from charrnn_cli.training.tuning.rows import rows_of_every_trial

    settings["val_rows"] = rows_of_every_trial(job, LEAST_CHARACTERS)
    return StudySpec(
        source=source,
        options=dict(request.options),
        settings=settings,
        preset=request.preset or "default",
        space=space,
        default=default_params(space, defaults | {"dropout": defaults["dropout"] or 0.25}),
        trials=trials,
        budget=request.budget,
        sha256=job.corpus.sha256,
    )


def _is_relative(space: Any) -> bool:
    return any(each.name == RELATIVE for each in space)


def _fixed_start(job: "TrainingJob", source: Source) -> str | None:
    """Return a reference that never moves to the checkpoint that all trials start from."""
    return source.init_from if job.source is None else job.source.init_from

"""`charrnn tune`: search for settings within a budget of time."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.commands.train import given_settings, train, validated
from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.given import is_chosen, is_typed
from charrnn_cli.cli.options.parsers import parse_duration
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.phases import Phases
from charrnn_cli.cli.terminal.tuning_output import round_words
from charrnn_cli.cli.tuning_run import TuningRun
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import option_name
from charrnn_cli.storage.run_names import slug
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.studies import StudyFiles
from charrnn_cli.training.tuning.space import parse_space

if TYPE_CHECKING:
    from charrnn_cli.training.tuning.study import Study

STUDY = "Study"
_MACHINE = ("device", "precision", "threads")
_WITH_RESUME = {*_MACHINE, "resume", "join", "budget", "quiet", "as_json", "tensorboard"}
_NOT_WITH_JOIN = {("join", "resume"), ("join", "budget")}
_NOT_OFFERED = {
    *("run", "resume", "allow_new_data", "seeds", "print_config", "dry_run", "context"),
    "resume_if_exists",
}


def _option(*names: str, help: str, **settings: Any) -> Any:  # noqa: A002
    return typer.Option(*names, help=help, rich_help_panel=STUDY, show_default=False, **settings)


_OWN: dict[str, Any] = {
    "budget": Annotated[
        Any,
        _option(help="Time for the whole study: 20m, 1h.", metavar="TIME", parser=parse_duration),
    ],
    "name": Annotated[
        str | None, _option("--name", help="Name of the study and its runs.", metavar="NAME")
    ],
    "searched": Annotated[
        list[str] | None,
        _option(
            "--set",
            help="Search only this setting: size=256,512, dropout=0..0.6, lr=1e-3..8e-3:log.",
            metavar="SETTING=VALUES",
        ),
    ],
    "trials": Annotated[
        int | None, _option(help="Trials in the first round.", min=1, max=1000, metavar="N")
    ],
    "resume": Annotated[str | None, _option(help="Study to go on with.", metavar="NAME")],
    "join": Annotated[
        str | None, _option(help="Study to help with, beside other processes.", metavar="NAME")
    ],
}


def tune(context: typer.Context, **params: Any) -> None:
    """Search for the settings with the lowest validation loss, in a budget of time.

    Each trial is an ordinary run with its own schedule. After every round, the best third is
    trained again from the start, for three times as long; the last round, of at least 35 % of the
    budget, trains one. If three whole runs on a short text fit into the budget, they are one round.
    Trial 0 is the default recipe. Without --set, size (256 to 768), layers (1 to 3), dropout
    (around the automatic one), lr (0.001 to 0.008) and weight decay (0.03 to 0.5) are searched,
    because a good value of each depends on the text and the time; other options are fixed as they
    are given. Instead of --budget, --trials N with --max-steps makes one round.

    Example: charrnn tune book.txt --budget 1h
    """
    existing = _existing(context)
    tuning = TuningRun(
        quiet=params["quiet"],
        as_json=params["as_json"],
        tensorboard=params["tensorboard"],
        machine=_machine(context) if existing is not None else {},
    )
    if existing is not None:
        StudyFiles.existing(existing)
        _check_installed()
        tuning.run(lambda _: _opened(existing, params["budget"]), joins=params["join"] is not None)
        return
    _new(context, params, tuning)


def _new(context: typer.Context, params: Mapping[str, Any], tuning: TuningRun) -> None:
    """Create a study and work on it. Raises ConfigError."""
    if not params["texts"]:
        raise ConfigError("a text is required", hint="run `charrnn tune book.txt --budget 1h`")
    given = given_settings(context, resuming=False)
    if params["val"] is not None:
        given = validated(context, given)
    name, searched = params["name"], params["searched"] or ()
    parse_space(searched, given, is_warm=False)
    if name is not None:
        StudyFiles.new(name)
    _check_length(params, given)
    options = text_options.given_options(context)
    handling = text_options.check_unknown(params["unknown"], text_options.UNKNOWN_TRAIN)
    initial = params["init_from"]
    source = Source(tuple(params["texts"]), None, initial, handling, params["val"], params["test"])
    from charrnn_cli.cli.new_study import Request, new_spec

    _check_installed()

    def open_study(phases: Phases) -> "Study":
        phases.announce("encoding")
        request = Request(
            source=source,
            settings=given,
            options=options,
            preset=params["preset"] if is_chosen(context, "preset") else None,
            searched=searched,
            trials=params["trials"],
            budget=params["budget"],
        )
        spec, job = new_spec(request, tuning.say, tuning.stop, phases)
        from charrnn_cli.training.tuning.study import Study

        chosen = name or StudyFiles.free_name(slug(f"{job.corpus.name}-tune"))
        return Study(StudyFiles.new(chosen), spec)

    tuning.run(open_study)


def _opened(name: str, budget: float | None) -> "Study":
    from charrnn_cli.training.tuning.rounds import Finished, next_of, winner
    from charrnn_cli.training.tuning.study import Study

    study = Study.existing(name)
    if budget is not None:
        if study.spec.budget is None:
            raise ConfigError(
                f"study {name!r} has no budget: its trials have a length of their own",
                hint="leave out --budget",
            )
        is_finished = isinstance(next_of(study.known(), study.spec.rounds), Finished)
        best, is_more = winner(study.known()), budget > study.spec.budget
        study.set_budget(budget)
        if is_finished and is_more and best is not None and not study.spec.is_whole:
            study.add_final_round(best.number)
    return study


def _check_installed() -> None:
    """Raise ConfigError if optuna is not installed."""
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("`charrnn tune` requires optuna", hint="pip install 'charrnn[tune]'")


def _existing(context: typer.Context) -> str | None:
    """Return the study of --resume or --join. Raises ConfigError for what they exclude."""
    params = context.params
    option = "join" if params["join"] is not None else "resume"
    name = params[option]
    if name is None:
        return None
    for other in params:
        is_excluded = other not in _WITH_RESUME or (option, other) in _NOT_WITH_JOIN
        if is_excluded and is_typed(context, other):
            typed = {"texts": "TEXT", "searched": "--set"}.get(other, option_name(other))
            raise ConfigError(
                f"{typed} cannot be combined with {option_name(option)}", hint=f"leave out {typed}"
            )
    return str(name)


def _machine(context: typer.Context) -> dict[str, Any]:
    """Return the settings of this computer that were typed."""
    return {name: context.params[name] for name in _MACHINE if is_typed(context, name)}


def _check_length(params: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ConfigError unless the study has an end: a budget, or trials of a given length."""
    from charrnn_cli.training.tuning.rounds import least_budget, number_of_trials, plan_rounds

    if params["budget"] is not None:
        if "max_time" in given:
            raise ConfigError(
                "--max-time cannot be combined with --budget", hint="leave out --max-time"
            )
        least = least_budget(plan_rounds(1, has_budget=True))
        if params["budget"] < least:
            raise ConfigError(f"the budget must be at least {least:g} s", hint="use --budget 10m")
        return
    if params["trials"] is not None and not given.keys().isdisjoint(
        ("max_steps", "epochs", "max_time")
    ):
        return
    from charrnn_cli.training.tuning.space import default_space

    if not params["quiet"] and not params["as_json"]:
        hour = 3600.0
        rounds = plan_rounds(number_of_trials(hour), has_budget=True)
        space = default_space(given, is_warm=params["init_from"] not in (None, "none"))
        console.say("plan", f"in 1h: {round_words(rounds, hour)}")
        console.say("search", "; ".join(map(str, space)))
    text = " ".join(str(path) for path in params["texts"])
    raise ConfigError(
        "a study requires a budget of time, or --trials with --max-steps",
        hint=f"charrnn tune {text} --budget 1h",
    )


def _signature() -> inspect.Signature:
    """Return the options of `train`, which the trials obey, with the study's own after the text."""
    parameters = inspect.signature(train, eval_str=True).parameters
    kept = [each for name, each in parameters.items() if name not in _NOT_OFFERED]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [
        inspect.Parameter(name, kind, default=None, annotation=annotation)
        for name, annotation in _OWN.items()
    ]
    context = inspect.Parameter("context", kind, annotation=typer.Context)
    return inspect.Signature([context, kept[0], *own, *kept[1:]])


tune.__signature__ = _signature()  # type: ignore[attr-defined]

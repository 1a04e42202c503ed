"""`charrnn train`: its options, and the new or resumed run that they describe."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.new_job import decided_later
from charrnn_cli.cli.next_commands import AFRESH
from charrnn_cli.cli.options import run_options, text_options
from charrnn_cli.cli.options.config_file import to_toml
from charrnn_cli.cli.options.given import is_chosen, is_in_file, is_typed
from charrnn_cli.cli.options.parsers import parse_dropout, parse_duration, parse_ngram
from charrnn_cli.cli.options.setting_options import setting_option
from charrnn_cli.cli.seed_runs import SeedRuns
from charrnn_cli.cli.start_or_resume import check_origin, is_started, refusing_a_rival
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import fields_of, option_name
from charrnn_cli.storage.run_names import check_new_run_name
from charrnn_cli.storage.source import Source
from charrnn_cli.training.candidates import leaves_model_open
from charrnn_cli.training.presets import (
    HOLD_OUT,
    automatic_settings,
    from_preset,
    preset_settings,
    val_conflict,
    with_own_validation,
)
from charrnn_cli.training.recipe import warm_settings

_TEXT = TextOptions()
_SETTINGS = {*fields_of(ModelConfig), *fields_of(TrainConfig)}
_MIN_KEEP_PROB = 0.000001  # of far less, the dropout would be 1
_NEW_RUNS_ONLY = (
    *("preset", "run", "init_from", "unknown", "print_config", "dry_run"),
    *("val", "test"),
)


def train(
    context: typer.Context,
    texts: text_options.TextsOrEncoded = None,
    preset: run_options.Preset = "default",
    cell: Annotated[str | None, setting_option(ModelConfig, "cell")] = None,
    layers: Annotated[int | None, setting_option(ModelConfig, "layers")] = None,
    size: Annotated[int | None, setting_option(ModelConfig, "size")] = None,
    embed: Annotated[int | None, setting_option(ModelConfig, "embed")] = None,
    ngram: Annotated[Any, setting_option(ModelConfig, "ngram", parser=parse_ngram)] = None,
    dropout: Annotated[Any, setting_option(TrainConfig, "dropout", parser=parse_dropout)] = None,
    keep_prob: run_options.KeepProb = None,
    batch_size: Annotated[int | None, setting_option(TrainConfig, "batch_size")] = None,
    seq_len: Annotated[int | None, setting_option(TrainConfig, "seq_len")] = None,
    epochs: Annotated[int | None, setting_option(TrainConfig, "epochs")] = None,
    max_steps: Annotated[int | None, setting_option(TrainConfig, "max_steps")] = None,
    max_time: Annotated[Any, setting_option(TrainConfig, "max_time", parser=parse_duration)] = None,
    lr: Annotated[float | None, setting_option(TrainConfig, "lr")] = None,
    schedule: Annotated[str | None, setting_option(TrainConfig, "schedule")] = None,
    warmup: Annotated[float | None, setting_option(TrainConfig, "warmup")] = None,
    clip: Annotated[float | None, setting_option(TrainConfig, "clip")] = None,
    weight_decay: Annotated[float | None, setting_option(TrainConfig, "weight_decay")] = None,
    reset: Annotated[float | None, setting_option(TrainConfig, "reset")] = None,
    ema: Annotated[float | None, setting_option(TrainConfig, "ema")] = None,
    val: run_options.Val = None,
    test: run_options.Test = None,
    val_fraction: Annotated[float | None, setting_option(TrainConfig, "val_fraction")] = None,
    val_split: Annotated[str | None, setting_option(TrainConfig, "val_split")] = None,
    eval_every: Annotated[int | None, setting_option(TrainConfig, "eval_every")] = None,
    patience: Annotated[int | None, setting_option(TrainConfig, "patience")] = None,
    run: run_options.RunName = None,
    save_every: Annotated[int | None, setting_option(TrainConfig, "save_every")] = None,
    keep: Annotated[int | None, setting_option(TrainConfig, "keep")] = None,
    resume: run_options.Resume = None,
    resume_if_exists: run_options.ResumeIfExists = False,
    allow_new_data: run_options.AllowNewData = False,
    init_from: run_options.InitFrom = None,
    encoding: text_options.Encoding = _TEXT.encoding,
    errors: text_options.Errors = _TEXT.errors,
    newlines: text_options.Newlines = _TEXT.newlines,
    normalize: text_options.Normalize = _TEXT.normalize,
    include: text_options.Include = _TEXT.include,
    keep_duplicates: text_options.KeepDuplicates = _TEXT.keep_duplicates,
    force_text: text_options.ForceText = _TEXT.force_text,
    separator: text_options.Separator = _TEXT.separator,
    documents: text_options.Documents = _TEXT.documents,
    column: text_options.Column = _TEXT.column,
    min_count: text_options.MinCount = _TEXT.min_count,
    unknown: text_options.TrainUnknown = "error",
    shuffle_documents: Annotated[bool, setting_option(TrainConfig, "shuffle_documents")] = False,
    device: Annotated[
        str | None, setting_option(TrainConfig, "device", envvar="CHARRNN_DEVICE")
    ] = None,
    precision: Annotated[
        str | None, setting_option(TrainConfig, "precision", envvar="CHARRNN_PRECISION")
    ] = None,
    threads: Annotated[
        int | None, setting_option(TrainConfig, "threads", envvar="CHARRNN_THREADS")
    ] = None,
    seed: Annotated[int | None, setting_option(TrainConfig, "seed", envvar="CHARRNN_SEED")] = None,
    seeds: run_options.Seeds = None,
    config_file: run_options.ConfigFile = None,
    print_config: run_options.PrintConfig = False,
    dry_run: run_options.DryRun = False,
    sample_every: Annotated[int | None, setting_option(TrainConfig, "sample_every")] = None,
    sample_prime: Annotated[str | None, setting_option(TrainConfig, "sample_prime")] = None,
    log_every: Annotated[int | None, setting_option(TrainConfig, "log_every")] = None,
    tensorboard: run_options.TensorBoard = None,
    quiet: run_options.Quiet = False,
    as_json: run_options.AsJson = False,
) -> None:
    """Train a model on a text, or resume a run.

    Example: charrnn train book.txt --max-time 20m
    """
    goes_on = resume_if_exists and _goes_on(context)
    given = given_settings(context, resuming=resume is not None or goes_on)
    launched = context.obj.launched
    processes = {} if launched is None else {"stop": launched.stop, "group": launched.group}
    training = TrainingRun(quiet=quiet, as_json=as_json, tensorboard=tensorboard, **processes)
    several = None if seeds is None else _several(context, seeds)
    options = text_options.given_options(context)
    if resume is not None or goes_on:
        if goes_on:
            check_origin(run, {"val": val, "test": test}, init_from)
        else:
            _check_resumed(context)
        if several is not None:
            several.resume(str(resume), given)
            return
        training.resume(
            str(resume or run),
            preset_settings(preset) | given if goes_on else given,
            texts=texts or [],
            options=options,
            allow_new_data=allow_new_data,
            goes_on=goes_on,
        )
        return
    if not texts:
        raise ConfigError(
            "a text is required",
            hint="run `charrnn train book.txt`, or `charrnn train -` for standard input",
        )
    handling = text_options.check_unknown(unknown, text_options.UNKNOWN_TRAIN)
    initial = None if init_from == AFRESH else init_from
    source = Source(tuple(texts), None, init_from, handling, val, test)
    if not (source.held_out and unknown == "skip"):
        text_options.check_unknown_applies(unknown, initial, "--init-from")
    if val is not None:
        given = validated(context, given)
    model, config = from_preset(preset, given)
    if run is not None:
        check_new_run_name(run)
    if print_config:
        automatic = _decided_later(context, preset, given, initial, options)
        console.write(to_toml(_resolved(context.params, model, config, automatic)))
        return
    chosen = preset if is_chosen(context, "preset") else None
    if several is not None:
        several.new(source, given, options=options, preset=chosen, name=run)
        return
    with refusing_a_rival(run) if resume_if_exists else contextlib.nullcontext():
        training.new(source, given, options=options, preset=chosen, name=run, dry_run=dry_run)


def _decided_later(
    context: typer.Context,
    preset: str,
    given: Mapping[str, Any],
    initial: str | None,
    options: Mapping[str, Any],
) -> list[str]:
    """Return the settings that depend on the text, on a checkpoint, or on the time."""
    automatic = list(automatic_settings(preset, given))
    if initial is not None:  # the checkpoint sets the architecture, the text's size the recipe
        automatic = [name for name in fields_of(ModelConfig) if name not in given]
        automatic += warm_settings(given, 0)
        automatic += fields_of(TextOptions).keys() - options.keys()
    elif not is_chosen(context, "preset") and leaves_model_open(given):
        automatic += decided_later(given)
    automatic += [] if "batch_size" in given else ["batch_size"]
    return [*automatic, *(HOLD_OUT if context.params["val"] is not None else ())]


def _several(context: typer.Context, seeds: int) -> SeedRuns:
    """Return the runs of --seeds. Raises ConfigError for options that it excludes."""
    if context.obj.launched is not None:
        raise ConfigError("--seeds trains with one process", hint="leave out torchrun")
    excluded = ["seed", "dry_run", "print_config", "allow_new_data", "resume_if_exists"]
    if context.params["resume"] is not None:
        excluded.append("texts")
    for name in excluded:
        if is_typed(context, name):
            option = "TEXT" if name == "texts" else option_name(name)
            both = "--resume and --seeds" if name == "texts" else "--seeds"
            raise ConfigError(
                f"{option} cannot be combined with {both}", hint=f"leave out {option}"
            )
    quiet, as_json = context.params["quiet"], context.params["as_json"]

    def make(started: float) -> TrainingRun:
        tensorboard = context.params["tensorboard"]
        training = TrainingRun(quiet=quiet, as_json=as_json, tensorboard=tensorboard)
        training.started = started
        return training

    return SeedRuns(number=seeds, make=make, quiet=quiet, as_json=as_json)


def validated(context: typer.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with a validation text of its own. Raises ConfigError."""
    for name in HOLD_OUT:
        if is_typed(context, name) and not is_in_file(context, name):
            raise val_conflict(name)
    return with_own_validation(given)


def _goes_on(context: typer.Context) -> bool:
    """Return whether the run of --resume-if-exists has been started. Raises ConfigError."""
    for name in ("resume", "dry_run", "print_config"):
        if is_typed(context, name):
            raise ConfigError(
                f"{option_name(name)} cannot be combined with --resume-if-exists",
                hint=f"leave out {option_name(name)}",
            )
    return is_started(context.params["run"])


def _check_resumed(context: typer.Context) -> None:
    """Raise ConfigError for options that only a new run accepts.

    A default value in the `--config` file is accepted: `--print-config` writes it.
    """
    for name in _NEW_RUNS_ONLY:
        if not is_chosen(context, name):
            continue
        option, file = option_name(name), ""
        if is_in_file(context, name):
            option, file = name, f"{context.params['config_file']}: "
        raise ConfigError(
            f"{file}{option} cannot be combined with --resume", hint=f"leave out {option}"
        )


def _resolved(
    params: Mapping[str, Any], model: ModelConfig, config: TrainConfig, automatic: Iterable[str]
) -> dict[str, Any]:
    """Return the options that train the same model again, including the seed.

    The `automatic` settings, which depend on the text or on a checkpoint, are left out.
    """
    from charrnn_cli.seeds import random_seed

    decided = {**model.to_json(), **config.to_json()}
    decided["seed"] = random_seed() if config.seed is None else config.seed
    if decided["dropout"] is None:
        decided["dropout"] = "auto"
    others = ("init_from", "val", "test", "unknown", "run")
    resolved = {
        name: decided.get(name, params.get(name))
        for name in ("texts", "preset", *decided, *fields_of(TextOptions), *others)
        if name in params and name not in automatic
    }
    resolved["texts"] = [str(path) for path in params["texts"]]
    return resolved | {name: str(params[name]) for name in ("val", "test") if params[name]}


def given_settings(context: typer.Context, *, resuming: bool) -> dict[str, Any]:
    """Return the given settings of the model and the training recipe, by name.

    Environment variables apply only to new runs: a resumed run keeps its seed and its device.
    """
    params = context.params
    given = {
        name: value
        for name, value in params.items()
        if name in _SETTINGS and value is not None and (is_typed(context, name) or not resuming)
    }
    if params["keep_prob"] is not None:
        if "dropout" in given:
            raise ConfigError(
                "--dropout and --keep-prob set the same value", hint="leave out one of them"
            )
        if not _MIN_KEEP_PROB <= params["keep_prob"] <= 1:
            raise ConfigError(
                f"keep prob must be from {_MIN_KEEP_PROB:.6f} to 1; got {params['keep_prob']}"
            )
        given["dropout"] = round(1 - params["keep_prob"], 10)  # 0.3, not 0.30000000000000004
    return given | {name: None for name in ("dropout", "ngram") if given.get(name) == "auto"}

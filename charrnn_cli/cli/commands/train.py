"""`charrnn train`: its options, and a new or a resumed run built from them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import (
    complete_preset,
    complete_reference,
    complete_resumable,
)
from charrnn_cli.cli.options.config_file import load_config, to_toml
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.options.parsers import parse_dropout, parse_duration
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.config import (
    PRESETS,
    Cell,
    ModelConfig,
    Precision,
    Schedule,
    TextOptions,
    TrainConfig,
    ValSplit,
    from_preset,
)
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.runs import check_run_name
from charrnn_cli.storage.source import Source

_TEXT = TextOptions()
_SETTINGS = {**ModelConfig(vocabulary_size=1).to_json(), **TrainConfig().to_json()}
_DEFAULTS: dict[str, Any] = {
    **_SETTINGS,
    "dropout": "auto",
    "embed": "64, more for over 512 characters",
    "eval_every": "20 in the run, none closer than 30 s",
    "run": "from text and model",
    "threads": "all, or without --seed one where that is much faster",
    "seed": "random",
    "sample_prime": "a new line",
    "log_every": "one a second",
}


def _option(panel: str, name: str, text: str, choices: Any = None, **settings: Any) -> Any:
    """An option whose default is its preset's, so that None means `not given`; `choices` is a Literal."""
    if choices is not None:
        settings["metavar"] = "|".join(get_args(choices))
    default = _DEFAULTS.get(name)
    shown = text if default is None else with_default(text, default)
    return typer.Option(help=shown, rich_help_panel=panel, show_default=False, **settings)


def train(
    context: typer.Context,
    texts: text_options.TextsOrEncoded = None,
    preset: Annotated[
        str,
        typer.Option(
            help="A recipe; any option overrides it.",
            metavar="|".join(PRESETS),
            rich_help_panel="Model",
            autocompletion=complete_preset,
        ),
    ] = "default",
    cell: Annotated[
        str | None, _option("Model", "cell", "The recurrent unit.", choices=Cell)
    ] = None,
    layers: Annotated[int | None, _option("Model", "layers", "Recurrent layers.")] = None,
    size: Annotated[int | None, _option("Model", "size", "Hidden units a layer.")] = None,
    embed: Annotated[
        int | None, _option("Model", "embed", "Width of the embedding; 0 is one-hot input.")
    ] = None,
    dropout: Annotated[
        Any,
        _option(
            "Model",
            "dropout",
            "Share dropped of every layer's output; auto follows the passes over the text.",
            parser=parse_dropout,
            metavar="P|auto",
        ),
    ] = None,
    keep_prob: Annotated[
        float | None, _option("Model", "keep_prob", "The same as --dropout 1-P.", metavar="P")
    ] = None,
    batch_size: Annotated[
        int | None, _option("Optimisation", "batch_size", "Parallel rows of text.")
    ] = None,
    seq_len: Annotated[
        int | None, _option("Optimisation", "seq_len", "Characters a row in one step.")
    ] = None,
    epochs: Annotated[
        int | None, _option("Optimisation", "epochs", "Passes over the text.")
    ] = None,
    max_steps: Annotated[
        int | None, _option("Optimisation", "max_steps", "End after so many steps.")
    ] = None,
    max_time: Annotated[
        Any,
        _option(
            "Optimisation",
            "max_time",
            "Plan to end within 90s, 20m or 1h30m, start and last save included.",
            parser=parse_duration,
            metavar="TIME",
        ),
    ] = None,
    lr: Annotated[float | None, _option("Optimisation", "lr", "Peak learning rate.")] = None,
    schedule: Annotated[
        str | None,
        _option("Optimisation", "schedule", "How the learning rate falls.", choices=Schedule),
    ] = None,
    warmup: Annotated[
        float | None, _option("Optimisation", "warmup", "Share of the steps to reach the peak.")
    ] = None,
    clip: Annotated[
        float | None, _option("Optimisation", "clip", "Largest norm of the gradient; 0 is off.")
    ] = None,
    weight_decay: Annotated[
        float | None, _option("Optimisation", "weight_decay", "AdamW's, on matrices.")
    ] = None,
    reset: Annotated[
        float | None,
        _option("Optimisation", "reset", "Share of the windows that start at the zero state."),
    ] = None,
    ema: Annotated[
        float | None,
        _option(
            "Optimisation", "ema", "Evaluate and save averaged weights, of this decay; 0 is off."
        ),
    ] = None,
    val_fraction: Annotated[
        float | None, _option("Validation", "val_fraction", "Share held out; 0 is off.")
    ] = None,
    val_split: Annotated[
        str | None,
        _option(
            "Validation",
            "val_split",
            "What is held out: the text's end, or that of each of 100 segments.",
            choices=ValSplit,
        ),
    ] = None,
    eval_every: Annotated[
        int | None, _option("Validation", "eval_every", "Steps between evaluations.")
    ] = None,
    patience: Annotated[
        int | None,
        _option("Validation", "patience", "End after so many evaluations without a better one."),
    ] = None,
    run: Annotated[
        str | None, _option("Checkpoints", "run", "The run's name.", metavar="NAME")
    ] = None,
    save_every: Annotated[
        int | None,
        _option(
            "Checkpoints", "save_every", "Steps between checkpoints besides those of evaluations."
        ),
    ] = None,
    keep: Annotated[
        int | None,
        _option("Checkpoints", "keep", "Checkpoints that stay; the best and the latest always do."),
    ] = None,
    resume: Annotated[
        str | None,
        _option(
            "Checkpoints",
            "resume",
            "Go on with a run; TEXT may be left out.",
            metavar="RUN|latest",
            autocompletion=complete_resumable,
        ),
    ] = None,
    allow_new_data: Annotated[
        bool,
        typer.Option(
            "--allow-new-data",
            help="Resume on another text of equal vocabulary.",
            rich_help_panel="Checkpoints",
        ),
    ] = False,
    init_from: Annotated[
        str | None,
        _option(
            "Checkpoints",
            "init_from",
            "Begin with a checkpoint's weights and vocabulary.",
            metavar="REF",
            autocompletion=complete_reference,
        ),
    ] = None,
    encoding: text_options.Encoding = _TEXT.encoding,
    errors: text_options.Errors = _TEXT.errors,
    newlines: text_options.Newlines = _TEXT.newlines,
    normalize: text_options.Normalize = _TEXT.normalize,
    include: text_options.Include = _TEXT.include,
    separator: text_options.Separator = _TEXT.separator,
    min_count: text_options.MinCount = _TEXT.min_count,
    unknown: text_options.TrainUnknown = "error",
    shuffle_documents: Annotated[
        bool,
        typer.Option(
            "--shuffle-documents",
            help="Another order of the files each epoch.",
            rich_help_panel="Data",
        ),
    ] = False,
    device: Annotated[
        str | None,
        _option(
            "System",
            "device",
            "cpu, cuda, cuda:1, mps or auto.",
            metavar="NAME",
            envvar="CHARRNN_DEVICE",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        _option(
            "System",
            "precision",
            "Of the products; auto is bf16 where that is faster.",
            choices=Precision,
        ),
    ] = None,
    threads: Annotated[int | None, _option("System", "threads", "CPU threads.")] = None,
    seed: Annotated[
        int | None,
        _option("System", "seed", "The same seed trains the same model.", envvar="CHARRNN_SEED"),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Take settings from a TOML file; what is typed beats it.",
            is_eager=True,
            callback=load_config,
            rich_help_panel="System",
            show_default=False,
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config",
            help="Write the settings for --config, and leave.",
            rich_help_panel="System",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the plan from a few timed steps, and leave.",
            rich_help_panel="System",
        ),
    ] = False,
    sample_every: Annotated[
        int | None,
        _option("Display", "sample_every", "Steps between short samples of what it writes."),
    ] = None,
    sample_prime: Annotated[
        str | None,
        _option("Display", "sample_prime", "What these begin with.", metavar="TEXT"),
    ] = None,
    log_every: Annotated[
        int | None, _option("Display", "log_every", "Steps between lines of metrics.")
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write figures for TensorBoard, an extra.",
            rich_help_panel="Display",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Only the final reference.", rich_help_panel="Display"),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Events as JSON Lines on standard output.", rich_help_panel="Display"
        ),
    ] = False,
) -> None:
    """Train a model on a text, or go on with one.

    Example: charrnn train book.txt --layers 2 --size 512 --max-time 20m
    """
    given = _given(context, resuming=resume is not None)
    training = TrainingRun(quiet=quiet, as_json=as_json, tensorboard=tensorboard)
    options = text_options.text_options(context.params)
    if resume is not None:
        for name in ("preset", "run", "init_from", "unknown", "dry_run"):
            if _is_typed(context, name):
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(
                    f"{option} is for new runs; a resumed one goes on as it is",
                    hint=f"leave out {option}",
                )
        typed = any(_is_typed(context, name) for name in options.to_json())
        training.resume(
            resume,
            given,
            texts=texts or [],
            options=options if typed else None,
            allow_new_data=allow_new_data,
        )
        return
    if not texts:
        raise ConfigError(
            "name a TEXT to train on, or a run with --resume", hint="charrnn train book.txt"
        )
    text_options.check_unknown(unknown, text_options.UNKNOWN_TRAIN)
    text_options.check_unknown_applies(unknown, init_from, "--init-from")
    model, config = from_preset(preset, given)
    if run is not None:
        check_run_name(run)
    fixed_embed = "embed" in {**PRESETS[preset], **given}
    if print_config:
        console.write(to_toml(_resolved(context.params, model, config, fixed_embed=fixed_embed)))
        return
    source = Source(tuple(texts), options, init_from, unknown)
    training.new(source, given, preset=preset, name=run, dry_run=dry_run)


def _resolved(
    params: Mapping[str, Any], model: ModelConfig, config: TrainConfig, *, fixed_embed: bool
) -> dict[str, Any]:
    """Every option that trains this model again, the seed included; what is decided from the text stays open."""
    from charrnn_cli.seeds import random_seed

    decided = {**model.to_json(), **config.to_json()}
    decided["seed"] = random_seed() if config.seed is None else config.seed
    if decided["dropout"] is None:
        decided["dropout"] = "auto"
    if not fixed_embed:
        del decided["embed"]
    names = ("texts", "preset", *decided, *TextOptions().to_json(), "init_from", "unknown", "run")
    resolved = {name: decided.get(name, params.get(name)) for name in names if name in params}
    resolved["texts"] = [str(path) for path in params["texts"]]
    return resolved


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in (
        "COMMANDLINE",
        "DEFAULT_MAP",
    )  # or in the file of --config


def _given(context: typer.Context, *, resuming: bool) -> dict[str, Any]:
    """The settings of model and recipe that were typed, by their names in the configurations.

    The environment speaks for new runs alone: a resumed one keeps its seed and its device.
    """
    params = context.params
    given = {
        name: value
        for name, value in params.items()
        if name in _SETTINGS and value is not None and (_is_typed(context, name) or not resuming)
    }
    if params["keep_prob"] is not None:
        if "dropout" in given:
            raise ConfigError(
                "--dropout and --keep-prob say the same", hint="leave out one of the two"
            )
        given["dropout"] = 1 - params["keep_prob"]
    if given.get("dropout") == "auto":
        given["dropout"] = None
    return given

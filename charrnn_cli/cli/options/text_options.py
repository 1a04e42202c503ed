"""Options for reading texts, shared by the commands that read them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli import config
from charrnn_cli.cli.options.given import is_chosen
from charrnn_cli.cli.options.setting_options import setting_option
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import fields_of

# Choices of --unknown that each command supports.
UNKNOWN_ENCODE: tuple[config.Unknown, ...] = ("error", "skip")
UNKNOWN_TRAIN: tuple[config.Unknown, ...] = ("error", "skip", "extend")
UNKNOWN_SAMPLE: tuple[config.Unknown, ...] = ("error", "skip", "closest")
UNKNOWN_SCORE: tuple[config.Unknown, ...] = ("error", "skip")


def encoding_option(files: str) -> Any:
    """Declare the option --encoding; its help names `files`, the files that the command reads."""
    text = f"Encoding of {files}; a byte order mark overrides it."
    return setting_option(TextOptions, "encoding", help=text, rich_help_panel=None)


def force_text_option(files: str) -> Any:
    """Declare the option --force-text; its help names `files`, the files that the command reads."""
    text = f"Read {files} even if they do not look like texts."
    return setting_option(TextOptions, "force_text", help=text, rich_help_panel=None)


def unknown_option(choices: tuple[config.Unknown, ...], **settings: Any) -> Any:
    """Declare the option --unknown with these choices."""
    text = "Handling of characters outside the vocabulary."
    return typer.Option(help=text, metavar="|".join(choices), **settings)


def _texts(text: str) -> Any:
    return typer.Argument(metavar="TEXT...", help=text, show_default=False, allow_dash=True)


Texts = Annotated[
    list[Path] | None, _texts("Text files (also .gz), directories, or - for standard input.")
]
TextsOrEncoded = Annotated[
    list[Path] | None,
    _texts("Text files (also .gz), directories, - for standard input, or one encoded file."),
]
Encoding = Annotated[str, setting_option(TextOptions, "encoding")]
Errors = Annotated[str, setting_option(TextOptions, "errors")]
Newlines = Annotated[str, setting_option(TextOptions, "newlines")]
Normalize = Annotated[str, setting_option(TextOptions, "normalize")]
Include = Annotated[str | None, setting_option(TextOptions, "include")]
KeepDuplicates = Annotated[bool, setting_option(TextOptions, "keep_duplicates")]
ForceText = Annotated[bool, setting_option(TextOptions, "force_text")]
Separator = Annotated[str, setting_option(TextOptions, "separator")]
Documents = Annotated[str, setting_option(TextOptions, "documents")]
Column = Annotated[str | None, setting_option(TextOptions, "column")]
MinCount = Annotated[int, setting_option(TextOptions, "min_count")]
EncodeUnknown = Annotated[str, unknown_option(UNKNOWN_ENCODE, rich_help_panel=config.DATA)]
TrainUnknown = Annotated[str, unknown_option(UNKNOWN_TRAIN, rich_help_panel=config.DATA)]
SampleUnknown = Annotated[str, unknown_option(UNKNOWN_SAMPLE)]
Split = Annotated[
    str | None,
    typer.Option(
        help="Score a part of each model's own texts, as training does.",
        metavar="train|val|test",
    ),
]
ScoreUnknown = Annotated[str, unknown_option(UNKNOWN_SCORE)]


def given_options(context: typer.Context) -> dict[str, Any]:
    """Return the options for reading texts that a user chose, by name.

    Raises ConfigError, TextError.
    """
    given = {
        name: context.params[name]
        for name in fields_of(TextOptions)
        if name in context.params and is_chosen(context, name)
    }
    _check_kind(given.get("documents", "files"))
    TextOptions().replaced(given)  # raises for an invalid value
    return given


def _check_kind(documents: str) -> None:
    """Raise ConfigError for a misspelt kind of documents, which is hardly what separates items."""
    near = documents.casefold().replace("_", "-").rstrip("s")
    kind = {"file": "files", "line": "lines", "blank-line": "blank-lines"}.get(near, documents)
    if kind != documents:
        raise ConfigError(
            f"--documents must be files, lines, blank-lines or a text; got {documents!r}",
            hint=f"use --documents {kind}",
        )


def check_unknown(unknown: str, choices: tuple[config.Unknown, ...]) -> config.Unknown:
    """Return the choice of --unknown if the command has it. Raises ConfigError."""
    for choice in choices:
        if choice == unknown:
            return choice
    raise ConfigError(f"--unknown must be one of {', '.join(choices)}; got {unknown!r}")


def check_unknown_applies(unknown: str, vocabulary: str | None, option: str) -> None:
    """Raise ConfigError for --unknown without the option that names a vocabulary."""
    if vocabulary is None and unknown != "error":
        raise ConfigError(
            f"--unknown {unknown} requires a vocabulary",
            hint=f"specify one with {option}, or leave out --unknown",
        )

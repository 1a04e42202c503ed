"""Options for reading texts, shared by the commands that read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from charrnn_cli import config
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError

_PANEL = "Data"

# Choices of --unknown: what each command can do with characters outside the vocabulary.
UNKNOWN_ENCODE: tuple[config.Unknown, ...] = ("error", "skip")
UNKNOWN_TRAIN: tuple[config.Unknown, ...] = ("error", "skip", "extend")
UNKNOWN_SAMPLE: tuple[config.Unknown, ...] = ("error", "skip", "closest")
UNKNOWN_SCORE: tuple[config.Unknown, ...] = ("error", "skip")


def _option(text: str, choices: Any = None, **settings: Any) -> Any:
    """`choices` is a Literal of config.py."""
    if choices is not None:
        settings["metavar"] = "|".join(get_args(choices))
    return typer.Option(help=text, rich_help_panel=_PANEL, **settings)


def unknown_option(choices: tuple[config.Unknown, ...], **settings: Any) -> Any:
    """The option --unknown of a command with these choices."""
    text = "Handling of characters outside the vocabulary."
    return typer.Option(help=text, metavar="|".join(choices), **settings)


def _texts(text: str) -> Any:
    return typer.Argument(metavar="TEXT...", help=text, show_default=False, allow_dash=True)


Texts = Annotated[
    list[Path] | None, _texts("Text files (.gz too), directories, or - for standard input.")
]
TextsOrEncoded = Annotated[
    list[Path] | None,
    _texts("Text files (.gz too), directories, - for standard input, or one encoded file."),
]
Encoding = Annotated[str, _option("Encoding of texts without a byte order mark.", metavar="NAME")]
Errors = Annotated[str, _option("Handling of bytes that cannot be decoded.", config.Errors)]
Newlines = Annotated[str, _option("Convert all line ends to \\n, or keep them.", config.Newlines)]
Normalize = Annotated[str, _option("Unicode normal form to apply.", config.Normalize)]
Include = Annotated[str, _option("Files to read from a directory.", metavar="GLOB")]
Separator = Annotated[
    str, _option("Text between files; without one, the model restarts.", metavar="TEXT")
]
MinCount = Annotated[
    int, _option("Replace characters that occur less often with U+FFFD.", metavar="N")
]
EncodeUnknown = Annotated[str, unknown_option(UNKNOWN_ENCODE, rich_help_panel=_PANEL)]
TrainUnknown = Annotated[str, unknown_option(UNKNOWN_TRAIN, rich_help_panel=_PANEL)]
SampleUnknown = Annotated[str, unknown_option(UNKNOWN_SAMPLE)]
ScoreUnknown = Annotated[str, unknown_option(UNKNOWN_SCORE)]


def text_options(params: Mapping[str, Any]) -> TextOptions:
    """Collect a command's parameters. Raises ConfigError, TextError.

    In the separator, `\\n` and `\\t` stand for a new line and a tab.
    """
    given = {name: params[name] for name in TextOptions().to_json()}
    given["separator"] = given["separator"].replace("\\n", "\n").replace("\\t", "\t")
    return TextOptions.from_json(given)


def check_unknown(unknown: str, choices: tuple[config.Unknown, ...]) -> config.Unknown:
    """Return the choice of --unknown if the command has it. Raises ConfigError."""
    for choice in choices:
        if choice == unknown:
            return choice
    raise ConfigError(f"--unknown must be one of {', '.join(choices)}; got {unknown!r}")


def check_unknown_applies(unknown: str, vocabulary: str | None, option: str) -> None:
    """Raises ConfigError for --unknown without the option that names a vocabulary."""
    if vocabulary is None and unknown != "error":
        raise ConfigError(
            f"--unknown {unknown} needs a vocabulary",
            hint=f"name one with {option}, or leave out --unknown",
        )

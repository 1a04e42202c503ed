"""`charrnn checkpoints export`: write a checkpoint in a format for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.escapes import read_escapes
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.exported import Exported
from charrnn_cli.export.file_format import Format
from charrnn_cli.export.formats import DEFAULT, FORMATS, Render, format_of
from charrnn_cli.shell import path_word
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.references import is_path
from charrnn_cli.storage.registry import Registry

STANDARD_OUTPUT = "-"
WEIGHTS = ("i8", "f16", "f32")


def _list_formats(asked: bool) -> None:
    if asked:
        for each in FORMATS.values():
            console.write_line(f"{each.suffix}\t{each.description}")
        raise typer.Exit


def export(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="Checkpoint to export.", autocompletion=complete_reference
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|-", help="Output file, or - for standard output."
        ),
    ],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help=with_default("Format of the file.", "by its suffix"),
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(WEIGHTS),
            help=with_default("Type of the weights in a page.", WEIGHTS[0]),
            show_default=False,
        ),
    ] = None,
    prime: Annotated[
        str | None,
        typer.Option(
            help="Text that a page continues at first.", show_default=False, callback=read_escapes
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(help=with_default("Title of a page.", "the run's name"), show_default=False),
    ] = None,
    formats: Annotated[
        bool,
        typer.Option(
            "--list", help="List the formats and exit.", callback=_list_formats, is_eager=True
        ),
    ] = False,
) -> None:
    """Verify a checkpoint and export it to a single file.

    Example: charrnn checkpoints export best -o model.html
    """
    options = {"weights": weights, "prime": prime, "title": title}
    chosen = _chosen_format(file_format, output)
    given = _check_options(chosen, options)
    path = Registry().resolve(reference)

    from charrnn_cli.model.checkpoint import load_verified

    with open_regular(path, follow=True) as file:
        checkpoint, data = load_verified(file, path)
    exported = chosen.render(checkpoint, data, given)
    if output == STANDARD_OUTPUT:
        console.write_bytes(exported.data)
        return
    with atomic_write(Path(output), num_bytes=len(exported.data)) as target:
        target.write(exported.data)
    console.say("wrote", f"{output}, {_described_size(exported)}")
    if exported.note:
        console.say("note", exported.note)
    console.say("next", chosen.use.format(path_word(output if is_path(output) else f"./{output}")))


def _chosen_format(name: str | None, output: str) -> Format[Render]:
    """Return the format of a name or, without one, of the output's suffix. Raises ConfigError."""
    if name is None:
        return DEFAULT if output == STANDARD_OUTPUT else format_of(Path(output))
    if name not in FORMATS:
        raise ConfigError(f"no format is named {name!r}", hint=f"use one of {', '.join(FORMATS)}")
    return FORMATS[name]


def _check_options(chosen: Format[Render], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given. Raises ConfigError for one that does not apply."""
    given = {name: value for name, value in options.items() if value is not None}
    chosen.check_applies(given)
    if (name := given.get("weights", WEIGHTS[0])) not in WEIGHTS:
        raise ConfigError(f"no weights are named {name!r}", hint=f"use one of {', '.join(WEIGHTS)}")
    return given


def _described_size(exported: Exported) -> str:
    """Return the size of a file and, in brackets, of its parts before they became text."""
    parts = [f"{format_size(size)} of {name}" for name, size in exported.sizes.items()]
    whole = format_size(len(exported.data))
    return f"{whole} ({' and '.join(parts)})" if parts else whole

"""`charrnn inspect`: look at what a model does while it reads a text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.look_file import look_file
from charrnn_cli.cli.options import look_options, text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.threads import threads_option
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.scored_models import ScoredModel, scored_models
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.inspection_output import inspection_to_json, show_inspection
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.inspection import LENGTH
from charrnn_cli.storage.registry import Registry

_TEXT = TextOptions()

MOST_CHARACTERS = 200_000  # which take 0.8 GB for two layers of 512 units


def inspect(
    context: typer.Context,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="Checkpoint to inspect.", autocompletion=complete_reference
        ),
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Text that the model reads.")],
    characters: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=2,
            max=MOST_CHARACTERS,
            help="Number of characters to inspect, from the beginning of the text.",
        ),
    ] = LENGTH,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=REGEX",
            help="Look for a unit that is on inside matches of a pattern; can be repeated.",
        ),
    ] = None,
    output: look_options.Output = None,
    cells: look_options.Cells = None,
    cell: look_options.CellOption = None,
    force: look_options.Force = False,
    encoding: text_options.Encoding = _TEXT.encoding,
    documents: text_options.Documents = _TEXT.documents,
    unknown: text_options.ScoreUnknown = "error",
    threads: Annotated[int | None, threads_option("1")] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object with every character's surprise."),
    ] = False,
) -> None:
    """Show where a model's bits go, and which units follow features of a text.

    For a model with n-grams, the tables have the bits of its n-grams without the network. Beyond
    5-grams are the characters at which the model saves more than 2 bits against 5-grams.

    A unit is chosen on every other 1,000 characters of the text. It is shown if its correlation on
    the others exceeds 0.2, and exceeds what any unit reaches with the feature shifted against the
    text (chance). Layers and units are counted from 0; part h is a hidden state, and c the tanh of
    an LSTM's cell state.

    With --output, a page shows the text in colors, what the model expected in the place of each
    character, and which units are on in a passage; a picture shows surprise, or the unit of --cell.

    Example: charrnn inspect anna-lstm-2x512 chapter.txt -o look.html
    """
    look = look_file(output, cells=cells, cell=cell, force=force, as_json=as_json)
    patterns = _patterns(feature or ())
    choice = text_options.check_unknown(unknown, text_options.UNKNOWN_SCORE)
    given = text_options.given_options(context)
    path = Registry().resolve(reference)
    set_blas_threads(threads)
    stop = StopRequest()
    with stop.listening():
        (model,) = scored_models([path], Path(text), given, choice, stop)
        assert isinstance(model, ScoredModel)  # otherwise, an error was raised

        from charrnn_cli.model.inspection.inspection import inspect_text

        options = None if look is None else look.options(model, characters)
        with bytes_progress("inspecting", stop) as progress:
            found = inspect_text(model.checkpoint, model.text, characters, patterns, progress)
    if look is not None and options is not None:
        look.write(model, found, options)
    elif as_json:
        console.write_json(
            {
                **inspection_to_json(model.name, found, model.checkpoint.vocab.characters),
                "skipped": model.skipped,
                "replaced": model.replaced,
            }
        )
    else:
        show_inspection(model.name, found)


def _patterns(features: Sequence[str]) -> dict[str, str]:
    """Return the patterns of --feature by name. Raises ConfigError."""
    patterns: dict[str, str] = {}
    for each in features:
        name, equals, pattern = each.partition("=")
        if not (name and equals and pattern):
            raise ConfigError(
                f"--feature takes a name and a pattern; got {each!r}",
                hint="use a form such as --feature 'digits=[0-9]+'",
            )
        if name in patterns:
            raise ConfigError(f"the feature {name!r} is given twice")
        patterns[name] = pattern
    return patterns

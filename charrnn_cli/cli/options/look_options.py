"""Options of `charrnn inspect` for a file about an inspection."""

from typing import Annotated

import typer

from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.export.look_options import CELLS

Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE.html|FILE.svg|-",
        help="Write a page or picture; - is a page on standard output.",
        show_default=False,
    ),
]
Cells = Annotated[
    str | None,
    typer.Option(
        metavar="N|all",
        help=with_default("Number of units in a page.", str(CELLS)),
        show_default=False,
    ),
]
CellOption = Annotated[
    str | None,
    typer.Option(
        metavar="LAYER:UNIT[:c]",
        help="Unit that the file shows first, instead of surprise.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file of --output if it exists.")]

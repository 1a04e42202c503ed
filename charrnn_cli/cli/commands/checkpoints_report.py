"""`charrnn checkpoints report`: write a page about training runs."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.escapes import read_escapes
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.reported_runs import reported_run, runs_of
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.config import ITEM_LENGTH_FACTOR, SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.report_options import LENGTH, SEED, ReportOptions
from charrnn_cli.storage.atomic import atomic_write, check_absent

STANDARD_OUTPUT = "-"
SUFFIX = ".html"


def report(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html|-",
            help="Output file, or - for standard output.",
        ),
    ],
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help=with_default("Runs to describe on one page.", "the newest run"),
            show_default=False,
            autocompletion=complete_reference,
        ),
    ] = None,
    prime: Annotated[
        str | None,
        typer.Option(
            help=with_default("Text that all samples continue.", "a newline"),
            show_default=False,
            callback=read_escapes,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the samples.")] = SEED,
    length: Annotated[
        int | None,
        typer.Option(
            "--length",
            "-n",
            min=1,
            help=with_default(
                "Characters per sample.",
                f"{LENGTH}, or {ITEM_LENGTH_FACTOR} times the longest item",
            ),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a page about training runs: losses, samples of every stage, settings.

    Example: charrnn checkpoints report anna-lstm-2x512 -o anna-run.html
    """
    if output != STANDARD_OUTPUT:
        if Path(output).suffix.lower() != SUFFIX:
            raise ConfigError(
                f"a report must be an {SUFFIX} file, not {Path(output).name!r}",
                hint="use -o run.html",
            )
        check_absent(Path(output))
    SampleConfig(seed=seed, length=length or LENGTH)  # raises ConfigError
    set_blas_threads()
    runs = runs_of(references or [])

    from charrnn_cli.export.report import to_report

    stop = StopRequest()
    with stop.listening():
        described = [reported_run(run, stop) for run in runs]
    for each in described:
        if each.metrics.problem is not None:
            console.say("warning", each.metrics.problem)
    page = to_report(described, ReportOptions(prime=prime, seed=seed, length=length))
    if output == STANDARD_OUTPUT:
        console.write_bytes(page)
        return
    with atomic_write(Path(output), num_bytes=len(page)) as target:
        target.write(page)
    console.say("wrote", f"{output}, {format_size(len(page))}")
    console.say("next", f"open {output} in a browser")

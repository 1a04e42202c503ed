"""`charrnn checkpoints compare`: which of several runs is better, and whether that is certain."""

from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_run
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.reported_runs import runs_of
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.errors import ConfigError


def compare(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Two or more runs.",
            autocompletion=complete_run,
        ),
    ],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the losses by run and step as CSV.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the runs and all pairs as JSON.")
    ] = False,
) -> None:
    """Compare runs: validation losses with their noise, time, copying, settings.

    Each run's best checkpoint reads its validation text again. After ± is the standard error of the
    loss over the rows of this text. A pair is distinguishable if the 95 % interval of the
    difference on resampled rows excludes 0, and if the difference is larger than that of two seeds:
    0.01, or more where runs that differ in the seed alone are further apart.

    Example: charrnn checkpoints compare anna-seed1 anna-seed2
    """
    if as_csv and as_json:
        raise ConfigError("--csv cannot be combined with --json", hint="leave out --json")
    set_blas_threads()
    runs = runs_of(references, "a comparison")
    if len(runs) < 2:
        raise ConfigError(
            "a comparison requires two different runs",
            hint=f"charrnn checkpoints show {runs[0].name}",
        )
    from charrnn_cli.cli.compared_pairs import pairs_of
    from charrnn_cli.cli.compared_runs import compare_runs, say_reading
    from charrnn_cli.cli.terminal.comparison_output import (
        comparison_to_json,
        curves_to_csv,
        show_comparison,
    )

    if as_csv:
        console.write(curves_to_csv(runs))
        return
    stop = StopRequest()
    with stop.listening():
        compared = sorted(
            compare_runs(runs, stop), key=lambda each: (each.loss is None, each.loss or 0.0)
        )
    pairs = pairs_of(compared)
    say_reading(compared)
    if as_json:
        console.write_json(comparison_to_json(compared, pairs))
        return
    show_comparison(compared, pairs)
    names = " ".join(each.run for each in compared)
    console.say("next", f"charrnn checkpoints report {names} -o report.html")

"""`charrnn checkpoints list` and `path`, which read only names and headers."""

from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import ReferenceArgument, complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.list_columns import (
    chosen_columns,
    table_columns,
    to_csv,
    to_objects,
)
from charrnn_cli.cli.terminal.list_rows import (
    CheckpointRow,
    Row,
    RunRow,
    built_in_rows,
    checkpoint_rows,
    run_rows,
    sorted_rows,
)
from charrnn_cli.cli.terminal.table import write_table
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run

SORTS = ("updated", "val", "size", "name")


def list_checkpoints(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|PREFIX]",
            help="List the checkpoints of RUN, or the runs whose names start with PREFIX.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="|".join(SORTS), help="Sort order of the rows.")
    ] = "updated",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows.", show_default=False)
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Settings to add as columns, such as seed,dropout,lr.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rows as a JSON array, with all settings.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print references only, one per line.")
    ] = False,
) -> None:
    """List runs, or the checkpoints of one run.

    In the row of a run, step is the newest step, and val is the loss of the step under best.

    Example: charrnn checkpoints list --sort val --columns seed,lr
    """
    if sort not in SORTS:
        raise ConfigError(f"cannot sort by {sort!r}", hint=f"use one of {', '.join(SORTS)}")
    _check_forms({"--csv": as_csv, "--json": as_json, "--quiet": quiet}, columns)
    registry = Registry()
    run = _named_run(registry, name)
    kind: type[Row] = RunRow if run is None else CheckpointRow
    chosen = chosen_columns(columns, kind)
    if run is None:
        rows = sorted_rows(run_rows(registry, name or ""), sort)
    else:  # by default, checkpoints are in step order
        rows = sorted_rows(checkpoint_rows(run), "name" if sort == "updated" else sort)
    rows = rows[:limit]
    shown = rows if run is not None or quiet else [*rows, *built_in_rows(registry, name or "")]
    if as_json:
        console.write_json(to_objects(chosen, shown))
    elif as_csv:
        console.write(to_csv(kind, chosen, shown))
    elif quiet:
        console.write("".join(f"{row.name}\n" for row in rows))
    else:
        if shown:
            write_table(table_columns(kind, chosen), shown)
        if not rows:
            _say_nothing_found(registry, run, None if shown else name)


def path(reference: ReferenceArgument = None) -> None:
    """Print the absolute path of a checkpoint file.

    Example: charrnn checkpoints path best
    """
    console.write_path(Registry().resolve(reference).absolute())


def _check_forms(given: dict[str, bool], columns: str | None) -> None:
    """Raise ConfigError for two forms of output, or for columns of bare references."""
    forms = [option for option, is_given in given.items() if is_given]
    if columns is not None and forms[-1:] == ["--quiet"]:
        forms = ["--columns", "--quiet"]
    if len(forms) > 1:
        raise ConfigError(
            f"{forms[0]} cannot be combined with {forms[1]}", hint=f"leave out {forms[1]}"
        )


def _named_run(registry: Registry, name: str | None) -> Run | None:
    """Return the run of a name; None if it is the beginning of others' names, or not given.

    Raises NotFoundError, ConfigError if it is neither.
    """
    names = [run.name for run in registry.listed()]
    if name is None or (name not in names and any(each.startswith(name) for each in names)):
        return None
    return registry.run(name)


def _say_nothing_found(registry: Registry, run: Run | None, prefix: str | None) -> None:
    if run is None and prefix is not None:
        console.say("", f"no run in {registry.root} that starts with {prefix!r} has a checkpoint")
        console.say("next", "charrnn checkpoints list")
        return
    if run is None:
        console.say("", f"no checkpoints in {registry.root}")
        console.say("next", "train a model with `charrnn train TEXT` or `charrnn demo`")
        return
    state = " is being trained and" if run.is_training() else ""
    console.say("", f"run {run.name!r}{state} has no checkpoint yet")
    console.say("next", run.next_command())

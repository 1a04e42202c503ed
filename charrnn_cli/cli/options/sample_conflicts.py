"""Options of `charrnn sample` that exclude each other."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import option_name, option_names

STANDARD_OUTPUT = Path("-")

_CONFLICTS = (
    ("--prime", "--prime-file"),
    ("--json", "--color"),
    ("--output", "--color"),
    ("--append", "--force"),
    *(
        ("--interactive", option_name(name))
        for name in ("json", "output", "check_copy", "stats", "count")
    ),
)


def check_combinations(params: dict[str, Any]) -> None:
    """Raise ConfigError for options that conflict."""
    to_file = params["output"] is not None and Path(params["output"]) != STANDARD_OUTPUT
    given = {
        "--prime": params["prime"] is not None,
        "--prime-file": params["prime_file"] is not None,
        "--json": params["as_json"],
        "--color": params["color"],
        "--interactive": params["interactive"],
        "--output": params["output"] is not None,
        "--append": params["append"],
        "--force": params["force"],
        "--check-copy": params["check_copy"] is not None,
        "--stats": params["stats"],
        "--count": (params["count"] or 1) > 1,
    }
    for first, second in _CONFLICTS:
        if given[first] and given[second]:
            raise ConfigError(
                f"{first} cannot be combined with {second}", hint=f"leave out {second}"
            )
    for option in ("--append", "--force"):
        if given[option] and not to_file:
            raise ConfigError(f"{option} requires --output FILE", hint=f"leave out {option}")
    if "" in (params["stop"] or []):
        raise ConfigError("--stop must not be empty", hint="leave out --stop")
    if params["color"] and not sys.stdout.isatty():
        raise ConfigError(
            "--color requires a terminal", hint="use --json to get log-probabilities instead"
        )


def check_one(number: int, *, interactive: bool, tsv: bool) -> None:
    """Raise ConfigError for --interactive or --tsv with a number of jobs that is not 1."""
    if number > 1 and (interactive or tsv):
        option = "--interactive" if interactive else "--tsv"
        raise ConfigError(
            f"{option} requires one checkpoint and one temperature",
            hint=f"leave out the others, or leave out {option}",
        )


def check_reads_files(options: Mapping[str, Any], files: Sequence[Path | None]) -> None:
    """Raise ConfigError for options for reading texts that no file needs."""
    if options and not any(files):
        names = option_names(options)
        raise ConfigError(
            f"{names} requires --prime-file, --check-copy or --novel-against",
            hint=f"leave out {names}",
        )

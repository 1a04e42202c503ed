"""A damaged journal in words: optuna's own errors are about its code."""

import contextlib
import json
from collections.abc import Iterator

from charrnn_cli.errors import ConfigError, DamagedFileError, NewerFormatError
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.studies import StudyFiles

KINDS = range(11)  # of optuna's changes: "op_code"
_OF_OPTUNA = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)


@contextlib.contextmanager
def translated_damage(files: StudyFiles) -> Iterator[None]:
    """Say which line is damaged in errors about a study's journal, and what can be done.

    Raises DamagedFileError, NewerFormatError.
    """
    name = files.name
    try:
        yield
    except NewerFormatError as error:
        raise NewerFormatError(
            f"study {name!r} was made by a newer version of charrnn", hint=error.hint
        ) from error
    except ConfigError as error:
        raise _damaged(files, error.message) from error
    except _OF_OPTUNA as error:
        raise _damaged(files, _first_problem(files)) from error


def _damaged(files: StudyFiles, problem: str) -> DamagedFileError:
    new = f"charrnn tune TEXT --budget 1h --name {files.free_name(files.name)}"
    return DamagedFileError(
        f"the journal of study {files.name!r} is damaged: {problem}",
        hint=f"start a new study: {new}; the old runs and {files.journal} stay",
    )


def _first_problem(files: StudyFiles) -> str:
    """Name the first line that is no change of a study."""
    with open_regular(files.journal) as file:
        for number, line in enumerate(file, 1):
            if not _is_change(line):
                return f"line {number} is not a change of a study"
    return "its lines do not fit together"


def _is_change(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("op_code") in KINDS and "worker_id" in found

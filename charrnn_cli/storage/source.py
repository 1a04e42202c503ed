"""The source of a run's text: its files, reading options and vocabulary."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from charrnn_cli.config import UNMARKED, TextOptions, Unknown
from charrnn_cli.errors import ConfigError, TextError
from charrnn_cli.storage.paths import path_from_uri, path_to_uri

STANDARD_INPUT = Path("-")
_DESCRIPTORS = {Path("/dev/fd"), Path("/proc/self/fd")}  # where shells show their `<(...)`
# What was done before there was a choice.
_BEFORE = {"keep_duplicates": True, "force_text": True, "documents": UNMARKED}


def is_descriptor(path: Path) -> bool:
    """Return whether a path names an open file of this process, as the shell's `<(...)` does."""
    return path.parent in _DESCRIPTORS or path == Path("/dev/stdin")


def is_pipe(path: Path) -> bool:
    """Return whether a path is a pipe or an open socket, which can be read only once."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or (stat.S_ISSOCK(mode) and is_descriptor(path))


def is_read_once(path: Path) -> bool:
    """Return whether a text came from a pipe, so that its path is of no use to a later process."""
    return is_descriptor(path) or is_pipe(path)


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a run's text, recorded in its resume file but never exported.

    Because of this record, resuming needs no TEXT.
    """

    paths: tuple[Path, ...]
    options: TextOptions | None = None
    """How the text is read.

    None, before a run is prepared, stands for the options of the checkpoint that it starts with, or
    else the defaults.
    """
    init_from: str | None = None
    """Reference of the checkpoint whose weights and vocabulary the run starts with.

    When a run is prepared, it becomes RUN@STEP or an absolute path, which names no other checkpoint
    later.
    """
    unknown: Unknown = "error"
    """How to treat characters outside that vocabulary: `error`, `skip` or `extend`.

    With `skip`, characters of `val` and `test` that the training text lacks are left out.
    """
    val: Path | None = None
    """The validation text: a file or a directory; None for a part of the training text."""
    test: Path | None = None
    """The text on which the best checkpoint is scored at the end of the run, if any."""

    @property
    def held_out(self) -> dict[str, Path]:
        """The paths of the held-out texts, by the names of their options."""
        named = {"val": self.val, "test": self.test}
        return {name: path for name, path in named.items() if path is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the record for a resume file; paths become absolute file URIs."""
        return {
            "texts": ["-" if path == STANDARD_INPUT else path_to_uri(path) for path in self.paths],
            "options": (self.options or TextOptions()).to_json(),
            "init_from": self.init_from,
            "unknown": self.unknown,
            **{name: path_to_uri(path) for name, path in self.held_out.items()},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read a record of a resume file. Raises ConfigError if it is not one."""
        texts, init_from = raw.get("texts"), raw.get("init_from")
        unknown = raw.get("unknown", "error")
        if not isinstance(texts, list) or not texts or not isinstance(raw.get("options"), Mapping):
            raise ConfigError("the source does not say which text it is, or how to read it")
        if not isinstance(init_from, str | None) or unknown not in get_args(Unknown):
            raise ConfigError("the source has an invalid vocabulary")
        try:
            paths = tuple(
                STANDARD_INPUT if text == "-" else path_from_uri(str(text)) for text in texts
            )
            options = TextOptions.from_json({**_BEFORE, **raw["options"]})
            others = {
                name: path_from_uri(str(raw[name]))
                for name in ("val", "test")
                if raw.get(name) is not None
            }
            return cls(paths, options, init_from, unknown, **others)
        except (ValueError, TextError) as error:
            raise ConfigError(f"the source is invalid: {error}") from error

    @property
    def why_missing(self) -> str | None:
        """Why the text cannot be read again, as the end of a sentence; None if it can."""
        missing = self.missing
        if missing is None:
            return None
        if missing == STANDARD_INPUT:
            return "came from standard input"
        return "came from a pipe" if is_read_once(missing) else f"no longer exists: {missing}"

    @property
    def missing(self) -> Path | None:
        """The first path that cannot be read again: a deleted file, a pipe, or standard input."""
        return _first_missing(self.paths)

    @property
    def missing_held_out(self) -> Path | None:
        """The first path of the held-out texts that cannot be read again."""
        return _first_missing(self.held_out.values())


def _first_missing(paths: Iterable[Path]) -> Path | None:
    return next(
        (
            path
            for path in paths
            if path == STANDARD_INPUT or is_read_once(path) or not os.path.exists(path)
        ),
        None,
    )

"""Where a run's text comes from: its files, how they are read, and whose vocabulary it has."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, TextError
from charrnn_cli.storage.paths import path_from_uri, path_to_uri


@dataclass(frozen=True, slots=True)
class Source:
    """Kept in a run's resume file, so that going on needs no TEXT; never exported."""

    paths: tuple[Path, ...]
    options: TextOptions = field(default_factory=TextOptions)
    init_from: str | None = None
    """The checkpoint that the run began with, and whose vocabulary it took over."""
    unknown: str = "error"
    """What was done with characters that this vocabulary did not have."""

    def to_json(self) -> dict[str, Any]:
        return {
            "texts": ["-" if path == STANDARD_INPUT else path_to_uri(path) for path in self.paths],
            "options": self.options.to_json(),
            "init_from": self.init_from,
            "unknown": self.unknown,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Raises ValueError where it names no text."""
        try:
            texts = (
                raw["texts"] if "texts" in raw else [raw["text"]]
            )  # as the first version wrote it
            paths = tuple(
                STANDARD_INPUT if text == "-" else path_from_uri(str(text)) for text in texts
            )
            options = TextOptions.from_json(raw["options"])
        except (KeyError, TypeError, ConfigError, TextError) as error:
            raise ValueError("no source") from error
        return cls(paths, options, raw.get("init_from"), str(raw.get("unknown", "error")))

    @property
    def missing(self) -> Path | None:
        """A file or directory that is no longer there; what came through standard input never is."""
        return next(
            (path for path in self.paths if path == STANDARD_INPUT or not os.path.exists(path)),
            None,
        )


STANDARD_INPUT = Path("-")

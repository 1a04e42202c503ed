"""A format of exported files, and the choice of one by the suffix of a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from charrnn_cli.errors import ConfigError

Render = TypeVar("Render")


@dataclass(frozen=True, kw_only=True, slots=True)
class Format(Generic[Render]):
    """A format of exported files."""

    name: str
    """Its files end in a dot and this name."""
    description: str
    options: frozenset[str]
    """Names of the options of the command that apply to it."""
    use: str
    """What to do with a file, which takes the place of `{}`."""
    render: Render
    """A function that makes the content of a file."""

    @property
    def suffix(self) -> str:
        """The suffix of its files."""
        return f".{self.name}"

    def check_applies(self, options: Iterable[str]) -> None:
        """Raise ConfigError for options that do not apply to this format."""
        for name in options:
            if name not in self.options:
                raise ConfigError(
                    f"--{name} does not apply to {self.suffix} files", hint=f"leave out --{name}"
                )


def by_suffix(
    path: Path, formats: Mapping[str, Format[Render]], otherwise: str = ""
) -> Format[Render]:
    """Return the format of a file name. Raises ConfigError.

    `otherwise` is what a hint says after the names of the suffixes.
    """
    suffix = path.suffix.lower()
    for each in formats.values():
        if each.suffix == suffix:
            return each
    *others, last = (each.suffix for each in formats.values())
    names = f"{', '.join(others)} or {last}"
    problem = f"no format has files that end in {path.suffix!r}"
    if not suffix and path.name.startswith("."):
        problem = f"the name {path.name!r} has nothing before its suffix"
    elif not suffix:
        problem = f"the name {path.name!r} has no suffix, which chooses the format"
    raise ConfigError(
        problem,
        hint=f"use a name that ends in {names}{otherwise}",
    )

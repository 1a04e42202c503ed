"""Options of `charrnn sample` for models of items."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import option_names

DEFAULT_COUNT = 10  # items; of other models, one sample
_PANEL = "Items, with a model of items"
_ITEM_ONLY = (
    "unique",
    "novel",
    "novel_against",
    "min_length",
    "max_length",
    "match",
    "sort",
    "tsv",
)
_TEXT_ONLY = ("interactive", "color", "check_copy", "stop", "no_echo", "stop_at_end")


def _option(text: str, *names: str, **settings: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_PANEL, **settings)


Unique = Annotated[bool, _option("Leave out items that came before.", "--unique")]
Novel = Annotated[bool, _option("Leave out items of the training text.", "--novel")]
NovelAgainst = Annotated[
    list[Path] | None,
    _option("Leave out items of FILE; may be repeated.", metavar="FILE"),
]
MinLength = Annotated[int | None, _option("Leave out shorter items.", min=1)]
MaxLength = Annotated[int | None, _option("Leave out longer items.", min=1)]
Match = Annotated[
    str | None,
    _option("Keep items in which REGEX is found; ^ and $ are their ends.", metavar="REGEX"),
]
Sort = Annotated[
    str | None, _option("Print the likeliest items first, by their bits.", metavar="bits")
]
Tsv = Annotated[bool, _option("Print a table with the columns item, bits and ended.", "--tsv")]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOptions:
    """The options for items, as they were typed."""

    unique: bool
    novel: bool
    novel_against: tuple[Path, ...]
    min_length: int | None
    max_length: int | None
    match: re.Pattern[str] | None
    by_bits: bool
    tsv: bool
    only_items: tuple[str, ...]
    """Names of typed options that a model of items alone has."""
    only_texts: tuple[str, ...]
    """Names of typed options that a model of items does not have."""

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> "ItemOptions":
        """Read the parameters of the command. Raises ConfigError."""
        given = {**params, "no_echo": not params["echo"]}
        lowest, highest = params["min_length"], params["max_length"]
        if lowest is not None and highest is not None and lowest > highest:
            raise ConfigError(
                f"--min-length {lowest} is more than --max-length {highest}",
                hint="exchange the two numbers",
            )
        if params["sort"] not in (None, "bits"):
            raise ConfigError(f"--sort must be bits; got {params['sort']!r}")
        if params["tsv"] and params["as_json"]:
            raise ConfigError("--tsv cannot be combined with --json", hint="leave out --json")
        return cls(
            unique=params["unique"],
            novel=params["novel"],
            novel_against=tuple(map(Path, params["novel_against"] or ())),
            min_length=lowest,
            max_length=highest,
            match=_pattern(params["match"]),
            by_bits=params["sort"] is not None,
            tsv=params["tsv"],
            only_items=tuple(name for name in _ITEM_ONLY if given[name]),
            only_texts=tuple(name for name in _TEXT_ONLY if given[name]),
        )

    @property
    def compares(self) -> bool:
        """Whether items are compared with lists."""
        return self.novel or bool(self.novel_against)

    def check_apply(self, name: str, *, has_items: bool) -> None:
        """Raise ConfigError for options that the model `name` does not have."""
        if has_items and self.only_texts:
            options = option_names(self.only_texts[:1])
            hint = f"leave out {options}"
            if options == "--check-copy":
                hint = "compare whole items: --novel-against FILE"
            raise ConfigError(
                f"{options} cannot be combined with {name}, a model of items", hint=hint
            )
        if not has_items and self.only_items:
            options = option_names(self.only_items[:1])
            raise ConfigError(
                f"{options} requires a model of items, trained with --documents",
                hint=f"leave out {options}",
            )


def _pattern(typed: str | None) -> re.Pattern[str] | None:
    try:
        return None if typed is None else re.compile(typed)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"--match is not a regular expression: {error}") from error

"""Objects in the headers of files, built from plain JSON values and checked."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import UNMARKED, TextOptions
from charrnn_cli.errors import ConfigError, FileFormatError, NewerFormatError, TextError
from charrnn_cli.settings import Settings, fields_of
from charrnn_cli.storage.tensorfile import Header

MAX_NAME = 4096  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Record(Settings):
    """Base of the objects in a header, which may have unknown fields."""

    KIND: ClassVar[str] = ""
    """Kind of the file that has this header; empty for a part of a header."""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the record from plain values.

        Raises ConfigError if one is missing, mistyped or out of range.
        """
        return read_record(cls, raw)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def typed_header(header: Header, kind: type[AnyRecord], path: Path) -> AnyRecord:
    """Return the checked fields of a file's header.

    Raises FileFormatError if it is of another kind or a field is invalid, NewerFormatError if the
    model has a setting that this version does not know.
    """
    if header.kind != kind.KIND:
        raise FileFormatError(f"{path} is a charrnn {header.kind} file, not a {kind.KIND} file")
    model = header.metadata.get("model")
    if isinstance(model, dict) and (unknown := sorted(model.keys() - fields_of(ModelConfig))):
        raise NewerFormatError(
            f"{path} was written by charrnn {header.version}, and its model has the setting "
            f"{unknown[0]!r}, which this version does not know",
            hint="upgrade charrnn",
        )
    try:
        return kind.from_json(header.metadata)
    except ConfigError as error:
        raise FileFormatError(f"{path} has an invalid header: {error.message}") from error


def read_record(cls: type[AnyRecord], raw: Mapping[str, Any]) -> AnyRecord:
    """Build a record from the fields that it knows. Raises ConfigError."""
    values: dict[str, Any] = {}
    for name, each in fields_of(cls).items():
        if name in as_object(raw):
            read = _reading if each.type is TextOptions else getattr(each.type, "from_json", None)
            values[name] = read(as_object(raw[name])) if read is not None else raw[name]
        elif each.default is each.default_factory is dataclasses.MISSING:
            raise ConfigError(f"missing field {name!r}")
    return cls(**values)


def _reading(raw: Mapping[str, Any]) -> TextOptions:
    """Read the options that this version knows; others are those of a newer version."""
    try:
        known = {name: raw[name] for name in fields_of(TextOptions) if name in raw}
        return TextOptions.from_json({"documents": UNMARKED, **known})
    except TextError as error:
        raise ConfigError(error.message) from error


def as_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object. Raises ConfigError for another value."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected an object; got {value!r}")
    return value

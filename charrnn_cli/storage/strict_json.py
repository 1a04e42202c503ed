"""JSON as the standard defines it: no duplicate keys, no NaN, no halves of surrogate pairs."""

import json
from typing import Any


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError, or RecursionError for a deep one."""
    parsed = _DECODER.decode(raw.decode("utf-8"))
    if b"\\ud" in raw.lower():
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")  # raises on a lone surrogate
    return json_object(parsed)


def json_object(value: Any) -> dict[str, Any]:
    """Return the value. Raises ValueError unless it is an object."""
    if type(value) is not dict:
        raise ValueError("expected an object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise ValueError("duplicate key")
    return parsed


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not valid JSON")


# Building a decoder takes longer than parsing a line of metrics.
_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse)

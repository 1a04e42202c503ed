"""JSON that is refused, although Python's parser accepts it."""

import pytest

from charrnn_cli.storage.strict_json import parse_object


def test_an_object_is_parsed() -> None:
    """Numbers, text and nested objects are what they are; a pair of surrogates is a character."""
    raw = b'{"a": 1, "b": {"a": [2.5, null]}, "c": "\\ud83d\\ude00"}'
    assert parse_object(raw) == {"a": 1, "b": {"a": [2.5, None]}, "c": "\U0001f600"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud83d"}',
        b'{"a": "\\uDE00"}',
        b'{"\\udc80": 1}',
        b'{"a": 1} ]',
        b"[1]",
        b"1",
        b"",
        b'{"a": "\xff"}',
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
    ids=str,
)
def test_anything_else_is_refused(raw: bytes) -> None:
    """Duplicate keys, numbers that are not finite, and halves of surrogate pairs are errors."""
    with pytest.raises(ValueError, match=r".+"):
        parse_object(raw)


def test_deep_json_is_an_error() -> None:
    """Nesting beyond the interpreter's limit is an error, not a crash."""
    with pytest.raises(RecursionError):
        parse_object(b'{"a": ' + b"[" * 100_000)

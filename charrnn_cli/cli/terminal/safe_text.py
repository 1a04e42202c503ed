"""Text and JSON that a terminal only shows, and never obeys."""

import json
import math
import re
import unicodedata
from typing import Any

# They reorder text far from them. The marks U+061C, U+200E and U+200F do not: Arabic and Hebrew
# need them, as they and emoji need the joiners U+200C and U+200D.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\u2028\u2029")
# Characters that json.dumps does not escape; JSON may contain them, but a terminal obeys them.
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f\ud800-\udfff{''.join(sorted(_BIDI | _LINE_BREAKS))}]")


def safe(text: str, keep: str = "") -> str:
    """Escape control characters, line separators, surrogates and bidi controls not in `keep`.

    The bidi controls are overrides, embeddings and isolates.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or not _is_unsafe(character) else _visible(character)
        for character in text
    )


def _is_unsafe(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or character in _BIDI
        or character in _LINE_BREAKS
    )


def _visible(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that is also safe on a terminal; numbers that are not finite become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value

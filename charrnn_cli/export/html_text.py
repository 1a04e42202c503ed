"""Strings of any origin as the text of HTML elements."""

from html import escape

_REPLACEMENT = 0xFFFD
_HALVES = dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)  # surrogates, which UTF-8 lacks
_CONTROLS = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),
}
_DIRECTIONS = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C], _REPLACEMENT
)
_TEXT = _HALVES | _CONTROLS
_LABEL = _TEXT | _DIRECTIONS


def shown_text(text: str) -> str:
    """Return a text of lines, for an element of its own: control characters become visible."""
    return escape(text.translate(_TEXT))


def shown_label(text: str) -> str:
    """Return a name or sentence, which cannot change the direction of what is beside it."""
    return escape(text.translate(_LABEL))


def without_controls(markup: str) -> str:
    """Return markup whose texts are escaped, with the replacements of `shown_label`."""
    return markup.translate(_LABEL)

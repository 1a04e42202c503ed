"""Escapes in typed options: `\\n`, `\\t`, `\\r`, `\\\\`, `\\xHH` and `\\uHHHH`."""

import re

_SHORT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_TYPED = {character: f"\\{letter}" for letter, character in _SHORT.items()}
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(
    rf"\\(?:(?P<short>[ntr\\])"
    rf"|x(?P<byte>{_HEX}{{2}})"
    rf"|u(?P<high>[dD][89abAB]{_HEX}{{2}})\\u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|u(?P<code>(?![dD][89a-fA-F]){_HEX}{{4}}))"
)


def unescape(text: str) -> str:
    """Return a typed text with its escapes replaced by the characters that they stand for.

    Two escapes that are a pair of surrogates, as in JSON, become one character. Any other
    backslash stays as typed: before other characters, too few digits, or a single surrogate.
    """
    return _ESCAPE.sub(_replacement, text)


def escape(text: str) -> str:
    """Return a text to type, for which `unescape` returns `text`.

    It has no unprintable characters except surrogates, which no escape stands for.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_typed, text))


def _replacement(found: re.Match[str]) -> str:
    if short := found["short"]:
        return _SHORT[short]
    if high := found["high"]:
        pair = bytes.fromhex(high + found["low"])
        return pair.decode("utf-16-be")
    return chr(int(found["byte"] or found["code"], 16))


def _typed(character: str) -> str:
    if short := _TYPED.get(character):
        return short
    if character.isprintable() or "\ud800" <= character <= "\udfff":
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    digits = character.encode("utf-16-be").hex()
    return "".join(f"\\u{digits[start : start + 4]}" for start in range(0, len(digits), 4))

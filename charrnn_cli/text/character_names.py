"""Names of characters that cannot be seen, for messages and lists."""

import unicodedata

_CONTROLS = [
    "NUL",
    "SOH",
    "STX",
    "ETX",
    "EOT",
    "ENQ",
    "ACK",
    "BEL",
    "BS",
    "TAB",
    "LF",
    "VT",
    "FF",
    "CR",
    "SO",
    "SI",
    "DLE",
    "DC1",
    "DC2",
    "DC3",
    "DC4",
    "NAK",
    "SYN",
    "ETB",
    "CAN",
    "EM",
    "SUB",
    "ESC",
    "FS",
    "GS",
    "RS",
    "US",
]
_OTHER_CONTROLS = {"\x7f": "DEL", "\x85": "NEL"}
# Without ink, although Unicode counts them as letters or symbols.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Spaces, line ends, format characters, marks without a base, private use, unassigned, surrogates.
_INVISIBLE = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"))


def is_invisible(character: str) -> bool:
    """Return whether a character cannot be recognized when it is shown alone."""
    return character in _BLANK or unicodedata.category(character) in _INVISIBLE


def character_name(character: str) -> str:
    """Return the name of a character in brackets: `<ZERO WIDTH JOINER>`, `<ESC>` or `<U+E000>`."""
    code = ord(character)
    if code < len(_CONTROLS):
        return f"<{_CONTROLS[code]}>"
    other = unicodedata.name(character, f"U+{code:04X}")
    return f"<{_OTHER_CONTROLS.get(character, other)}>"


def code_point_names(text: str) -> str:
    """Return the code points of a text: `U+0065 U+0301`."""
    return " ".join(f"U+{ord(character):04X}" for character in text)


def named_character(character: str) -> str:
    """Describe a character for messages: `'é' (U+00E9)` or `<NO-BREAK SPACE> (U+00A0)`.

    A text of several characters that belong together is described in the same way.
    """
    has_name = len(character) == 1 and character not in "\n\r\t " and is_invisible(character)
    name = character_name(character) if has_name else ""
    shown = name if name and not name.startswith("<U+") else repr(character)
    return f"{shown} ({code_point_names(character)})"

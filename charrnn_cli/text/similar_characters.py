"""What stands closest to a character that a model does not know: curly and straight quotes, accents, forms."""

import unicodedata
from collections.abc import Container, Iterator

_ALIKE = [
    "'’‘ʼ′`´",
    '"“”„«»″',
    "-–—‐‑−―",
    " \u00a0\u202f\u2009\u3000\t",
    "\n\r\u2028\u2029",
    ",，、",
    ".。．",
    "!！",
    "?？",
    ":：",
    ";；",
    "(（",
    ")）",
]
_ELLIPSES = {"…": "...", "⋯": "..."}


def closest(character: str, known: Container[str]) -> str | None:
    """The known text that is most like a character; None where nothing is."""
    for candidate in _candidates(character):
        if candidate and candidate != character and all(part in known for part in candidate):
            return candidate
    return None


def closest_text(text: str, known: Container[str]) -> str:
    """A text in the form, composed or decomposed, that leaves the least unknown, each unknown character replaced.

    What has nothing like it stays.
    """
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    best = min(forms, key=lambda form: sum(character not in known for character in form))
    return "".join(
        character if character in known else closest(character, known) or character
        for character in best
    )


def _candidates(character: str) -> Iterator[str]:
    for group in _ALIKE:
        if character in group:
            yield from group
    yield _ELLIPSES.get(character, "")
    yield from (unicodedata.normalize(form, character) for form in ("NFC", "NFD", "NFKC", "NFKD"))
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    yield from (bare, character.lower(), character.upper(), bare.lower(), bare.upper())

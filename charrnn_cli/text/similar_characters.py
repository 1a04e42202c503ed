"""Similar characters: variants of quotes, dashes, spaces, accents, cases and widths."""

import unicodedata
from collections.abc import Container, Iterator

from charrnn_cli.text.normal_forms import normalize

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
    """Return the known text most similar to a character; None if there is none."""
    for candidate in _candidates(character):
        if candidate and candidate != character and all(part in known for part in candidate):
            return candidate
    return None


def closest_text(text: str, known: Container[str]) -> str:
    """Replace each unknown character of a text with the most similar known text, if any.

    The text is first composed (NFC) or decomposed (NFD) if that leaves fewer unknown characters.
    """
    forms = [text, normalize(text, "NFC"), normalize(text, "NFD")]
    best = min(forms, key=lambda form: sum(character not in known for character in form))
    return "".join(
        character if character in known else closest(character, known) or character
        for character in best
    )


def replacements(text: str, known: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield the parts of a text with unknown characters that have a similar known text, and that.

    A part is a character or, where normalization makes the difference, a character with its marks.
    """
    for part in _with_marks(text):
        if all(character in known for character in part):
            continue
        for form in (normalize(part, "NFC"), normalize(part, "NFD")):
            if all(character in known for character in form):
                yield part, form
                break
        else:
            for character in part:
                like = None if character in known else closest(character, known)
                if like is not None:
                    yield character, like


def _with_marks(text: str) -> Iterator[str]:
    """Split a text before each character that is not a combining mark."""
    part = ""
    for character in text:
        if part and not unicodedata.combining(character):
            yield part
            part = ""
        part += character
    if part:
        yield part


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

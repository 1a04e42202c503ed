"""The encodings in which bytes of a text make sense, the likeliest first."""

import codecs
import contextlib
import functools
import re
import unicodedata
from dataclasses import dataclass

# The encodings in which text files exist today, by the detector's names, and how usual files in
# each of them are. Rarer ones (EBCDIC, HP Roman, DOS for Iceland ...) win too often in short texts.
_WINDOWS = {"cp1252": 2.0} | dict.fromkeys(
    ("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"), 1.0
)
_UNIX = dict.fromkeys(("koi8-r", "koi8-u"), 1.0) | dict.fromkeys(
    (f"iso8859-{part}" for part in (1, 2, 5, 7, 9, 15)), 0.7
)
_OLD = dict.fromkeys(
    (
        *("cp437", "cp850", "cp852", "cp866"),
        *("mac-roman", "mac-cyrillic", "mac-latin2"),
    ),
    0.4,
)
_EAST_ASIAN = dict.fromkeys(("cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949"), 1.0)
_UNICODE = dict.fromkeys(("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"), 1.0)
USUAL = _WINDOWS | _UNIX | _OLD | _EAST_ASIAN | _UNICODE

# The usual names of encodings, which the detector gives the names of their extensions.
_BASIC = {
    "iso8859-1": "latin-1",
    "cp932": "shift_jis",
    "euc_jis_2004": "euc_jp",
    "big5hkscs": "big5",
}
_FALLBACK = "cp1252"  # by far the most frequent encoding that is not UTF-8
_FEW = 4  # distinct places beyond ASCII; with more, the text says more than the prior does
_JUDGED = 2_000  # characters whose neighbors are looked at; takes 0.1 s for all encodings
_NO_LETTERS_IN_ONE = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA")
# Characters that texts do not contain, except a few such as line ends and escape sequences.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_INSIDE_WORDS = "’‘·–—…\u00ad\u200c\u200d"
_AFTER_WORDS, _BEFORE_WORDS = "’”»…", "“„«‘"


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes as one encoding decodes them."""

    encoding: str
    text: str


def likely_encodings(data: bytes) -> list[Decoded]:
    """Decode bytes in each encoding that can be theirs, the likeliest first.

    Encodings that give the same text are listed once. The last character may be incomplete. The
    detector counts pairs of letters in many languages; here it is combined with how
    usual an encoding is, which decides about short texts, and with the neighbors of each character.
    """
    import chardet  # takes 0.1 s, and only texts that cannot be decoded need it

    found: list[tuple[float, Decoded]] = []
    results = chardet.detect_all(
        data,
        ignore_threshold=True,
        compat_names=False,
        include_encodings=USUAL,
        max_bytes=len(data) or 1,
    )
    confidences = {each["encoding"]: each["confidence"] for each in results if each["encoding"]}
    for name, confidence in {_FALLBACK: 0.0, **confidences}.items():
        decoded = _decoded(data, name)
        if decoded is not None:
            usual = USUAL.get(name, 1.0)
            found.append((confidence * _plausibility(decoded.text, usual), decoded))
    if any(not _CONTROLS.search(each.text) for _, each in found):
        found = [each for each in found if not _CONTROLS.search(each[1].text)]
    found.sort(key=lambda each: -each[0])
    distinct: dict[str, Decoded] = {}
    for _, decoded in found:
        distinct.setdefault(decoded.text, decoded)
    return list(distinct.values())


def _decoded(data: bytes, name: str) -> Decoded | None:
    for encoding in (_BASIC.get(name, name), name):
        with contextlib.suppress(UnicodeError):
            return Decoded(encoding, codecs.getincrementaldecoder(encoding)().decode(data))
    return None


def _plausibility(text: str, usual: float) -> float:
    """Return a factor for the detector's confidence."""
    text = text[:_JUDGED]
    neighbors = zip(f" {text}", text, f"{text[1:]} ", strict=False)
    # A word that occurs often says as much about the encoding as if it occurred once.
    places = {place for place in neighbors if place[1] > "\x7f"}
    odd = sum(_oddness(*place) for place in places)
    share = max(0.0, 1 - odd / max(1, len(places)))
    return float(usual ** min(1, _FEW / max(1, len(places)))) * (0.02 + 0.98 * share**2)


def _oddness(before: str, character: str, after: str) -> float:
    """Return how unusual a character is between its neighbors: 0 is usual."""
    category = unicodedata.category(character)
    if category in ("Cc", "Cn", "Co", "Cs"):
        return 2
    if character.isalpha():
        script = _script(character)
        mixed = script not in _NO_LETTERS_IN_ONE and any(
            other.isalpha() and _script(other) != script for other in (before, after)
        )
        return float(mixed or (category == "Lu" and before.islower()))
    if category[0] != "M" and before.isalpha() and after.isalpha():
        return float(character not in _INSIDE_WORDS)
    wrong_side = (character in _AFTER_WORDS and before == " ") or (
        character in _BEFORE_WORDS and after == " "
    )
    return 0.5 if wrong_side else 0


@functools.cache
def _script(character: str) -> str:
    """Return the first word of a letter's name, which is its script."""
    return unicodedata.name(character, "").partition(" ")[0]

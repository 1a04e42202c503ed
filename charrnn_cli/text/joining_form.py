"""The normal form that joins look-alike characters of a text and of a vocabulary."""

import unicodedata
from collections.abc import Callable, Container, Iterator
from dataclasses import replace

import numpy as np

from charrnn_cli.config import Normalize, TextOptions
from charrnn_cli.text.character_names import named_character
from charrnn_cli.text.counting import CountedText, count_text
from charrnn_cli.text.documents import Gathered
from charrnn_cli.text.normal_forms import normalize
from charrnn_cli.text.vocab import Vocab

JOINING_FORMS: tuple[Normalize, ...] = ("nfc", "nfd")


def joining_hint(
    found: Gathered,
    counted: CountedText,
    options: TextOptions,
    vocab: Vocab,
    progress: Callable[[int], None],
) -> str | None:
    """Return a hint that names --normalize, if it leaves no character outside the vocabulary.

    The text is read once more, because how marks are composed depends on their neighbors.
    """
    present = {chr(code) for code in np.flatnonzero(counted.characters.counts).tolist()}
    unseen = sorted(character for character in present if character not in vocab)
    if not any(map(_has_forms, unseen)):
        return None
    for form in JOINING_FORMS:
        again = Gathered(found.name, counted.documents)
        counts = count_text(again, replace(options, normalize=form), progress).characters.counts
        if all(chr(code) in vocab for code in np.flatnonzero(counts).tolist()):
            pair = next(_joined(unseen, present, vocab, form), None)
            becomes = "" if pair is None else f", so that {look_alikes(*pair)}"
            return f"read the text with --normalize {form}{becomes}"
    return None


def look_alikes(text: str, other: str) -> str:
    """Say that a character becomes another one that looks the same, with their code points."""
    return f"{named_character(text)} becomes {named_character(other)}"


def _has_forms(character: str) -> bool:
    composed = normalize(character, "NFC"), normalize(character, "NFD")
    return bool(unicodedata.combining(character)) or set(composed) != {character}


def _joined(
    unseen: list[str], present: Container[str], vocab: Vocab, form: Normalize
) -> Iterator[tuple[str, str]]:
    """Yield pairs of an unseen character and its equal in the vocabulary."""
    if form == "nfd":
        pairs = ((character, normalize(character, "NFD")) for character in unseen)
        yield from (pair for pair in pairs if pair[0] != pair[1])
        return
    for character in vocab.characters:
        parts = normalize(character, "NFD")
        if any(part in unseen for part in parts) and all(part in present for part in parts):
            yield parts, character

"""Advice on a text."""

import math
import random

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.list_shape import list_shape
from charrnn_cli.training.advice import advise_on_list, advise_on_validation
from charrnn_cli.units import bits_per_character, nats_per_character


def test_small_validation_texts_are_noisy() -> None:
    """A validation text under 20,000 characters gets a warning; none does not."""
    assert advise_on_validation(19_999) is not None
    assert advise_on_validation(20_000) is None
    assert advise_on_validation(0) is None


def test_bits() -> None:
    """A loss of ln 2 nats is one bit."""
    assert bits_per_character(math.log(2)) == 1.0
    assert nats_per_character(1.0) == math.log(2)


def test_lists_are_recognized() -> None:
    """A list of short lines is told which option learns it, and a sorted one why."""
    words = [f"{first}{number}" for first in "abcdefghij" for number in range(150)]
    random.Random(1).shuffle(words)
    shuffled, ordered = ("\n".join(each) for each in (words, sorted(words)))
    table = "\n".join(f"{word}\tx" for word in words)
    lines = "--documents lines learns where items begin and end"
    assert advice_on(shuffled) == f"this looks like a list: {lines}"
    assert advice_on(shuffled + "\n") == f"this looks like a list: {lines}"
    assert advice_on(ordered) == (
        f"this looks like a list: {lines}; the list is sorted, and its order would be learned"
    )
    assert advice_on(table) == (
        "this looks like a table: --column 1 learns the items of one column"
    )
    assert advice_on(shuffled, is_csv=True) == (
        "this looks like a table: --column NAME learns the items of one column"
    )


def test_books_are_no_lists() -> None:
    """A text with an empty line, few lines or long lines is not called a list."""
    line = "a line of verse"
    assert advice_on("\n".join([line] * 1_500)) is not None
    assert advice_on("\n".join([line] * 800)) is None
    assert advice_on("\n".join([*[line] * 1_500, "", line])) is None
    assert advice_on("\n".join([line * 8] * 1_500)) is None
    assert advice_on("x" * 5_000) is None


def advice_on(text: str, *, is_csv: bool = False) -> str | None:
    return advise_on_list(list_shape(Corpus.from_text(text)), is_csv=is_csv)

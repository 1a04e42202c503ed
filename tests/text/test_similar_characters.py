"""The known characters nearest to an unknown one."""

import pytest

from charrnn_cli.text.similar_characters import closest, closest_text


@pytest.mark.parametrize(
    ("character", "known", "expected"),
    [
        ("\u2019", "abc'", "'"),
        ("'", "abc\u2019", "\u2019"),
        ("\u201c", 'abc"', '"'),
        ("\u2014", "-", "-"),
        ("\u2026", ".", "..."),
        ("\u00a0", "a b", " "),
        ("\u00e9", "e", "e"),
        ("\u00e9", "e\u0301", "e\u0301"),
        ("\ufb01", "fi", "fi"),
        ("\uff01", "!", "!"),
        ("!", "\uff01", "\uff01"),
        ("Q", "q", "q"),
        ("q", "Q", "Q"),
        ("\u6f22", "abc", None),
    ],
)
def test_the_nearest_known_character(character: str, known: str, expected: str | None) -> None:
    """An unknown character is replaced by its nearest known relative, if there is one."""
    assert closest(character, known) == expected


def test_forms_and_quotes_of_a_text() -> None:
    """A text is composed or decomposed as the known characters are; other characters stay."""
    assert closest_text("cafe\u0301", "caf\u00e9") == "caf\u00e9"
    assert closest_text("caf\u00e9", "cafe\u0301") == "cafe\u0301"
    assert closest_text("it\u2019s \u6f22", "its '") == "it's \u6f22"

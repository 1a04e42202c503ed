"""The encodings of bytes without a name: judged by passages in many languages and encodings."""

import subprocess
import sys

import pytest

from charrnn_cli.text.byte_encodings import is_ascii_superset
from charrnn_cli.text.detector import likely_encodings
from tests.passages import ENCODINGS, is_undecodable, pieces

SHOWN, FIRST = 0.95, 0.85  # shares of the pieces


def test_the_right_reading_is_shown() -> None:
    """The right text is among the first three for 95% of pieces of any size, and first for 85%."""
    found = [piece for piece in pieces((0, 1_000, 10_000, 100_000)) if is_undecodable(*piece[1:])]
    ranks = []
    for _, encoding, text in found:
        data = text.encode(encoding)[: 1 << 15]
        expected = text[: len(data.decode(encoding, "ignore"))]
        texts = [each.text for each in likely_encodings(data)][:3]
        ranks.append(texts.index(expected) if expected in texts else None)
    assert len(found) > 150
    assert len({encoding for encodings in ENCODINGS.values() for encoding in encodings}) > 12
    assert sum(rank is not None for rank in ranks) >= SHOWN * len(found)
    assert sum(rank == 0 for rank in ranks) >= FIRST * len(found)


def test_equal_texts_are_listed_once() -> None:
    """Encodings that give the same text are one reading, which is the most usual one's."""
    texts = [each.text for each in likely_encodings("Grüße aus München\n".encode("latin-1"))]
    assert len(set(texts)) == len(texts)
    assert likely_encodings(b"caf\xe9\n")[0].encoding == "cp1252"


def test_control_characters_are_no_text() -> None:
    """A reading without control characters excludes those with some."""
    encodings = [each.encoding for each in likely_encodings(b"It\x92s late.\n")]
    assert "cp1252" in encodings
    assert "latin-1" not in encodings


def test_the_detector_is_imported_for_errors_alone() -> None:
    """Reading a text that can be decoded does not import the detector."""
    code = (
        "import sys; from charrnn_cli.text.cache import cached_corpus; "
        "from charrnn_cli.text.decoding import decode_bytes; "
        "from charrnn_cli.config import TextOptions; decode_bytes(b'abc', TextOptions(), 'a'); "
        "sys.exit('chardet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        *((name, True) for name in ("utf-8", "latin-1", "cp1252", "koi8-r", "shift_jis")),
        *((name, True) for name in ("gb18030", "big5", "cp949", "euc_jp", "cp874")),
        *((name, False) for name in ("utf-16", "utf-16-le", "utf-32-be", "utf-7", "hz", "cp500")),
        *((name, False) for name in ("iso2022_jp", "unicode_escape", "utf-8-sig")),
    ],
)
def test_supersets_of_ascii(encoding: str, expected: bool) -> None:
    """Only in some encodings are all bytes below 0x80 ASCII characters."""
    assert is_ascii_superset(encoding) is expected


def test_dashes_alone_are_enough() -> None:
    """A text whose only characters beyond ASCII are dashes between letters is Windows text."""
    for text in ("He paused—then ran.\n", "the years 1914–1918, and so on—as ever\n"):
        assert likely_encodings(text.encode("cp1252"))[0].text == text

"""Decoding of text files, in chunks of any size."""

import codecs
import gzip
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text import decoding
from charrnn_cli.text.byte_encodings import BYTE_ORDER_MARKS
from charrnn_cli.text.decoding import decode_bytes, read_pieces, read_text
from charrnn_cli.text.facts import TextFacts

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(path: Path, **options: object) -> tuple[str, TextFacts]:
    facts = TextFacts()
    pieces = list(read_pieces(path, TextOptions.from_json(options), facts))
    return "".join(
        piece if isinstance(piece, str) else piece.decode("ascii") for piece in pieces
    ), facts


@given(
    text=ANY_TEXT,
    size=st.integers(1, 9),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "gb18030"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_chunk_size_reads_the_same(
    text: str, size: int, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text and its line ends are those of Python's text mode, whatever the chunk size."""
    monkeypatch.setattr(decoding, "CHUNK_BYTES", size)
    path = tmp_path / "text"
    path.write_bytes(text.encode(encoding))
    raw = path.read_bytes()
    assume(not any(raw.startswith(mark) for mark, _ in BYTE_ORDER_MARKS))
    assert read(path, encoding=encoding, newlines="keep", force_text=True)[0] == text
    with path.open(encoding=encoding, newline="") as file:
        lines = file.read().replace("\r\r\n", "\n")
    normalized = read(path, encoding=encoding, force_text=True)[0]
    assert normalized == io.StringIO(lines, newline=None).read()


@pytest.mark.parametrize(("mark", "encoding"), BYTE_ORDER_MARKS, ids=lambda value: str(value))
def test_a_byte_order_mark_decides(mark: bytes, encoding: str, tmp_path: Path) -> None:
    """A byte order mark overrides --encoding, and is not part of the text."""
    path = tmp_path / "text"
    path.write_bytes(mark + "añ漢😀".encode(encoding))
    text, facts = read(path, encoding="latin-1")
    assert text == "añ漢😀"
    assert (facts.encoding, facts.byte_order_mark) == (encoding, True)


def test_line_ends_are_counted(tmp_path: Path) -> None:
    """Line ends become newlines and are counted, or are kept."""
    path = tmp_path / "text"
    path.write_bytes(b"a\r\nb\rc\n\r\n\r")
    text, facts = read(path)
    assert text == "a\nb\nc\n\n\n"
    assert (facts.crlf, facts.cr) == (2, 2)
    assert read(path, newlines="keep")[0] == "a\r\nb\rc\n\r\n\r"


@given(text=st.text(st.sampled_from("ab\r\né"), max_size=20), size=st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_line_ends_are_counted_in_any_chunks(text: str, size: int, tmp_path: Path) -> None:
    """The counts of line ends do not depend on the chunk size, in ASCII or in other text."""
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", size)
        plain, facts = read(path)
    ends = re.findall("\r\r\n|\r\n|\r", text)
    assert plain == re.sub("\r\r\n|\r\n|\r", "\n", text)
    counts = [ends.count(end) for end in ("\r\n", "\r\r\n", "\r")]
    assert [facts.crlf, facts.crcrlf, facts.cr] == counts


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_an_undecodable_byte_is_located(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the byte's offset and line, whatever the chunk size."""
    monkeypatch.setattr(decoding, "CHUNK_BYTES", size)
    path = tmp_path / "latin.txt"
    path.write_bytes("año\nmañana".encode() + b"\nni\xf1o")
    with pytest.raises(TextError) as caught:
        read(path)
    assert caught.value.message == f"{path} is not valid utf-8: 0xf1 at byte 15 (line 3)"
    assert caught.value.examples[0] == ("--errors replace", "ni�o")


def test_an_incomplete_character_at_the_end(tmp_path: Path) -> None:
    """The error for an incomplete last character has the offset of its first byte."""
    path = tmp_path / "cut"
    path.write_bytes(b"abc\xe6\xbc")
    with pytest.raises(TextError, match=r"cut is not valid utf-8: 0xe6 at byte 3 \(line 1\)$"):
        read(path)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "zip", ""])
def test_unknown_encodings(encoding: str) -> None:
    """A name that is not the name of a text encoding is refused."""
    with pytest.raises(TextError) as caught:
        TextOptions(encoding=encoding)
    assert caught.value.message == f"unknown encoding {encoding!r}"
    assert caught.value.hint == "use, for example, utf-8, latin-1, cp1252, shift_jis or gb18030"


def test_a_byte_order_mark_alone(tmp_path: Path) -> None:
    """A file that holds only a byte order mark is an empty text."""
    path = tmp_path / "mark"
    path.write_bytes(codecs.BOM_UTF8)
    assert read(path)[0] == ""


def test_bytes_are_decoded_as_a_file_is(tmp_path: Path) -> None:
    """The bytes of a text and a file that holds them give the same text, also if compressed."""
    data = codecs.BOM_UTF16_LE + "a\r\nñ\r".encode("utf-16-le")
    path = tmp_path / "text"
    for content in (data, gzip.compress(data)):
        path.write_bytes(content)
        assert decode_bytes(content, TextOptions(), "the prime") == "a\nñ\n"
        assert read_text(path, TextOptions()) == "a\nñ\n"


def test_errors_in_bytes_name_the_text() -> None:
    """Bytes that cannot be decoded or decompressed raise an error with the text's name."""
    with pytest.raises(TextError) as caught:
        decode_bytes(b"ab\xff", TextOptions(), "the prime")
    assert caught.value.message == "the prime is not valid utf-8: 0xff at byte 2 (line 1)"
    with pytest.raises(TextError, match="the prime is a damaged gzip file: "):
        decode_bytes(gzip.compress(b"abc" * 50)[:-9], TextOptions(), "the prime")

"""Texts of several files in different encodings, and characters that are hard to tell apart."""

import codecs
import json
import re
import unicodedata
from pathlib import Path

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from tests.helpers import FAST, Inside, make_checkpoint, save

CHAPTERS = {
    "chapter1.txt": "Café — one\n".encode(),
    "chapter2.txt": b"Plain two\n",
    "chapter3.txt": b"It\x92s three\n",
    "chapter4.txt": codecs.BOM_UTF16_LE + "Four – été\r\n".encode("utf-16-le"),
}
TEXTS = ["Café — one\n", "Plain two\n", "It’s three\n", "Four – été\n"]
SUMMARY = (
    "2 files as utf-8, 1 as cp1252 (chapter3.txt), "
    "1 as utf-16-le from its byte order mark (chapter4.txt)"
)


@pytest.fixture
def chapters(tmp_path: Path) -> list[str]:
    """The names of four files: two in UTF-8, one in cp1252, one with a byte order mark."""
    for name, content in CHAPTERS.items():
        (tmp_path / name).write_bytes(content)
    return list(CHAPTERS)


def test_each_file_has_its_own_encoding(
    inside: Inside, tmp_path: Path, chapters: list[str]
) -> None:
    """--encoding applies to the files that are not UTF-8, and the summary names them."""
    code, out, _ = inside("encode", *chapters, "-o", "x", "--encoding", "cp1252")
    assert code == 0
    assert out.startswith(
        f"text    43 characters, 23 distinct and the end of a document, {SUMMARY}\n"
    )
    assert "".join(Corpus.open(tmp_path / "x").text()) == "".join(TEXTS)


def test_a_single_file_is_read_as_typed(inside: Inside, tmp_path: Path) -> None:
    """--encoding applies to a single file even if it is valid UTF-8."""
    (tmp_path / "a").write_bytes("é".encode())
    inside("encode", "a", "-o", "x", "--encoding", "cp1252")
    assert "".join(Corpus.open(tmp_path / "x").text()) == "Ã©"
    for encoding, expected in (("utf-8,cp1252", "é"), ("cp1252", "Ã©"), ("utf-8,cp1252", "é")):
        corpus = cached_corpus(tmp_path / "a", TextOptions(encoding=encoding))
        assert "".join(corpus.text()) == expected


def test_train_reports_encodings_and_line_ends(
    inside: Inside, tmp_path: Path, chapters: list[str]
) -> None:
    """`train` reports how each file was read, and the line ends, as `encode` does."""
    (tmp_path / chapters[1]).write_bytes(b"Plain two\r\r\n" * 20 + b"a\rb\n")
    typed = ("train", *chapters, *FAST, "--encoding", "cp1252", "--max-steps", "1")
    code, _, err = inside(*typed)
    assert code == 0, err
    assert f", 4 documents, {SUMMARY}\n" in err
    assert "endings 1 CRLF, 20 CRCRLF and 1 CR converted to LF\n" in err


def test_encodings_that_are_not_ascii_apply_to_all(inside: Inside, tmp_path: Path) -> None:
    """UTF-16 and EBCDIC apply to every file without a mark, even if its bytes are valid UTF-8."""
    for encoding in ("utf-16-le", "cp500"):
        for name in ("a", "b"):
            (tmp_path / name).write_bytes(f"{name} text\n".encode(encoding))
        code, out, _ = inside("encode", "a", "b", "-o", encoding, "--encoding", encoding)
        assert code == 0
        counts = "14 characters, 7 distinct and the end of a document"
        assert out.startswith(f"text    {counts}, read as {encoding}\n")
        assert "".join(Corpus.open(tmp_path / encoding).text()) == "a text\nb text\n"


def test_a_file_of_a_directory_that_is_not_utf8(
    inside: Inside, tmp_path: Path, chapters: list[str]
) -> None:
    """A skipped file comes with the likeliest encodings; with the first one, it is read."""
    book = tmp_path / "book"
    book.mkdir()
    for name in chapters:
        (tmp_path / name).rename(book / name)
    _, out, err = inside("encode", "book", "-o", "x")
    assert "3 files" not in out
    assert err.startswith(
        "skipped chapter3.txt: is not valid utf-8: 0x92 at byte 2 (line 1); "
        "it may need --encoding cp1252 (It’s three) or "
        "--encoding mac-roman (Itís three) or --encoding cp852 (Itĺs three)\n"
    )
    _, out, err = inside("encode", "book", "-o", "y", "--encoding", "cp1252")
    assert SUMMARY in out
    assert "skipped" not in err


def test_the_cache_knows_the_encodings(tmp_path: Path, chapters: list[str]) -> None:
    """From the cache, a text of mixed encodings is the same, and its header has the counts."""
    paths = [tmp_path / name for name in chapters]
    for _ in range(2):
        corpus = cached_corpus(paths, TextOptions(encoding="cp1252"))
        assert "".join(corpus.text()) == "".join(TEXTS)
        assert corpus.header.files_per_encoding == {"utf-8": 2, "cp1252": 1, "utf-16-le + mark": 1}
        assert corpus.header.other_files == [
            ["chapter3.txt", "cp1252"],
            ["chapter4.txt", "utf-16-le + mark"],
        ]
        assert not corpus.header.crcrlf


def test_invisible_characters_are_named(inside: Inside, tmp_path: Path) -> None:
    """Characters without a shape of their own are listed by name, also among the rarest."""
    text = "a \u00a0\u2003\u202f\u200d\ufeff\u0301\x1b\u2028\ue000\u3164\n" + "ab \n" * 9
    (tmp_path / "a").write_text(text)
    out = inside("encode", "a")[1]
    symbols, rarest = (line for line in out.splitlines() if line[:7] in ("symbols", "rarest "))
    assert symbols == (
        "symbols \\n <ESC> ␣ a b <NO-BREAK SPACE> <COMBINING ACUTE ACCENT> <EM SPACE> "
        "<ZERO WIDTH JOINER> <LINE SEPARATOR> <NARROW NO-BREAK SPACE> <HANGUL FILLER> <U+E000> "
        "<ZERO WIDTH NO-BREAK SPACE>"
    )
    assert rarest == (
        "rarest  <ESC> U+001B 1x, <NO-BREAK SPACE> U+00A0 1x, <COMBINING ACUTE ACCENT> U+0301 1x, "
        "<EM SPACE> U+2003 1x, <ZERO WIDTH JOINER> U+200D 1x"
    )
    save(make_checkpoint())
    assert inside("sample", "--prime", "a\u200d", "-n", "1")[2] == (
        "error: the vocabulary lacks <ZERO WIDTH JOINER> (U+200D) at position 2\n"
        "hint: use only its 10 characters, or leave others out with --unknown skip\n"
    )
    assert inside("sample", "--prime", "a\u200d", "-n", "1", "--unknown", "skip")[0] == 0


COMPOSED, DECOMPOSED = "'\u1ec7' (U+1EC7)", "'e\u0323\u0302' (U+0065 U+0323 U+0302)"


@pytest.mark.parametrize(
    ("form", "other", "shown"),
    [
        ("nfd", "nfc", f"{COMPOSED} becomes {DECOMPOSED}"),
        ("nfc", "nfd", f"{DECOMPOSED} becomes {COMPOSED}"),
    ],
)
def test_look_alikes_are_told_apart(
    inside: Inside, tmp_path: Path, form: str, other: str, shown: str
) -> None:
    """A hint shows look-alike characters with their code points, and its option joins them."""
    forms = {"nfc": "\u1ec7", "nfd": unicodedata.normalize("NFD", "\u1ec7")}
    known, typed = forms[form], forms[other]
    save(make_checkpoint(characters="".join(sorted(f"\n abt{known}")), run=form))
    (tmp_path / "text").write_text(f"ta {typed} bat\n")
    code, _, err = inside("encode", "text", "--vocab", form, "-o", "x")
    assert code == 2
    assert err.splitlines()[1:] == [f"hint: read the text with --normalize {form}, so that {shown}"]
    assert inside("encode", "text", "--vocab", form, "-o", "x", "--normalize", form)[0] == 0
    code, _, err = inside("sample", form, "-n", "1", "--prime", typed)
    assert code == 2
    assert err.splitlines()[1:] == [f"hint: with --unknown closest, {shown}"]
    closest = ("--unknown", "closest", "--seed", "1")
    assert inside("sample", form, "-n", "1", "--prime", typed, *closest)[0] == 0


def test_the_json_of_encodings(inside: Inside, chapters: list[str]) -> None:
    """`encode --json` counts the files per encoding, and each kind of line end."""
    _, out, _ = inside("encode", *chapters, "-o", "x", "--encoding", "cp1252", "--json")
    facts = json.loads(out)
    assert facts["files_per_encoding"] == {"utf-8": 2, "cp1252": 1, "utf-16-le + mark": 1}
    assert (facts["crlf"], facts["crcrlf"], facts["cr"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "command",
    [
        ("encode", "text", "-o", "x"),
        ("train", "text", *FAST, "--max-steps", "1"),
        ("score", "tiny", "text", "--unknown", "skip"),
        ("sample", "tiny", "-n", "1", "--prime-file", "text", "--unknown", "skip"),
        ("sample", "tiny", "-n", "1", "--check-copy", "text"),
    ],
    ids=lambda command: f"{command[0]} {command[-2]}",
)
def test_the_options_of_a_hint_are_the_commands_own(
    inside: Inside, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Each command shows only options that it has, and succeeds with the first of them."""
    save(make_checkpoint())
    (tmp_path / "text").write_bytes("Größe, Maß, Übung: a bad day. ".encode() * 9 + b"\xfcber\n")
    code, _, err = inside(*command)
    assert code == 2
    options = [line.split()[:2] for line in err.splitlines() if line.startswith("      --")]
    has_errors = command[0] != "sample"
    assert (options[0] == ["--errors", "replace"]) is has_errors
    assert len(options) == (3 if has_errors else 2)
    assert inside(*command, *options[0])[0] == 0


def test_several_encodings_leave_utf8_alone(inside: Inside, tmp_path: Path) -> None:
    """Of several files, each is UTF-8 or in the first of the given encodings that fits it."""
    texts = {
        "a": ("utf-8", "Größe\n"),
        "b": ("cp1252", "it’s\n"),
        "c": ("euc_jp", "日本語の本\n"),
    }
    for name, (encoding, text) in texts.items():
        (tmp_path / name).write_bytes(text.encode(encoding))
    code, out, _ = inside("encode", "c", "a", "b", "-o", "x", "--encoding", "euc_jp,cp1252")
    assert (code, "1 as utf-8" in out or "1 file as utf-8" in out) == (0, True)
    assert "".join(Corpus.open(tmp_path / "x").text()) == "日本語の本\nGröße\nit’s\n"


def test_a_file_that_needs_yet_another_encoding(inside: Inside, tmp_path: Path) -> None:
    """The encodings that a hint names for a skipped file include those that were given."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_bytes("Ça va, garçon ? Où est l’été ?\n".encode("cp1252"))
    (tmp_path / "book" / "b.txt").write_bytes("吾輩は猫である。名前はまだ無い。\n".encode("euc_jp"))
    _, _, err = inside("encode", "book", "-o", "x", "--encoding", "shift_jis")
    assert "--encoding shift_jis," in err
    found = re.search(r"--encoding (\S+) \(", err)
    assert found is not None
    code, _, err = inside("encode", "book", "-o", "y", "--encoding", found[1])
    assert code == 0


@pytest.mark.parametrize("first", ["shift_jis", "utf-16-le"])
def test_named_files_in_different_encodings(inside: Inside, tmp_path: Path, first: str) -> None:
    """The options shown for one of several files are right for the others too."""
    texts = ["日本語のテキストと漢字\n", "café, garçon, où l’été\n", "Größe\n"]
    for name, encoding, text in zip("abc", (first, "cp1252", "utf-8"), texts, strict=True):
        (tmp_path / name).write_bytes(text.encode(encoding))
    options: list[str] = []
    for _ in range(2):
        code, _, err = inside("encode", "a", "b", "c", "-o", "x", *options)
        assert code == 2
        options = next(line for line in err.splitlines() if line.startswith("      --")).split()[:2]
    assert inside("encode", "a", "b", "c", "-o", "x", *options)[0] == 0
    assert "".join(Corpus.open(tmp_path / "x").text()) == "".join(texts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("encode", "--decode", "x", "--encoding", "cp1252"),
            "--decode cannot be combined with --encoding",
        ),
        (
            ("sample", "tiny", "--force-text"),
            "--force-text requires --prime-file, --check-copy or --novel-against",
        ),
    ],
)
def test_options_without_a_text_to_read(
    inside: Inside, words: tuple[str, ...], message: str
) -> None:
    """An option for reading texts is refused where no text is read."""
    save(make_checkpoint())
    code, out, err = inside(*words)
    assert (code, out, err.splitlines()[0]) == (2, "", f"error: {message}")

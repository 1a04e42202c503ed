"""Files as the items of a list."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn_cli.config import END_OF_DOCUMENT, TextOptions, Unknown
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.text import decoding
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.text.vocab import Vocab

END = END_OF_DOCUMENT


def encoded(
    *paths: Path, vocab: Vocab | None = None, unknown: Unknown = "error", **options: object
) -> Corpus:
    output = paths[0].parent / "out.safetensors"
    output.unlink(missing_ok=True)
    return encode_text(paths, output, TextOptions.from_json(options), vocab=vocab, unknown=unknown)


def items_of(corpus: Corpus) -> list[str]:
    """Return the items between end symbols, and check that the starts are those of the symbols."""
    text = corpus.vocab.decode(corpus.read(0, len(corpus)).tolist())
    end = corpus.end
    assert end is not None
    assert text[0] == text[-1] == end
    *starts, last = [place for place, each in enumerate(text) if each == end]
    assert corpus.starts_D.tolist() == starts
    assert last == len(text) - 1
    assert corpus.counts_V.tolist() == [text.count(each) for each in corpus.vocab.characters]
    return text[1:-1].split(end)


def written(tmp_path: Path, text: str, name: str = "list.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


TEXTS = st.lists(st.sampled_from(["a", "b b", " ", "\n", "\n\n", " \n", "\t\n", "%", "漢"])).map(
    "".join
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(TEXTS, st.sampled_from(["lines", "blank-lines", "%", "\n%\n", "b b"]), st.integers(1, 9))
def test_items_are_what_stands_between(tmp_path: Path, text: str, kind: str, chunk: int) -> None:
    """Wherever pieces of a file end, its items are the same; empty ones are left out."""
    match kind:
        case "lines":
            expected = text.split("\n")
        case "blank-lines":
            blocks = [[]]  # type: list[list[str]]
            for line in text.split("\n"):
                if line.strip(" \t"):
                    blocks[-1].append(line)
                else:
                    blocks.append([])
            expected = ["\n".join(block) for block in blocks]
        case "\n%\n":
            expected = re.split(r"(?m)(?:^%(?:\n|\Z))+", text)
            expected = [item.removesuffix("\n") for item in expected]
        case _:
            *complete, rest = text.split(kind)
            expected = [*complete, rest.removesuffix("\n")]
    expected = [item for item in expected if item]
    path = written(tmp_path, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", chunk)
        is_text = kind not in ("lines", "blank-lines")
        if not expected or (is_text and len(expected) == 1):
            with pytest.raises(TextError, match="is empty" if not expected else "between items"):
                encoded(path, documents=kind)
            return
        corpus = encoded(path, documents=kind)
    assert items_of(corpus) == expected
    assert corpus.end == ("\n" if kind == "lines" else END)
    assert corpus.longest_item == max(map(len, expected))
    between = {"lines": "\n", "blank-lines": "\n\n"}.get(kind, kind)
    assert "".join(corpus.text()) == "".join(item + between for item in expected)
    assert corpus.num_characters == sum(map(len, expected)) + (
        len(expected) if kind == "lines" else 0
    )


def test_lines_of_odd_files(tmp_path: Path) -> None:
    """Line ends of any kind end an item, and byte order marks before items are left out."""
    path = written(tmp_path, "\ufeffemma\r\n\r\nolivia\r\ufeffava\r\r\n\ufeff\n\n\nmia")
    assert items_of(encoded(path, documents="lines")) == ["emma", "olivia", "ava", "mia"]
    with gzip.open(tmp_path / "more.txt.gz", "wb") as file:
        file.write(b"zoe\nleo")
    both = encoded(path, tmp_path / "more.txt.gz", documents="lines")
    assert items_of(both) == ["emma", "olivia", "ava", "mia", "zoe", "leo"]
    assert both.header.crlf == 2


def test_a_million_empty_lines(tmp_path: Path) -> None:
    """Empty lines cost a moment, and a list of nothing else is empty."""
    empty = written(tmp_path, "\n" * 1_000_000)
    for kind in ("lines", "blank-lines"):
        with pytest.raises(TextError, match="is empty"):
            encoded(empty, documents=kind)
    some = written(tmp_path, "\n" * 500_000 + "a" + "\n" * 500_000 + "b", "some.txt")
    assert items_of(encoded(some, documents="lines")) == ["a", "b"]
    assert items_of(encoded(some, documents="blank-lines")) == ["a", "b"]


def test_a_huge_item(tmp_path: Path) -> None:
    """An item may be longer than any piece of a file."""
    path = written(tmp_path, "x" * 3_000_000 + "\nb\n")
    corpus = encoded(path, documents="lines")
    assert (corpus.num_documents, corpus.longest_item) == (2, 3_000_000)
    rows = written(tmp_path, 'name\n"' + "x" * 3_000_000 + '"\nb\n', "rows.csv")
    assert encoded(rows, documents="lines", column="name").longest_item == 3_000_000


def test_an_item_with_the_end_symbol(tmp_path: Path) -> None:
    """A text that has the end symbol is refused, unless line ends mark the items."""
    path = written(tmp_path, f"one\n\n{END}\n\ntwo")
    for kind in ("blank-lines", "%"):
        with pytest.raises(TextError) as caught:
            encoded(path, documents=kind, force_text=True)
        assert caught.value.message == (
            f"{path} contains <ETX> (U+0003), which marks the end of an item"
        )
    assert items_of(encoded(path, documents="lines", force_text=True)) == ["one", END, "two"]
    other = written(tmp_path, "two", "other.txt")
    with pytest.raises(TextError) as caught:
        encoded(path, other, force_text=True)
    assert caught.value.message == (
        "one of the 2 files contains <ETX> (U+0003), which marks the end of a file"
    )


def test_min_count_spares_the_end(tmp_path: Path) -> None:
    """The end symbol is kept however rare it is."""
    corpus = encoded(written(tmp_path, "aa\n\nbaa"), documents="blank-lines", min_count=4)
    assert items_of(corpus) == ["aa", "\ufffdaa"]


def test_a_given_vocabulary(tmp_path: Path) -> None:
    """Items without a known character are left out with the characters; the end must be known."""
    path = written(tmp_path, "ab\nxy\nxa\n\nyyy\n")
    kept = encoded(path, vocab=Vocab("\nab"), unknown="skip", documents="lines")
    assert items_of(kept) == ["ab", "a"]
    assert kept.header.unseen == {"y": 4, "x": 2}
    with pytest.raises(UnknownCharacterError) as caught:
        encoded(path, vocab=Vocab("abxy"), unknown="skip", documents="lines")
    assert caught.value.message == "the vocabulary lacks the end of an item, '\\n' (U+000A)"
    extended = encoded(path, vocab=Vocab("abxy"), unknown="extend", documents="lines")
    assert extended.vocab.characters == "abxy\n"
    files = written(tmp_path, "a", "1.txt"), written(tmp_path, "b", "2.txt")
    assert encoded(*files, vocab=Vocab("ab")).end is None  # the model learned no end


def test_columns(tmp_path: Path) -> None:
    """A column of a table is read by its name or number, whatever its cells contain."""
    rows = [["id", "name"], ["1", "Ann, B."], ["2", 'say "x"'], ["3", ""], ["4", "two\nlines"]]
    quoted = "".join(
        ",".join('"' + c.replace('"', '""') + '"' for c in row) + "\r\n" for row in rows
    )
    table = written(tmp_path, "\ufeff" + quoted, "table.csv")
    expected = ["Ann, B.", 'say "x"', "two lines"]
    assert items_of(encoded(table, documents="lines", column="name")) == expected
    assert items_of(encoded(table, documents="lines", column="2")) == ["name", *expected]
    kept = encoded(table, documents="blank-lines", column="name")
    assert items_of(kept) == ["Ann, B.", 'say "x"', "two\nlines"]
    tabs = written(tmp_path, "Khoury\tArabic\nIto\nMüller\tGerman", "names.tsv")
    assert items_of(encoded(tabs, documents="lines", column="1")) == ["Khoury", "Ito", "Müller"]
    assert items_of(encoded(tabs, documents="lines", column="Arabic")) == ["German"]
    values = ["caf\u0065\u0301", "a\r\nb", 12, None, "", "漢"]
    lines = "".join(json.dumps({"text": value}) + "\n\n" for value in values)
    objects = written(tmp_path, lines, "rows.jsonl")
    corpus = encoded(objects, documents="lines", column="text", normalize="nfc")
    assert items_of(corpus) == ["café", "a b", "12", "漢"]


@pytest.mark.parametrize(
    ("name", "text", "column", "message"),
    [
        ("a.csv", "x,y\n1,2\n", "z", "has no column 'z'; it has x, y"),
        ("a.csv", "x,y\n1,2\n", "3", "has no column '3'; it has x, y"),
        ("a.tsv", "\n", "z", "has no column 'z'; it has none"),
        ("a.jsonl", '{"x": 1}\n', "z", "has no column 'z'; it has x"),
        ("a.jsonl", '{"x": 1}\n[2]\n', "x", "is not JSON Lines: line 2 is not an object"),
        ("a.jsonl", "{x: 1}\n", "x", "is not JSON Lines: line 1 is not valid JSON"),
        (
            "a.jsonl",
            '{"x": 1}\n' + "[" * 99_999,
            "x",
            "is not JSON Lines: line 2 is not valid JSON",
        ),
        (
            "a.csv",
            'x\n1\n"Anna\nBob\n',
            "x",
            (
                "is not a valid table: the row that begins in line 3 has an open or a stray "
                "quotation mark"
            ),
        ),
    ],
)
def test_wrong_columns(tmp_path: Path, name: str, text: str, column: str, message: str) -> None:
    """A table without the column, or no table at all, is one clear error."""
    path = written(tmp_path, text, name)
    with pytest.raises(TextError) as caught:
        encoded(path, documents="lines", column=column)
    assert caught.value.message == f"{path} {message}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("list.txt", '{"name": "Al"}\n{"age": 3}\n{"name": "Bo"}\n', ["Al", "Bo"]),
        ("rows.jsonl", '{"age": 3}\n{"name": 5e1, "age": %s}\n' % ("9" * 5_000), ["5e1"]),
        ("list.txt", "age\tname\n3\tAl\n", ["Al"]),
        ("table.csv", "age;name\n3;Al\n", ["Al"]),
        ("table.csv", "name\nAl\nBo\n", ["Al", "Bo"]),
        ("list.txt", "Al\nBo\n", ["Al", "Bo"]),
    ],
)
def test_tables_are_recognized(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    """The format of a table follows from its name, or else from its first line.

    A text without columns is read as a list.
    """
    assert items_of(encoded(written(tmp_path, text, name), documents="lines", column="name")) == (
        expected
    )


def test_a_separator_that_never_occurs(tmp_path: Path) -> None:
    """A text between items that stands nowhere is an error, and says why it may be missing."""
    path = written(tmp_path, "one\r\n%\r\ntwo\r\n")
    for between, hint in (
        ("|", "check the text between the items, or use --documents lines or blank-lines"),
        ("\r\n%\r\n", "line ends have become \\n: leave out \\r"),
    ):
        with pytest.raises(TextError) as caught:
            encoded(path, documents=between)
        assert caught.value.message == f"{path} does not contain {between!r} between items"
        assert caught.value.hint == hint
    assert items_of(encoded(path, documents="\n%\n")) == ["one", "two"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"documents": "lines", "separator": "|"}, "a separator joins files, but documents are"),
        ({"documents": "blank-lines", "newlines": "keep"}, "line ends cannot be kept where they"),
        ({"documents": "a\x1bb"}, "documents must not contain control characters"),
        ({"column": "x"}, "a column has items; documents must be lines, blank-lines or a text"),
    ],
)
def test_options_that_exclude_each_other(options: dict[str, str], message: str) -> None:
    """Options that make no sense together are refused."""
    with pytest.raises(ConfigError, match=message):
        TextOptions.from_json(options)

"""The choice of files in a directory."""

from pathlib import PurePath

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.text.selection import (
    count_suffixes,
    described_suffixes,
    excluding,
    held_out_names,
    select,
    suffix_of,
)


def chosen(names: str, include: str | None = None) -> str:
    paths = [PurePath(name.replace("_", " ")) for name in names.split()]
    return " ".join(
        str(path).replace(" ", "_")
        for path, keep in zip(paths, select(paths, include), strict=True)
        if keep
    )


@pytest.mark.parametrize(
    ("names", "include", "expected"),
    [
        (
            "a.txt b.MD README c.svg d.png e.py sub/f.srt g.tsv.gz h.tar.gz chapter.12 St._Peter",
            None,
            "a.txt b.MD README sub/f.srt g.tsv.gz chapter.12 St._Peter",
        ),
        ("a.py b.c c.txt d.svg", None, "a.py b.c c.txt"),
        ("a.py c.txt", None, "c.txt"),
        ("a.py b.py c.txt LICENSE", None, "c.txt LICENSE"),
        ("a.py b.py c.txt", "!b.py", "c.txt"),
        ("a.svg b.png", None, ""),
        ("a.docx b.pdf", None, "a.docx b.pdf"),
        ("a.svg b.txt", "*", "a.svg b.txt"),
        ("a.svg b.txt x/a.svg", "*.svg", "a.svg x/a.svg"),
        ("a.svg b.txt c.md", "*.svg, *.md", "a.svg c.md"),
        ("a.txt valid.txt x/valid.txt", "!valid.txt", "a.txt"),
        ("a.txt x/a.txt x/b.txt", "!x/*", "a.txt"),
        ("a.txt x/a.txt x/y/b.txt", "!x", "a.txt"),
        ("a.txt x/a.txt x/y/b.txt", "x/y/", "x/y/b.txt"),
        ("a.txt a.txt~ b~", None, "a.txt"),
        ("a.txt b.txt c.md", "!b.txt,*.txt", "a.txt"),
        ("a.txt b.svg", "*,!a.*", "b.svg"),
    ],
)
def test_files_are_chosen(names: str, include: str | None, expected: str) -> None:
    """Texts go by suffix and source files by majority; patterns choose, and exclude after a `!`."""
    assert chosen(names, include) == expected


@pytest.mark.parametrize("include", ["", "a,,b", "!", "*.txt,!", " , "])
def test_patterns_are_not_empty(include: str) -> None:
    """An empty pattern is refused."""
    with pytest.raises(ConfigError) as caught:
        TextOptions(include=include)
    assert caught.value.message == (
        f"include must be patterns with commas between; got {include!r}"
    )


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.TXT", ".txt"),
        ("a.txt.gz", ".txt"),
        ("a.gz", ""),
        ("README", ""),
        ("v1.2", ""),
        ("Mr. Smith", ""),
        ("a.7z", ".7z"),
        (".txt", ""),
        ("a.averylongsuffix", ""),
    ],
)
def test_suffixes(name: str, suffix: str) -> None:
    """A suffix has a letter and no space; that of a compressed text is the text's."""
    assert suffix_of(name) == suffix


def test_suffixes_are_counted() -> None:
    """Suffixes are counted, the most frequent first, and rare ones are counted together."""
    assert described_suffixes(count_suffixes(["a.md", "b.txt", "c.txt", "d"])) == (
        "2 .txt, 1 .md, 1 without a suffix"
    )
    counts = count_suffixes(f"a.x{number}" for number in range(60))
    assert len(counts) == 51
    assert counts["others"] == 10


def test_held_out_files() -> None:
    """Validation and test files are named where there are others; source files are not."""
    names = ["train.txt", "valid.txt", "x/Test.txt", "y/valid.txt", "dev", "test.py", "tests.txt"]
    assert held_out_names(names) == ["valid.txt", "Test.txt", "dev"]
    assert held_out_names(["valid.txt", "test.txt"]) == []


@pytest.mark.parametrize("name", ["valid.txt", "test[1].txt", "de,v*?.txt"])
def test_a_pattern_that_excludes(name: str) -> None:
    """The pattern that leaves out a file fits its name, and keeps the other patterns."""
    assert not chosen(f"{name} a.txt", excluding([name], None)).startswith(name)
    assert chosen(f"{name} a.txt b.md", excluding([name], "*.txt")) == "a.txt"

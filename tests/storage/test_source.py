"""Where a run's text is, as its resume file records it."""

import os
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_pipe

OPTIONS = TextOptions(encoding="latin-1").to_json()


def test_a_source_survives_a_round_trip(tmp_path: Path) -> None:
    """Paths of any bytes, standard input, options and the first checkpoint are kept."""
    strange = tmp_path / b"caf\xe9 %20#.txt".decode("utf-8", "surrogateescape")
    source = Source(
        (strange, STANDARD_INPUT), TextOptions(encoding="latin-1"), "tiny@100", "extend"
    )
    raw = source.to_json()
    assert raw["texts"][0].isascii()
    assert raw["texts"][1] == "-"
    assert Source.from_json(raw) == source


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"options": OPTIONS},
        {"texts": None, "options": OPTIONS},
        {"texts": ["https://example.org/x"], "options": OPTIONS},
        {"texts": ["-"]},
        {"texts": ["-"], "options": {"encoding": "none"}},
        {"texts": ["-"], "options": {"unknown": 1}},
        {"texts": ["-"], "options": OPTIONS, "unknown": "ask"},
        {"texts": ["-"], "options": OPTIONS, "unknown": ["skip"]},
    ],
    ids=str,
)
def test_a_source_without_a_text_is_refused(raw: dict[str, Any]) -> None:
    """A record that does not name a text and how to read it raises ConfigError."""
    with pytest.raises(ConfigError, match=r"the source |unknown setting"):
        Source.from_json(raw)


def test_a_text_that_cannot_be_read_again(tmp_path: Path) -> None:
    """A deleted file is missing, and so is standard input; an existing file is not."""
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.touch()
    assert Source((here,)).missing is None
    assert Source((here, gone)).missing == gone
    assert Source((STANDARD_INPUT,)).missing == STANDARD_INPUT


def test_a_pipe_cannot_be_read_again(tmp_path: Path) -> None:
    """A named pipe is missing, and so is an open file by its number; other files are no pipes."""
    pipe, here = tmp_path / "pipe", tmp_path / "here"
    os.mkfifo(pipe)
    here.touch()
    for path in (pipe, Path("/dev/fd/63"), Path("/proc/self/fd/0"), Path("/dev/stdin")):
        assert Source((here, path)).missing == path
    assert [is_pipe(path) for path in (pipe, here, tmp_path, Path("/dev/null"), Path("\0"))] == [
        *(True, False, False, False, False)
    ]


def test_options_that_an_older_record_lacks() -> None:
    """A record from before the files were looked at is read as it was then."""
    older = {name: OPTIONS[name] for name in ("encoding", "include")}
    options = Source.from_json({"texts": ["-"], "options": {**older, "include": "*"}}).options
    assert options is not None
    assert (options.keep_duplicates, options.force_text) == (True, True)
    options = Source.from_json({"texts": ["-"], "options": OPTIONS}).options
    assert options is not None
    assert (options.keep_duplicates, options.force_text) == (False, False)


def test_texts_held_out_in_files_of_their_own(tmp_path: Path) -> None:
    """Their paths are kept, and a record without them, as older ones are, has none."""
    val, test = tmp_path / "valid.txt", tmp_path / "test.txt"
    val.touch()
    source = Source((Path("train.txt"),), TextOptions(), val=val, test=test)
    raw = source.to_json()
    assert Source.from_json(raw).held_out == {"val": val, "test": test}
    assert source.missing_held_out == test
    older = Source.from_json({name: raw[name] for name in ("texts", "options")})
    assert (older.val, older.test, older.missing_held_out) == (None, None, None)


def test_why_a_text_cannot_be_read_again(tmp_path: Path) -> None:
    """The reason follows from where the text came from."""
    path = tmp_path / "text.txt"
    path.touch()
    os.mkfifo(pipe := tmp_path / "pipe")
    assert Source((path,)).why_missing is None
    assert Source((path, STANDARD_INPUT)).why_missing == "came from standard input"
    assert Source((pipe,)).why_missing == "came from a pipe"
    path.unlink()
    assert Source((path,)).why_missing == f"no longer exists: {path}"

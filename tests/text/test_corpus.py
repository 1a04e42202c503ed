"""A text as integers on disk."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import AlreadyPublishedError, FileFormatError, TextError
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text, is_encoded


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda text: text[0] != "\ufeff"
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_round_trip(tmp_path: Path, text: str) -> None:
    """Ids, vocabulary and counts are those of the text, and the text comes back byte for byte."""
    source, output = tmp_path / "in.txt", tmp_path / "out.safetensors"
    source.write_bytes(text.encode())
    output.unlink(missing_ok=True)
    corpus = encode_text(source, output, TextOptions(newlines="keep"))
    assert "".join(corpus.text()) == text
    assert corpus.vocab.characters == "".join(sorted(set(text)))
    assert corpus.counts_V.tolist() == [
        text.count(character) for character in corpus.vocab.characters
    ]
    assert corpus.read(0, len(text)).tolist() == corpus.vocab.encode(text)


@pytest.mark.parametrize(
    ("symbols", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16"), (65_537, "uint32")]
)
def test_ids_take_the_smallest_type(tmp_path: Path, symbols: int, dtype: str) -> None:
    """And any safetensors reader opens the file."""
    source, output = tmp_path / "in.txt", tmp_path / "out.safetensors"
    first = 0x10000 if symbols > 60_000 else 0x100
    source.write_text("".join(chr(first + index) for index in range(symbols)), "utf-8")
    encode_text(source, output)
    tensors = load_file(output)
    assert tensors["ids"].dtype == np.dtype(dtype)
    assert tensors["ids"].tolist() == list(range(symbols))


def test_an_existing_output_stays(tmp_path: Path, story: Path) -> None:
    output = tmp_path / "out.safetensors"
    output.write_text("mine")
    with pytest.raises(AlreadyPublishedError):
        encode_text(story, output)
    assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"abc\xff", "not valid utf-8"),
        (None, "no file named"),
    ],
    ids=str,
)
def test_bad_texts_leave_nothing(tmp_path: Path, content: bytes | None, message: str) -> None:
    source = tmp_path / "in.txt"
    if content is not None:
        source.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TextError, match=message):
        encode_text(source, tmp_path / "out.safetensors")
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupt_leaves_nothing(tmp_path: Path, story: Path) -> None:
    """What the progress function raises ends the work, in either pass."""
    for calls in (0, 1):
        seen = iter(range(calls))

        def stop(done: int, total: int, seen: "object" = seen) -> None:
            if next(seen, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt

        before = sorted(tmp_path.iterdir())
        with pytest.raises(KeyboardInterrupt):
            encode_text(story, tmp_path / "out.safetensors", progress=stop)
        assert sorted(tmp_path.iterdir()) == before


def test_the_cache_is_keyed_by_content_and_options(story: Path, home: Path) -> None:
    """The same text is encoded once; other options or another text are another entry."""
    first = cached_corpus(story)
    assert cached_corpus(story).sha256 == first.sha256
    assert len(list((home / "corpora").iterdir())) == 1
    cached_corpus(story, TextOptions(newlines="keep"))
    story.write_text("another story", "utf-8")
    assert len(cached_corpus(story)) == 13
    assert len(list((home / "corpora").iterdir())) == 3


def test_a_damaged_cache_is_made_again(story: Path, home: Path) -> None:
    whole = cached_corpus(story).sha256
    (entry,) = (home / "corpora").iterdir()
    raw = bytearray(entry.read_bytes())
    raw[-1] ^= 1
    entry.write_bytes(raw)
    with pytest.raises(FileFormatError):
        Corpus.open(entry)
    assert cached_corpus(story).sha256 == whole
    Corpus.open(entry)


def test_a_truncated_file_is_noticed_while_it_is_read(tmp_path: Path, story: Path) -> None:
    """A file cut after it was opened is an error, not a crash."""
    output = tmp_path / "out.safetensors"
    corpus = encode_text(story, output)
    os.truncate(output, 600)
    with pytest.raises(FileFormatError, match="cut off"):
        corpus.read(len(corpus) - 10, len(corpus))


def test_encoded_files_are_recognised(tmp_path: Path, story: Path) -> None:
    output = tmp_path / "out.safetensors"
    encode_text(story, output)
    assert is_encoded(output)
    assert not is_encoded(story)
    assert cached_corpus(output).name == "story"


def test_memory_and_disk_agree(story: Path) -> None:
    """A corpus of a string has the content of the one of its file."""
    from_file, from_text = cached_corpus(story), Corpus.from_text(story.read_text("utf-8"))
    assert from_file.vocab == from_text.vocab
    assert (from_file.read(0, 100) == from_text.read(0, 100)).all()
    assert (from_file.counts_V == from_text.counts_V).all()
    assert from_file.sha256 == from_text.sha256


def test_reading_outside_is_an_error(corpus: Corpus) -> None:
    for start, stop in ((-1, 3), (3, 2), (0, len(corpus) + 1)):
        with pytest.raises(IndexError):
            corpus.read(start, stop)

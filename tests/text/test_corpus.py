"""Encoded texts: written, opened, read and cached."""

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import AlreadyPublishedError, FileFormatError, TextError
from charrnn_cli.settings import fields_of
from charrnn_cli.storage.corpus_header import CORPUS_KIND, CorpusHeader
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import TensorSpec, read_header
from charrnn_cli.text import cache
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.corpus_file import corpus_specs
from charrnn_cli.text.encoding import encode_documents, encode_text, is_encoded
from tests.helpers import STORY


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda text: text[0] != "\ufeff"
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_round_trip(tmp_path: Path, text: str) -> None:
    """Ids, vocabulary and counts are those of the text, and they decode to the same text."""
    source, output = tmp_path / "in.txt", tmp_path / "out.safetensors"
    source.write_bytes(text.encode())
    output.unlink(missing_ok=True)
    corpus = encode_text(source, output, TextOptions(newlines="keep", force_text=True))
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
    """Ids have the smallest type that fits, and other safetensors readers open the file."""
    source, output = tmp_path / "in.txt", tmp_path / "out.safetensors"
    first = 0x10000 if symbols > 60_000 else 0x100
    source.write_text("".join(chr(first + index) for index in range(symbols)), "utf-8")
    encode_text(source, output)
    tensors = load_file(output)
    assert tensors["ids"].dtype == np.dtype(dtype)
    assert tensors["ids"].tolist() == list(range(symbols))


def test_an_existing_output_stays(tmp_path: Path, story: Path) -> None:
    """An existing output file is an error, and is left as it is."""
    output = tmp_path / "out.safetensors"
    output.write_text("mine")
    with pytest.raises(AlreadyPublishedError):
        encode_text(story, output)
    assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{} is empty"),
        (b"\xef\xbb\xbf", "{} is empty"),
        (b"abc\xff", "{} is not valid utf-8: 0xff at byte 3 (line 1)"),
        (None, "no file named {}"),
    ],
    ids=str,
)
def test_bad_texts_leave_nothing(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A text that cannot be encoded is an error, and leaves no file."""
    source = tmp_path / "in.txt"
    if content is not None:
        source.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TextError) as caught:
        encode_text(source, tmp_path / "out.safetensors")
    assert caught.value.message == message.format(source)
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupt_leaves_nothing(tmp_path: Path, story: Path) -> None:
    """An exception from the progress callback ends either pass, and no file is left."""
    size = story.stat().st_size
    before = set(tmp_path.iterdir())
    during = []
    for stop_at in (size, 2 * size):  # at the end of the first pass, and of the second

        def stop(done: int, total: int, stop_at: int = stop_at) -> None:
            assert total == 2 * size
            if done == stop_at:
                during.append(set(tmp_path.iterdir()) - before)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            encode_text(story, tmp_path / "out.safetensors", progress=stop)
        assert set(tmp_path.iterdir()) == before
    assert [len(files) for files in during] == [0, 1]  # a partial file exists in the second pass


def test_the_cache_is_keyed_by_content_and_options(
    story: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text is encoded once; each other text or other options get an entry of their own."""
    encoded = []

    def counted(*arguments: Any, **options: Any) -> Corpus:
        encoded.append(arguments)
        return encode_documents(*arguments, **options)

    monkeypatch.setattr(cache, "encode_documents", counted)
    first = cached_corpus(story)
    again = cached_corpus(story)
    assert (again.sha256, "".join(again.text())) == (first.sha256, STORY)
    assert len(encoded) == 1
    cached_corpus(story, TextOptions(newlines="keep"))
    assert len(encoded) == 2
    story.write_text("another story", "utf-8")
    assert "".join(cached_corpus(story).text()) == "another story"
    story.write_text(STORY, "utf-8")
    assert "".join(cached_corpus(story).text()) == STORY
    assert len(encoded) == len(list((home / "corpora").iterdir())) == 3


def test_a_damaged_cache_entry_is_replaced(story: Path, home: Path) -> None:
    """A damaged file in the cache is deleted, and the text is encoded again."""
    whole = cached_corpus(story).sha256
    (entry,) = (home / "corpora").iterdir()
    raw = bytearray(entry.read_bytes())
    raw[-1] ^= 1
    entry.write_bytes(raw)
    with pytest.raises(FileFormatError, match=r"the checksum of its tensors does not match$"):
        Corpus.open(entry)
    assert cached_corpus(story).sha256 == whole
    Corpus.open(entry)


def test_a_truncated_file_is_noticed_while_it_is_read(tmp_path: Path, story: Path) -> None:
    """Reading from a file that was truncated after it was opened is an error, not a crash."""
    output = tmp_path / "out.safetensors"
    corpus = encode_text(story, output)
    os.truncate(output, 600)
    with pytest.raises(FileFormatError) as caught:
        corpus.read(len(corpus) - 10, len(corpus))
    assert caught.value.message == f"{output} was truncated while it was being read"


def test_encoded_files_are_recognized(tmp_path: Path, story: Path) -> None:
    """An encoded file is recognized, and is opened instead of encoded again."""
    output = tmp_path / "out.safetensors"
    encode_text(story, output)
    assert is_encoded(output)
    assert not is_encoded(story)
    assert cached_corpus(output).name == "story"


def test_memory_and_disk_agree(story: Path) -> None:
    """A text in memory and the same text in a file give equal corpora."""
    from_file, from_text = cached_corpus(story), Corpus.from_text(story.read_text("utf-8"))
    assert from_file.vocab == from_text.vocab
    assert (from_file.read(0, 100) == from_text.read(0, 100)).all()
    assert (from_file.counts_V == from_text.counts_V).all()
    assert from_file.sha256 == from_text.sha256


def test_reading_outside_is_an_error(corpus: Corpus) -> None:
    """A stretch that is not inside the text raises IndexError."""
    for start, stop in ((-1, 3), (3, 2), (0, len(corpus) + 1)):
        with pytest.raises(IndexError):
            corpus.read(start, stop)


def write_corpus(path: Path, metadata: dict[str, object], **changes: TensorSpec) -> None:
    """Write an encoded text of five characters with these metadata and other tensors."""
    specs = {**corpus_specs("U8", 5, 1, 1), **changes}
    with write_tensors(path, CORPUS_KIND, specs, metadata) as tensors:
        for name in tensors.order:
            content = "a".encode("utf-32-le") if name == "vocabulary" else b""
            size = specs[name].num_bytes
            tensors.write(content[:size].ljust(size, b"\0"))


def test_the_header_is_the_documented_one(tmp_path: Path, story: Path) -> None:
    """An encoded text has every documented key with its type, and the keys of every file."""
    encode_text(story, tmp_path / "out.safetensors")
    metadata = read_header(tmp_path / "out.safetensors").metadata
    common = {"format", "version", "kind", "tensors_sha256", "header_sha256"}
    assert metadata.keys() - common == fields_of(CorpusHeader).keys()


def test_a_short_header_is_enough(tmp_path: Path) -> None:
    """A file with the required keys only is opened."""
    path = tmp_path / "corpus.safetensors"
    write_corpus(path, {"name": "x", "characters": 5})
    corpus = Corpus.open(path)
    assert ("".join(corpus.text()), corpus.name, corpus.separator) == ("aaaaa", "x", "")


@pytest.mark.parametrize(
    "metadata",
    [
        {"characters": 5},
        {"name": "x"},
        {"name": 1, "characters": 5},
        {"name": "x", "characters": 4},
        {"name": "x", "characters": True},
        {"name": "x", "characters": 5, "separator": None},
        {"name": "x", "characters": 5, "skipped": {}},
    ],
    ids=str,
)
def test_a_wrong_header_is_refused(tmp_path: Path, metadata: dict[str, object]) -> None:
    """A file that lacks a required key, or has a key of a wrong type, is not an encoded text."""
    path = tmp_path / "corpus.safetensors"
    write_corpus(path, metadata)
    with pytest.raises(FileFormatError) as caught:
        Corpus.open(path)
    assert caught.value.message.startswith(f"{path} ")
    assert " header" in caught.value.message


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("ids", TensorSpec("F32", (5,))),
        ("ids", TensorSpec("U8", (5, 1))),
        ("ids", TensorSpec("U8", (4,))),
        ("vocabulary", TensorSpec("U8", (1,))),
        ("counts", TensorSpec("U64", (2,))),
        ("counts", TensorSpec("U32", (1,))),
        ("documents", TensorSpec("U8", (1,))),
        ("documents", TensorSpec("U64", (1, 1))),
        ("more", TensorSpec("U8", (1,))),
    ],
    ids=str,
)
def test_wrong_tensors_are_refused(tmp_path: Path, name: str, spec: TensorSpec) -> None:
    """A file with a tensor of a wrong name, type or shape is not an encoded text."""
    path = tmp_path / "corpus.safetensors"
    write_corpus(path, {"name": "x", "characters": 5}, **{name: spec})
    with pytest.raises(FileFormatError, match=r" is damaged: its tensors do not match its header$"):
        Corpus.open(path)


def test_documents_in_disorder_are_damage(tmp_path: Path) -> None:
    """A file whose documents do not start at 0, or start in disorder or outside, is damaged."""
    for starts in ([0, 9], [1, 2], [0, 3, 2]):
        path = tmp_path / f"{starts}.safetensors"
        pieces = {
            "ids": bytes(5),
            "vocabulary": "a".encode("utf-32-le"),
            "counts": np.array([5], "<u8").tobytes(),
            "documents": np.array(starts, "<u8").tobytes(),
        }
        metadata = {"name": "x", "characters": 5}
        specs = corpus_specs("U8", 5, 1, len(starts))
        with write_tensors(path, CORPUS_KIND, specs, metadata) as tensors:
            for name in tensors.order:
                tensors.write(pieces[name])
        with pytest.raises(FileFormatError) as caught:
            Corpus.open(path)
        assert caught.value.message == f"{path} is damaged: its documents are out of order"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs a list of open files")
def test_a_corpus_closes_its_file(tmp_path: Path, story: Path) -> None:
    """The file of a corpus is closed with the corpus, also if opening it fails."""

    def open_files() -> list[str]:
        gc.collect()
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        names = [os.readlink(link) for link in links if os.path.lexists(link)]
        return [name for name in names if name.startswith(str(tmp_path))]

    output, damaged = tmp_path / "out.safetensors", tmp_path / "damaged.safetensors"
    corpus = encode_text(story, output)
    assert open_files() == [str(output)]
    del corpus
    three = {"vocabulary": TensorSpec("U32", (3,)), "counts": TensorSpec("U64", (3,))}
    write_corpus(damaged, {"name": "x", "characters": 5}, **three)
    with pytest.raises(FileFormatError, match=r"^the vocabulary is damaged: "):
        Corpus.open(damaged)
    assert open_files() == []

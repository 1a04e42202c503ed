"""Several files as one text, and texts with a given vocabulary."""

import errno
import gzip
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn_cli.config import END_OF_DOCUMENT, TextOptions, Unknown
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.text import decoding
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus, no_progress
from charrnn_cli.text.documents import Document, Gathered
from charrnn_cli.text.encoding import encode_documents, encode_text
from charrnn_cli.text.normal_forms import Form
from charrnn_cli.text.vocab import Vocab

TEXTS = st.lists(st.text(st.sampled_from("ab\r\né漢😀"), max_size=12), min_size=1, max_size=5)


def encoded(
    tmp_path: Path,
    *paths: Path,
    vocab: Vocab | None = None,
    unknown: Unknown = "error",
    **options: object,
) -> Corpus:
    output = tmp_path / "out.safetensors"
    output.unlink(missing_ok=True)
    return encode_text(paths, output, TextOptions.from_json(options), vocab=vocab, unknown=unknown)


@given(TEXTS, st.sampled_from(["", "|", "\n--\n"]), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
def test_files_follow_each_other(
    tmp_path: Path, texts: list[str], separator: str, chunk: int
) -> None:
    """Files are joined in the order given, with the separator; empty files are skipped.

    Without a separator, an end symbol follows each of several files and stands before the first.
    """
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_bytes(text.encode())
    kept = [text for text in texts if text]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", chunk)
        if not kept:
            with pytest.raises(TextError, match="empty"):
                encoded(tmp_path, *paths)
            return
        corpus = encoded(
            tmp_path, *paths, separator=separator, newlines="keep", keep_duplicates=True
        )
    assert "".join(corpus.text()) == separator.join(kept)
    end = "" if separator or len(kept) == 1 else END_OF_DOCUMENT
    whole = end + "".join(text + end for text in kept) if end else separator.join(kept)
    assert corpus.vocab.decode(corpus.read(0, len(corpus)).tolist()) == whole
    starts = [len((end or separator).join([*kept[:number], ""])) for number in range(len(kept))]
    assert corpus.starts_D.tolist() == starts
    assert corpus.separator == separator
    assert corpus.header.skipped == [
        [f"{number}.txt", "is empty"] for number, text in enumerate(texts) if not text
    ]


def test_a_directory(tmp_path: Path) -> None:
    """A directory gives its visible texts sorted by path; bad files and copies are skipped."""
    root = tmp_path / "books"
    for name in ("b.txt", "a/2.txt", "a/10.txt", ".git/x", "c.md", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"<{name}>")
    (root / "empty.txt").touch()
    (root / "bad.txt").write_bytes(b"good at first \xff")
    (root / "z.txt.gz").write_bytes(gzip.compress(b"<zipped>"))
    os.mkfifo(root / "fifo")
    (root / "dangling").symlink_to(root / "nothing")
    (root / "loop").symlink_to(root)
    (root / "linked.txt").symlink_to(root / "b.txt")
    corpus = encoded(tmp_path, root)
    assert "".join(corpus.text()) == "<a/2.txt><a/10.txt><b.txt><c.md><zipped>"
    assert corpus.num_documents == 5
    assert corpus.name == "books"
    assert sorted(name for name, _ in corpus.header.skipped) == [
        "bad.txt",
        "dangling",
        "empty.txt",
        "fifo",
        "linked.txt",
    ]
    assert ["linked.txt", "is a copy of b.txt"] in corpus.header.skipped
    assert int(corpus.counts_V.sum()) == len(corpus)
    only = encoded(tmp_path, root, include="*.txt", keep_duplicates=True)
    assert "".join(only.text()) == "<a/2.txt><a/10.txt><b.txt><b.txt>"
    assert "".join(encoded(tmp_path, root, include="a/*").text()) == "<a/2.txt><a/10.txt>"
    with pytest.raises(TextError) as caught:
        encoded(tmp_path, root, include="*.pdf")
    assert (
        caught.value.message
        == f"no file in {root} matches '*.pdf'; it has 7 .txt, 2 without a suffix, 1 .md"
    )
    assert caught.value.hint == "choose files with --include, for example --include '*.txt'"


@pytest.mark.parametrize("separator", ["", "|"])
def test_a_file_that_fails_halfway_is_not_counted(tmp_path: Path, separator: str) -> None:
    """A file that cannot be decoded to its end adds no character and no separator to the text."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "1").write_text("ab")
    (root / "2").write_bytes("xyz漢😀".encode() + b"\xff")
    (root / "3").write_text("bc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", 2)
        corpus = encoded(tmp_path, root, separator=separator)
    assert "".join(corpus.text()) == f"ab{separator}bc"
    end = "" if separator else END_OF_DOCUMENT
    text = f"{end}ab{separator or end}bc{end}"
    assert corpus.vocab.characters == "".join(sorted(set(text)))
    assert corpus.counts_V.tolist() == [text.count(each) for each in corpus.vocab.characters]
    assert corpus.starts_D.tolist() == [0, 3]
    assert corpus.header.skipped == [
        ["2", "is not valid utf-8: 0xff at byte 10 (line 1); it may need another --encoding"],
    ]


def test_a_named_file_must_work(tmp_path: Path) -> None:
    """A named file that cannot be decoded is an error, even among others."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("good")
    bad.write_bytes(b"\xff")
    with pytest.raises(TextError, match=r"bad is not valid utf-8: 0xff at byte 0 \(line 1\)$"):
        encoded(tmp_path, good, bad)


def test_a_deep_directory(tmp_path: Path) -> None:
    """Directories nested deeper than Python's recursion limit are read."""
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(
            "deep.txt", "w", opener=lambda name, flags: os.open(name, flags, dir_fd=here)
        ) as file:
            file.write("deep")
        assert "".join(encoded(tmp_path, tmp_path / "d").text()) == "deep"
    finally:
        os.close(here)
        # Too deep for the cleanup of pytest.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


@pytest.mark.parametrize("damage", ["", "replaced", "cut"])
def test_gzip(tmp_path: Path, damage: str) -> None:
    """A gzip file is recognized by its first bytes; a damaged one is an error."""
    raw = gzip.compress(("aé漢" * 5000).encode())
    path = tmp_path / "text"
    contents = {"": raw, "replaced": raw[:50] + b"xx" + raw[52:], "cut": raw[:-20]}
    path.write_bytes(contents[damage])
    if damage:
        with pytest.raises(TextError, match=f"^{path} is a damaged gzip file: ") as caught:
            encoded(tmp_path, path)
        assert caught.value.hint == "download or compress the file again"
    else:
        assert "".join(encoded(tmp_path, path).text()) == "aé漢" * 5000


@pytest.mark.parametrize(("errors", "expected"), [("replace", "a\ufffdb"), ("ignore", "ab")])
def test_bytes_that_cannot_be_decoded(tmp_path: Path, errors: str, expected: str) -> None:
    """Bytes that cannot be decoded are replaced or left out, as --errors says."""
    path = tmp_path / "text"
    path.write_bytes(b"a\xffb")
    assert "".join(encoded(tmp_path, path, errors=errors).text()) == expected


FORMS: dict[str, Form] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC"}
# Also characters of combining class 0 that compose with the one before: Hangul, Bengali, and a
# half-width voiced mark.
COMPOSED = "ae\u0301\u0308漢\ufb01\uff21\u1100\u1161\u11a8かﾊﾞ\u3099\u09c7\u09be\n"


@given(st.text(st.sampled_from(COMPOSED), min_size=1, max_size=30), st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_normal_forms(tmp_path: Path, text: str, chunk: int) -> None:
    """A text is normalized as a whole, whatever the chunk size."""
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", chunk)
        for option, form in FORMS.items():
            corpus = encoded(tmp_path, path, normalize=option)
            assert "".join(corpus.text()) == unicodedata.normalize(form, text)


def test_rare_characters_become_one(tmp_path: Path) -> None:
    """Rare characters become U+FFFD, which is counted, and the text keeps its length."""
    path = tmp_path / "text"
    path.write_text("aaabbbxyz")
    corpus = encoded(tmp_path, path, min_count=2)
    assert "".join(corpus.text()) == "aaabbb\ufffd\ufffd\ufffd"
    assert corpus.vocab.characters == "ab\ufffd"
    assert corpus.counts_V.tolist() == [3, 3, 3]
    assert encoded(tmp_path, path, min_count=1).vocab.characters == "abxyz"


def test_a_given_vocabulary(tmp_path: Path) -> None:
    """Characters that a given vocabulary lacks are an error, are skipped, or get the next ids."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("xxabba")
    two.write_text("bax Ω")
    vocab = Vocab("bza")
    with pytest.raises(UnknownCharacterError) as caught:
        encoded(tmp_path, one, two, vocab=vocab)
    assert caught.value.message == (
        "the vocabulary lacks 3 characters: 'x' (U+0078) 3x, ' ' (U+0020) 1x, 'Ω' (U+03A9) 1x"
    )
    assert caught.value.hint == "leave them out with --unknown skip"
    kept = encoded(tmp_path, one, two, vocab=vocab, unknown="skip")
    assert "".join(kept.text()) == "abbaba"
    assert kept.vocab == vocab
    assert (tuple(kept.starts_D.tolist()), kept.counts_V.tolist()) == ((0, 4), [3, 0, 3])
    assert kept.header.unseen == {"x": 3, " ": 1, "Ω": 1}
    extended = encoded(tmp_path, one, two, vocab=vocab, unknown="extend")
    assert extended.vocab.characters == f"bza{END_OF_DOCUMENT} xΩ"
    assert "".join(extended.text()) == "xxabbabax Ω"
    for known in (vocab, Vocab("bax Ω")):
        with pytest.raises(ConfigError) as other:
            encoded(tmp_path, two, vocab=known, unknown="closest")
        assert other.value.message == "unknown must be one of error, skip, extend; got 'closest'"
    only_strange = tmp_path / "3"
    only_strange.write_text("qqq")
    with pytest.raises(TextError) as none_left:
        encoded(tmp_path, only_strange, vocab=vocab, unknown="skip")
    assert none_left.value.message == f"no character of {only_strange} is in the vocabulary"
    assert none_left.value.hint == "train a new model on the text"
    with pytest.raises(ConfigError) as combined:
        encoded(tmp_path, one, vocab=vocab, min_count=2)
    assert combined.value.message == (
        "--min-count needs a vocabulary with U+FFFD, the replacement of rare characters"
    )
    assert combined.value.hint == "leave out --min-count"


def test_the_cache_knows_vocabulary_and_documents(tmp_path: Path, home: Path) -> None:
    """Files, their order, vocabulary and separator make a cache entry, which is used again."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("aab")
    two.write_text("abb")
    vocab = Vocab("ba")
    for _ in range(2):
        cached_corpus([one])
        cached_corpus([one, two])
        cached_corpus([two, one])
        cached_corpus([one, two], TextOptions(separator="|"))
        cached_corpus([one, two], vocab=vocab)
    assert len(list((home / "corpora").iterdir())) == 5


def test_a_file_that_changes_between_the_passes(tmp_path: Path) -> None:
    """A file that is longer, shorter or different in the second pass is an error."""
    path, output = tmp_path / "text", tmp_path / "out.safetensors"
    for later in ("ba" * 600, "ab", "ba" * 500):
        path.write_text("ab" * 500)

        def change(done: int, total: int, later: str = later) -> None:
            if 2 * done == total:
                path.write_text(later)

        with pytest.raises(TextError) as caught:
            encode_text(path, output, progress=change)
        assert caught.value.message == f"{path} changed while it was being read"
        assert caught.value.hint == "run the command again when no other program is writing to it"
        assert not output.exists()


def test_a_last_piece_without_known_characters(tmp_path: Path) -> None:
    """A document, or its last piece, may lose all its characters to --unknown skip."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"cab\r")
    two.write_text("漢字")
    vocab = Vocab("abc")
    assert "".join(encoded(tmp_path, one, vocab=vocab, unknown="skip").text()) == "cab"
    paths = (one, two, one, two)
    kept = encoded(tmp_path, *paths, vocab=vocab, unknown="skip", keep_duplicates=True)
    assert "".join(kept.text()) == "cabcab"


def test_a_separator_is_never_left_out(tmp_path: Path) -> None:
    """A separator is kept however rare it is; a vocabulary that lacks it is an error."""
    path, other = tmp_path / "text", tmp_path / "other"
    path.write_text("aaaa")
    other.write_text("aaaaa")
    assert "".join(encoded(tmp_path, path, other, separator="|", min_count=3).text()) == (
        "aaaa|aaaaa"
    )
    with pytest.raises(UnknownCharacterError) as caught:
        encoded(tmp_path, path, other, separator="|", vocab=Vocab("a"), unknown="skip")
    assert caught.value.message == "the vocabulary lacks the separator '|'"
    assert caught.value.hint == "use another --separator, or none"
    with pytest.raises(TextError, match=r"^the text contains an unpaired surrogate, U\+DCFF$"):
        encoded(tmp_path, path, other, separator="\udcff")


def test_odd_names_in_a_directory(tmp_path: Path) -> None:
    """Circular links and names that are not valid text are skipped and reported."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("abc")
    (root / "loop").symlink_to("loop")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_bytes(b"\xff\xfe\xfd")
    corpus = encoded(tmp_path, root)
    assert "".join(corpus.text()) == "abc"
    assert sorted(name for name, _ in corpus.header.skipped) == ["caf\\udce9", "loop"]


def test_a_file_that_cannot_be_opened_is_reported_without_its_path(tmp_path: Path) -> None:
    """Files that vanish or cannot be opened are skipped, whatever the bytes of their names."""
    good, loop, gone = (tmp_path / os.fsdecode(name) for name in (b"a", b"b\xff", b"c\xff"))
    good.write_text("abc")
    loop.symlink_to(loop)
    found = Gathered("books", [Document(good, "a")])
    found.documents += [Document(loop, "b", optional=True), Document(gone, "c", optional=True)]
    output = tmp_path / "out.safetensors"
    corpus = encode_documents(found, output, TextOptions(), None, "error", no_progress)
    assert "".join(corpus.text()) == "abc"
    assert corpus.header.skipped == [
        ["b", f"cannot open it: {os.strerror(errno.ELOOP)}"],
        ["c", "no longer exists"],
    ]


def test_a_header_has_room(tmp_path: Path) -> None:
    """A header lists the first 1,000 skipped files and unseen characters, and counts all."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("".join(map(chr, range(0x20000, 0x30000))))
    for number in range(1100):
        (root / f"e{number}").touch()
    corpus = encoded(tmp_path, root, vocab=Vocab("a"), unknown="extend")
    assert (len(corpus.header.skipped), corpus.header.num_skipped) == (1000, 1100)
    assert (len(corpus.header.unseen), corpus.header.num_unseen) == (1000, 65_536)


def test_a_cached_directory_does_not_hide_a_named_file(tmp_path: Path, home: Path) -> None:
    """A bad file is an error when named, even if the cache holds its directory without it."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("abc")
    (root / "b").write_bytes(b"\xff\xff")
    assert len(cached_corpus([root])) == 3
    with pytest.raises(TextError, match="not valid utf-8"):
        cached_corpus([root / "a", root / "b"])


def test_a_file_that_changes_before_it_is_encoded(tmp_path: Path, home: Path) -> None:
    """A file that changes after its digest was made is an error, and is not cached."""
    path = tmp_path / "text"
    path.write_text("old " * 100)
    changed: list[int] = []

    def change(done: int, total: int) -> None:
        if done == total and not changed:
            path.write_text("new!" * 100)
            changed.append(done)

    with pytest.raises(TextError, match="changed while it was being read"):
        cached_corpus([path], progress=change)
    path.write_text("old " * 100)
    assert "".join(cached_corpus([path]).text()) == "old " * 100

"""Several files as one text."""

import gzip
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.text import decoding
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.text.vocab import Vocab

TEXTS = st.lists(st.text(st.sampled_from("ab\r\né漢😀"), max_size=12), min_size=1, max_size=5)


def encoded(
    tmp_path: Path,
    *paths: Path,
    vocab: Vocab | None = None,
    unknown: str = "error",
    **options: object,
) -> Corpus:
    output = tmp_path / "out.safetensors"
    output.unlink(missing_ok=True)
    return encode_text(paths, output, TextOptions.from_json(options), vocab=vocab, unknown=unknown)  # type: ignore[arg-type]


@given(TEXTS, st.sampled_from(["", "|", "\n--\n"]), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
def test_files_follow_each_other(
    tmp_path: Path, texts: list[str], separator: str, chunk: int
) -> None:
    """In the order in which they were named, a separator between them; empty ones leave nothing."""
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
        corpus = encoded(tmp_path, *paths, separator=separator, newlines="keep")
    assert "".join(corpus.text()) == separator.join(kept)
    starts = [len(separator.join([*kept[:number], ""])) for number in range(len(kept))]
    assert list(corpus.starts) == starts
    assert corpus.separator == separator
    assert corpus.metadata["skipped"] == [
        [f"{number}.txt", "is empty"] for number, text in enumerate(texts) if not text
    ]


def test_a_directory(tmp_path: Path) -> None:
    """Its files sorted by path, hidden ones and links to directories left out; those that do not work are named."""
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
    assert "".join(corpus.text()) == "<a/10.txt><a/2.txt><b.txt><c.md><b.txt><zipped>"
    assert len(corpus.starts) == 6
    assert corpus.name == "books"
    assert sorted(name for name, _ in corpus.metadata["skipped"]) == [
        "bad.txt",
        "dangling",
        "empty.txt",
        "fifo",
    ]
    assert int(corpus.counts_V.sum()) == len(corpus)
    only = encoded(tmp_path, root, include="*.txt")
    assert "".join(only.text()) == "<a/10.txt><a/2.txt><b.txt><b.txt>"
    assert "".join(encoded(tmp_path, root, include="a/*").text()) == "<a/10.txt><a/2.txt>"
    with pytest.raises(TextError, match="no file in"):
        encoded(tmp_path, root, include="*.pdf")


def test_a_named_file_must_work(tmp_path: Path) -> None:
    """What a person names is not left out silently."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("good")
    bad.write_bytes(b"\xff")
    with pytest.raises(TextError, match="bad is not valid"):
        encoded(tmp_path, good, bad)


def test_a_deep_directory(tmp_path: Path) -> None:
    """Deeper than Python's stack."""
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
        subprocess.run(
            ["rm", "-rf", tmp_path / "d"], check=True
        )  # too deep for whoever cleans up with Python


@pytest.mark.parametrize("damage", ["", "replaced", "cut"])
def test_gzip(tmp_path: Path, damage: str) -> None:
    """A gzip file is known by its first bytes, whatever its name; a damaged one is an error."""
    raw = gzip.compress(("aé漢" * 5000).encode())
    path = tmp_path / "text"
    contents = {"": raw, "replaced": raw[:50] + b"xx" + raw[52:], "cut": raw[:-20]}
    path.write_bytes(contents[damage])
    if damage:
        with pytest.raises(TextError, match="damaged gzip"):
            encoded(tmp_path, path)
    else:
        assert "".join(encoded(tmp_path, path).text()) == "aé漢" * 5000


@pytest.mark.parametrize(("errors", "expected"), [("replace", "a\ufffdb"), ("ignore", "ab")])
def test_what_cannot_be_decoded(tmp_path: Path, errors: str, expected: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a\xffb")
    assert "".join(encoded(tmp_path, path, errors=errors).text()) == expected


# With what is composed though it combines with nothing by itself: Hangul, Bengali, a half-width voiced mark.
COMPOSED = "ae\u0301\u0308漢\ufb01\uff21\u1100\u1161\u11a8かﾊﾞ\u3099\u09c7\u09be\n"


@given(st.text(st.sampled_from(COMPOSED), min_size=1, max_size=30), st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_normal_forms(tmp_path: Path, text: str, chunk: int) -> None:
    """Those of the whole text, wherever the chunks are cut."""
    import unicodedata

    path = tmp_path / "text"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_BYTES", chunk)
        for form in ("nfc", "nfkc"):
            corpus = encoded(tmp_path, path, normalize=form)
            assert "".join(corpus.text()) == unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]


def test_rare_characters_become_one(tmp_path: Path) -> None:
    """Visible, counted, and no shorter text."""
    path = tmp_path / "text"
    path.write_text("aaabbbxyz")
    corpus = encoded(tmp_path, path, min_count=2)
    assert "".join(corpus.text()) == "aaabbb\ufffd\ufffd\ufffd"
    assert corpus.vocab.characters == "ab\ufffd"
    assert corpus.counts_V.tolist() == [3, 3, 3]
    assert encoded(tmp_path, path, min_count=1).vocab.characters == "abxyz"


def test_a_given_vocabulary(tmp_path: Path) -> None:
    """Unknown characters are an error that names them, are left out, or get the next ids."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("xxabba")
    two.write_text("bax Ω")
    vocab = Vocab("bza")
    with pytest.raises(
        UnknownCharacterError, match=r"3 characters, 'x' \(U\+0078\) 3x, "
    ) as caught:
        encoded(tmp_path, one, two, vocab=vocab)
    assert "--unknown" in str(caught.value.hint)
    dropped = encoded(tmp_path, one, two, vocab=vocab, unknown="skip")
    assert "".join(dropped.text()) == "abbaba"
    assert dropped.vocab == vocab
    assert (dropped.starts, dropped.counts_V.tolist()) == ((0, 4), [3, 0, 3])
    assert dropped.metadata["unseen"] == {"x": 3, " ": 1, "Ω": 1}
    extended = encoded(tmp_path, one, two, vocab=vocab, unknown="extend")
    assert extended.vocab.characters == "bza xΩ"
    assert "".join(extended.text()) == "xxabbabax Ω"
    only_strange = tmp_path / "3"
    only_strange.write_text("qqq")
    with pytest.raises(TextError, match="no character of the vocabulary"):
        encoded(tmp_path, only_strange, vocab=vocab, unknown="skip")
    with pytest.raises(ConfigError, match="min-count"):
        encoded(tmp_path, one, vocab=vocab, unknown="skip", min_count=2)


def test_the_cache_knows_vocabulary_and_documents(tmp_path: Path, home: Path) -> None:
    """Other files, another order, another vocabulary or separator: another entry; the same again: the same."""
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


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """Longer, shorter or other in the second pass: an error that says so, and nothing made."""
    path, output = tmp_path / "text", tmp_path / "out.safetensors"
    for later in ("ba" * 600, "ab", "ba" * 500):
        path.write_text("ab" * 500)

        def change(done: int, total: int, later: str = later) -> None:
            if 2 * done == total:
                path.write_text(later)

        with pytest.raises(TextError, match="changed while it was read"):
            encode_text(path, output, progress=change)
        assert not output.exists()


def test_a_corpus_with_impossible_documents_is_damaged(tmp_path: Path) -> None:
    from charrnn_cli.errors import FileFormatError
    from charrnn_cli.storage.tensor_writer import write_tensors
    from charrnn_cli.text.corpus import CORPUS_KIND, corpus_specs

    for starts in ([0, 9], [1, 2], [0, 3, 2]):
        path = tmp_path / f"{starts}.safetensors"
        pieces = {
            "ids": bytes(5),
            "vocabulary": "a".encode("utf-32-le"),
            "counts": np.array([5], "<u8").tobytes(),
            "documents": np.array(starts, "<u8").tobytes(),
        }
        metadata = {"name": "x", "characters": 5}
        with write_tensors(
            path, CORPUS_KIND, corpus_specs("U8", 5, 1, len(starts)), metadata
        ) as tensors:
            for name in tensors.order:
                tensors.write(pieces[name])
        with pytest.raises(FileFormatError, match="documents"):
            Corpus.open(path)


def test_nothing_of_the_last_piece_is_known(tmp_path: Path) -> None:
    """A document, or the new line at its end."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"cab\r")
    two.write_text("漢字")
    assert "".join(encoded(tmp_path, one, vocab=Vocab("abc"), unknown="skip").text()) == "cab"
    assert (
        "".join(encoded(tmp_path, one, two, one, two, vocab=Vocab("abc"), unknown="skip").text())
        == "cabcab"
    )


def test_a_separator_is_never_left_out(tmp_path: Path) -> None:
    """However rare it is; a vocabulary that does not have it is an error."""
    path = tmp_path / "text"
    path.write_text("aaaa")
    assert "".join(encoded(tmp_path, path, path, separator="|", min_count=3).text()) == "aaaa|aaaa"
    with pytest.raises(UnknownCharacterError, match="never saw the separator"):
        encoded(tmp_path, path, path, separator="|", vocab=Vocab("a"), unknown="skip")
    with pytest.raises(TextError, match="half of a character"):
        encoded(tmp_path, path, path, separator="\udcff")


def test_odd_names_in_a_directory(tmp_path: Path) -> None:
    """Links in a circle and names that are no text are told like others."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("abc")
    (root / "loop").symlink_to("loop")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_bytes(b"\xff\xfe\xfd")
    corpus = encoded(tmp_path, root)
    assert "".join(corpus.text()) == "abc"
    assert sorted(name for name, _ in corpus.metadata["skipped"]) == ["caf\\udce9", "loop"]


def test_a_header_has_room(tmp_path: Path) -> None:
    """Of very many skipped files and unseen characters the first are kept, and how many there are."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("".join(map(chr, range(0x20000, 0x30000))))
    for number in range(1100):
        (root / f"e{number}").touch()
    corpus = encoded(tmp_path, root, vocab=Vocab("a"), unknown="extend")
    assert (len(corpus.metadata["skipped"]), corpus.metadata["num_skipped"]) == (1000, 1100)
    assert (len(corpus.metadata["unseen"]), corpus.metadata["num_unseen"]) == (1000, 65_536)


def test_a_broken_file_that_is_named_is_an_error_after_its_directory(
    tmp_path: Path, home: Path
) -> None:
    """What the cache holds of the directory, without it, is another text."""
    root = tmp_path / "books"
    root.mkdir()
    (root / "a").write_text("abc")
    (root / "b").write_bytes(b"\xff\xff")
    assert len(cached_corpus([root])) == 3
    with pytest.raises(TextError, match="not valid utf-8"):
        cached_corpus([root / "a", root / "b"])


def test_a_file_that_changes_before_it_is_encoded(tmp_path: Path, home: Path) -> None:
    """It is not kept as what it was when its digest was made."""
    path = tmp_path / "text"
    path.write_text("old " * 100)
    changed: list[int] = []

    def change(done: int, total: int) -> None:
        if done == total and not changed:
            path.write_text("new!" * 100)
            changed.append(done)

    with pytest.raises(TextError, match="changed while it was read"):
        cached_corpus([path], progress=change)
    path.write_text("old " * 100)
    assert "".join(cached_corpus([path]).text()) == "old " * 100

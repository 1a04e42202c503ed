"""`charrnn encode`, as a user sees it."""

import json
from pathlib import Path

from safetensors.numpy import load_file

from tests.conftest import STORY, Charrnn


def test_the_summary(charrnn: Charrnn, tmp_path: Path) -> None:
    """Characters, symbols, newlines, windows, advice, and what to type next."""
    (tmp_path / "book.txt").write_bytes(b"Hello, world!\r\n" * 2000)
    result = charrnn("encode", "book.txt")
    assert result.returncode == 0
    assert "28,000 characters, 11 different, read as utf-8" in result.stdout
    assert "2,000 CRLF normalised to LF" in result.stdout
    assert "2 of 100 x 100 characters an epoch" in result.stdout
    assert "parameters for 28,000 characters" in result.stdout
    assert "charrnn train book.encoded.safetensors" in result.stderr
    assert load_file(tmp_path / "book.encoded.safetensors")["ids"].shape == (28_000,)


def test_json(charrnn: Charrnn, story: Path) -> None:
    result = charrnn("encode", story, "--json", "-o", "x.safetensors")
    facts = json.loads(result.stdout)
    assert (facts["characters"], facts["vocabulary"]) == (len(STORY), "".join(sorted(set(STORY))))
    assert sum(facts["counts"]) == len(STORY)


def test_decode_is_byte_exact(charrnn: Charrnn, tmp_path: Path) -> None:
    """To standard output and to a file; also with newlines kept."""
    (tmp_path / "book.txt").write_bytes("Año\r\nñ 漢\n".encode())
    charrnn("encode", "book.txt")
    assert charrnn("encode", "--decode", "book.encoded.safetensors").stdout == "Año\nñ 漢\n"
    charrnn("encode", "book.txt", "--newlines", "keep", "-o", "kept.safetensors")
    charrnn("encode", "--decode", "kept.safetensors", "-o", "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == (tmp_path / "book.txt").read_bytes()


def test_a_byte_order_mark_is_told(charrnn: Charrnn, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes("hello".encode("utf-16"))
    assert "read as utf-16-le (its byte order mark says so)" in charrnn("encode", "book.txt").stdout


def test_control_characters_are_shown_not_sent(charrnn: Charrnn, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes(b"a\x1b[31mb\x07\xc2\x9bc" * 10)
    result = charrnn("encode", "book.txt")
    assert result.returncode == 0
    assert "\\x1b" in result.stdout
    assert not set(result.stdout + result.stderr) & {"\x1b", "\x07", "\x9b"}


def test_baselines(charrnn: Charrnn, story: Path) -> None:
    """The scale of losses, in the summary and in its JSON."""
    assert "scale   uniform 3.91, unigram " in charrnn("encode", story, "--baselines").stdout
    facts = json.loads(
        charrnn("encode", story, "--baselines", "--json", "-o", "x.safetensors").stdout
    )
    assert facts["baselines"]["uniform"] > facts["baselines"]["fivegram"]


def test_directories_and_vocabularies(charrnn: Charrnn, tmp_path: Path) -> None:
    """Which files, what stands between them, whose ids, and what is done with the rest."""
    (tmp_path / "books").mkdir()
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / "books" / name).write_text(f"<{name}>")
    charrnn(
        "encode", "books", "--include", "*.txt", "--separator", "\\n", "-o", "books.safetensors"
    )
    assert charrnn("encode", "--decode", "books.safetensors").stdout == "<a.txt>\n<b.txt>"
    (tmp_path / "other.txt").write_text("ab Ω")
    result = charrnn("encode", "other.txt", "--vocab", "books.safetensors")
    assert (result.returncode, result.stdout) == (2, "")
    assert "'Ω' (U+03A9) 1x" in result.stderr
    base = ("encode", "other.txt", "--vocab", "books.safetensors", "--json", "-o")
    dropped = json.loads(charrnn(*base, "x.safetensors", "--unknown", "skip").stdout)
    assert (dropped["characters"], dropped["unseen"]) == (2, {" ": 1, "Ω": 1})
    extended = charrnn(*base, "y.safetensors", "--unknown", "extend")
    assert json.loads(extended.stdout)["vocabulary"].endswith(" Ω")
    assert "the vocabulary lacked 2 characters" in extended.stderr
    assert charrnn("encode", "other.txt", "--unknown", "skip").returncode == 2
    assert charrnn("encode", "other.txt", "--vocab", "nowhere").returncode == 2


def test_the_next_command_can_be_typed(charrnn: Charrnn, tmp_path: Path) -> None:
    """Also for a name with a space in it."""
    (tmp_path / "my book.txt").write_text("abc")
    assert charrnn("encode", "my book.txt").stderr.endswith(
        "charrnn train 'my book.encoded.safetensors'\n"
    )

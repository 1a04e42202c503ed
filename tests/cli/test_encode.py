"""`charrnn encode`: what a user types and sees."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from charrnn_cli.model.baselines import baselines
from charrnn_cli.text.cache import cached_corpus
from tests.helpers import STORY, Inside


def test_the_summary(inside: Inside, tmp_path: Path) -> None:
    """The summary counts characters, new lines and steps, and suggests the next command."""
    (tmp_path / "book.txt").write_bytes(b"Hello, world!\r\n" * 2000)
    result = inside("encode", "book.txt")
    assert result.returncode == 0
    assert "28,000 characters, 11 distinct, read as utf-8" in result.stdout
    assert "2,000 CRLF converted to LF" in result.stdout
    assert "steps   2 of 100 x 100 characters per epoch, as in --preset notebook\n" in result.stdout
    assert "parameters for 28,000 characters" in result.stdout
    assert "charrnn train book.encoded.safetensors" in result.stderr
    assert load_file(tmp_path / "book.encoded.safetensors")["ids"].shape == (28_000,)


def test_json(inside: Inside, story: Path) -> None:
    """The JSON summary has the vocabulary and its counts."""
    result = inside("encode", story, "--json", "-o", "x.safetensors")
    facts = json.loads(result.stdout)
    assert (facts["characters"], facts["vocabulary"]) == (len(STORY), "".join(sorted(set(STORY))))
    assert sum(facts["counts"]) == len(STORY)


def test_decode_is_byte_exact(inside: Inside, tmp_path: Path) -> None:
    """Decoding gives back the text, and with --newlines keep its exact bytes."""
    (tmp_path / "book.txt").write_bytes("Año\r\nñ 漢\n".encode())
    inside("encode", "book.txt")
    assert inside("encode", "--decode", "book.encoded.safetensors").stdout == "Año\nñ 漢\n"
    inside("encode", "book.txt", "--newlines", "keep", "-o", "kept.safetensors")
    inside("encode", "--decode", "kept.safetensors", "-o", "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == (tmp_path / "book.txt").read_bytes()


def test_a_byte_order_mark_is_reported(inside: Inside, tmp_path: Path) -> None:
    """The summary names the encoding that a byte order mark decided."""
    (tmp_path / "book.txt").write_bytes("hello".encode("utf-16"))
    assert "read as utf-16-le (from its byte order mark)" in inside("encode", "book.txt").stdout


def test_control_characters_are_shown_not_sent(inside: Inside, tmp_path: Path) -> None:
    """Control characters of a text appear by name in the summary."""
    (tmp_path / "book.txt").write_bytes(b"a\x1b[31mb\x07\xc2\x9bc" * 10)
    result = inside("encode", "book.txt")
    assert result.returncode == 0
    assert "\nsymbols <BEL> <ESC> 1 3 [ a b c m <U+009B>\n" in result.stdout
    assert not set(result.stdout + result.stderr) & {"\x1b", "\x07", "\x9b"}


def test_baselines(inside: Inside, story: Path) -> None:
    """The costs of simple models are in the summary and in its JSON."""
    assert (
        "scale   uniform 2.71 (3.91 bpc), unigram 2.32 (3.34), 3-gram "
        in inside("encode", story, "--baselines").stdout
    )
    facts = json.loads(
        inside("encode", story, "--baselines", "--json", "-o", "x.safetensors").stdout
    )
    found = baselines(cached_corpus(story))
    assert facts["baselines"] == found.to_json()
    assert found.uniform > found.trigram > found.best_ngram


def test_directories(inside: Inside, tmp_path: Path) -> None:
    """A directory gives the files that match, with the separator between them."""
    (tmp_path / "books").mkdir()
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / "books" / name).write_text(f"<{name}>")
    inside("encode", "books", "--include", "*.txt", "--separator", "\\n", "-o", "books.safetensors")
    assert inside("encode", "--decode", "books.safetensors").stdout == "<a.txt>\n<b.txt>"


@pytest.fixture
def vocabulary(inside: Inside, tmp_path: Path) -> str:
    """The name of an encoded text of the letters a and b; other.txt has others."""
    (tmp_path / "letters.txt").write_text("abba")
    (tmp_path / "other.txt").write_text("ab Ω")
    assert inside("encode", "letters.txt").returncode == 0
    return "letters.encoded.safetensors"


@pytest.mark.usefixtures("tiny_run")
def test_a_given_vocabulary(inside: Inside, vocabulary: str) -> None:
    """Ids follow the vocabulary of an encoded text or of a checkpoint; skipped characters count."""
    base = ("encode", "other.txt", "--unknown", "skip", "--json", "-o")
    facts = json.loads(inside(*base, "x.safetensors", "--vocab", vocabulary).stdout)
    assert (facts["characters"], facts["vocabulary"]) == (2, "ab")
    assert facts["unseen"] == {" ": 1, "Ω": 1}
    facts = json.loads(inside(*base, "y.safetensors", "--vocab", "tiny").stdout)
    assert (facts["characters"], facts["vocabulary"]) == (3, "\n abcdefgh")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--vocab {}", "the vocabulary lacks 2 characters: "),
        ("--vocab {} --unknown extend", "--unknown must be one of error, skip; got 'extend'\n"),
        ("--unknown skip", "--unknown skip requires a vocabulary\n"),
        ("--vocab nowhere", "no run named 'nowhere'"),
        ("-o -", "cannot write an encoded file to standard output\n"),
        ("--decode {}", "give either TEXT or --decode FILE\n"),
    ],
)
def test_errors(inside: Inside, vocabulary: str, options: str, error: str) -> None:
    """A command that cannot be done ends with code 2, one error and one hint."""
    result = inside("encode", "other.txt", *options.format(vocabulary).split())
    assert (result.returncode, result.stdout) == (2, "")
    message, hint = result.stderr.splitlines(keepends=True)
    assert message.startswith(f"error: {error}")
    assert hint.startswith("hint: ")


def test_the_next_command_can_be_typed(inside: Inside, tmp_path: Path) -> None:
    """The next command quotes a name with a space."""
    (tmp_path / "my book.txt").write_text("abc")
    assert inside("encode", "my book.txt").stderr.endswith(
        "charrnn train 'my book.encoded.safetensors'\n"
    )


def test_an_encoded_file_of_any_name_trains(inside: Inside, tmp_path: Path) -> None:
    """An encoded file is recognized by its content, so `train` never reads it as a text."""
    (tmp_path / "text.txt").write_text(STORY)
    assert inside("encode", "text.txt", "-o", "numbers").returncode == 0
    planned = inside("train", "numbers", "--layers", "1", "--size", "8", "--dry-run")
    assert planned.returncode == 0
    assert f"text    text: {len(STORY):,} characters, 15 distinct\n" in planned.stderr

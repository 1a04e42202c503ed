"""A model reads every text as its own text was read."""

import json
import unicodedata
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from tests.helpers import FAST, Inside

RARE_TEXT = "漢字かな交じり文を書く。\n" * 60 + "稀\n"
NFD = unicodedata.normalize("NFD", "Tiếng Việt có nhiều dấu.\n" * 60)
LATIN = ("España, año, señor.\n" * 60).encode("latin-1")
WINDOWS = b"one two\r\nthree\r\n" * 90
SHORT = (*FAST, "--max-steps", "2", "--quiet")


def train(inside: Inside, *words: str) -> None:
    code, _, err = inside("train", *words, *SHORT)
    assert code == 0, err


def scored(inside: Inside, *words: str) -> list[dict[str, float]]:
    code, out, err = inside("score", *words, "--json")
    assert code == 0, err
    found: list[dict[str, float]] = json.loads(out)
    return found


def test_a_model_with_rare_characters(inside: Inside, tmp_path: Path) -> None:
    """A model trained with --min-count reads its own text, a prime with rare characters, and more.

    Rare characters become U+FFFD, which is said; another text is read alike.
    """
    (tmp_path / "cjk.txt").write_text(RARE_TEXT, "utf-8")
    (tmp_path / "new.txt").write_text("漢字と猫。\n" * 100, "utf-8")
    train(inside, "cjk.txt", "--min-count", "5", "--run", "mc")
    code, out, err = inside("score", "mc", "cjk.txt", "--json")
    assert (code, err) == (0, "U+FFFD  1 rare character, as in the training text of mc@2\n")
    assert json.loads(out)[0]["characters"] == len(RARE_TEXT) - 1
    code, out, err = inside("sample", "mc", "--prime", "漢猫", "-n", "5", "--seed", "1")
    assert (code, out[:2]) == (0, "漢\ufffd")
    assert "U+FFFD  1 rare character of the prime, as in the training text\n" in err
    code, out, err = inside("sample", "mc", "-n", "99", "--check-copy", "cjk.txt")
    assert (code, "copied" in err) == (0, True)
    train(inside, "cjk.txt", "--init-from", "mc", "--run", "same")
    assert load_checkpoint("same").data.sha256 == load_checkpoint("mc").data.sha256
    train(inside, "new.txt", "--init-from", "mc", "--run", "other")
    assert load_checkpoint("other").vocab == load_checkpoint("mc").vocab
    train(inside, "new.txt", "--init-from", "mc", "--unknown", "extend", "--run", "grown")
    assert (
        load_checkpoint("grown").vocab.characters == load_checkpoint("mc").vocab.characters + "と猫"
    )
    code, out, _ = inside("encode", "new.txt", "--vocab", "mc", "--json")
    assert (code, json.loads(out)["unseen"]) == (0, {"と": 100, "猫": 100})


def test_a_normalized_model(inside: Inside, tmp_path: Path) -> None:
    """A model trained with --normalize scores composed and decomposed texts and primes alike."""
    (tmp_path / "nfd.txt").write_text(NFD, "utf-8")
    (tmp_path / "nfc.txt").write_text(unicodedata.normalize("NFC", NFD), "utf-8")
    train(inside, "nfd.txt", "--normalize", "nfc", "--run", "vi")
    first, second = (scored(inside, "vi", name) for name in ("nfd.txt", "nfc.txt"))
    assert first == second
    samples = [
        inside("sample", "vi", "--prime", prime, "-n", "50", "--seed", "1")[1]
        for prime in ("Tiếng", unicodedata.normalize("NFD", "Tiếng"))
    ]
    assert samples[0] == samples[1]
    assert samples[0].startswith("Tiếng")
    code, _, err = inside("score", "vi", "nfd.txt", "--normalize", "none")
    assert (code, "U+0301" in err) == (2, True)
    assert err.endswith("\nhint: read the text with --normalize nfc\n")
    code, _, err = inside("score", "vi", "-", "--normalize", "none", stdin=NFD)
    assert (code, "hint: skip them with --unknown skip" in err) == (2, True)


def test_a_copy_is_found_in_every_form(inside: Inside, tmp_path: Path) -> None:
    """--check-copy compares a sample with the text as the model reads it."""
    (tmp_path / "nfd.txt").write_text(NFD, "utf-8")
    train(inside, "nfd.txt", "--normalize", "nfc", "--run", "vi")
    words = ("sample", "vi", "-n", "9", "--temperature", "0", "--check-copy")
    (tmp_path / "seen.txt").write_text(
        unicodedata.normalize("NFD", inside(*words, "nfd.txt")[1]), "utf-8"
    )
    longest = inside(*words, "seen.txt")[2].splitlines()[-1]
    assert longest.startswith("longest 9 characters at character 0 of seen: ")


def test_a_recorded_encoding(inside: Inside, tmp_path: Path) -> None:
    """A model of a Latin-1 text scores that text, and reads UTF-8 texts and primes as UTF-8."""
    (tmp_path / "latin.txt").write_bytes(LATIN)
    (tmp_path / "utf.txt").write_text(LATIN.decode("latin-1"), "utf-8")
    train(inside, "latin.txt", "--encoding", "latin-1", "--run", "es")
    assert scored(inside, "es", "latin.txt") == scored(inside, "es", "utf.txt")
    (tmp_path / "prime.txt").write_text("España", "utf-8")
    assert inside("sample", "es", "--prime-file", "prime.txt", "-n", "1")[1].startswith("España")
    train(inside, "utf.txt", "--init-from", "es", "--run", "again")
    assert load_checkpoint("again").data.sha256 == load_checkpoint("es").data.sha256


def test_kept_line_ends(inside: Inside, tmp_path: Path) -> None:
    """A model that has learned Windows line ends reads a text with them."""
    (tmp_path / "windows.txt").write_bytes(WINDOWS)
    train(inside, "windows.txt", "--newlines", "keep", "--run", "dos")
    (row,) = scored(inside, "dos", "windows.txt")
    assert row["characters"] == len(WINDOWS) - 1


def test_resuming_keeps_the_other_options(inside: Inside, tmp_path: Path) -> None:
    """An option typed with --resume replaces that option alone."""
    (tmp_path / "cjk.txt").write_text(RARE_TEXT, "utf-8")
    train(inside, "cjk.txt", "--min-count", "5", "--normalize", "nfc", "--run", "mc")
    words = ("--resume", "mc", "--encoding", "utf-8", "--max-steps", "4")
    code, _, err = inside("train", "cjk.txt", *words)
    assert code == 0, err
    header = Registry().run("mc").resume_header()
    assert header is not None
    assert header.source is not None
    assert header.source.options is not None
    assert (header.source.options.min_count, header.source.options.normalize) == (5, "nfc")
    assert header.data.reading == header.source.options


def test_a_printed_configuration_keeps_the_models_reading(inside: Inside, tmp_path: Path) -> None:
    """--print-config with --init-from writes only the reading options that were typed."""
    (tmp_path / "nfd.txt").write_text(NFD, "utf-8")
    train(inside, "nfd.txt", "--normalize", "nfc", "--run", "vi")
    words = ("train", "nfd.txt", "--init-from", "vi", "--print-config", *FAST)
    assert "newlines" not in inside(*words)[1]
    toml = inside(*words, "--newlines", "keep")[1]
    assert 'newlines = "keep"\n' in toml
    (tmp_path / "run.toml").write_text(toml, "utf-8")
    code, _, err = inside("train", "--config", "run.toml", "--run", "next", *SHORT[-3:])
    assert code == 0, err
    reading = load_checkpoint("next").data.reading
    assert (reading.newlines, reading.normalize) == ("keep", "nfc")


def test_models_that_read_differently(inside: Inside, tmp_path: Path) -> None:
    """Each model reads the text in its own way, and --unknown skip keeps what both models have."""
    (tmp_path / "nfd.txt").write_text(NFD, "utf-8")
    (tmp_path / "plain.txt").write_text("Tieng Viet co nhieu dau.\n" * 60, "utf-8")
    train(inside, "nfd.txt", "--normalize", "nfc", "--run", "vi")
    train(inside, "plain.txt", "--run", "plain")
    code, out, err = inside("score", "vi", "plain", "nfd.txt", "--unknown", "skip", "--json")
    assert code == 0
    rows = json.loads(out)
    composed = unicodedata.normalize("NFC", NFD)
    common = set(composed) & set("Tieng Viet co nhieu dau.\n")
    for row, text in zip(rows, (composed, NFD), strict=True):
        assert row["characters"] == sum(character in common for character in text) - 1
    assert err.count("that not all models know") == 2
    code, _, err = inside("score", "vi", "plain", "-", "--unknown", "skip", stdin=NFD)
    assert (code, err) == (
        2,
        (
            "error: the models read texts differently, and this text can be read only once\n"
            "hint: save the text in a file, or score the models one by one\n"
        ),
    )


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("train", "x.safetensors", "--min-count", "5"), "--min-count"),
        (("train", "x.safetensors", "--encoding", "latin-1"), "--encoding"),
        (
            ("train", "x.safetensors", "--newlines", "keep", "--include", "*"),
            "--newlines and --include",
        ),
        (("train", "x.safetensors", "--init-from", "vi", "--unknown", "skip"), "--unknown"),
        (("score", "vi", "x.safetensors", "--normalize", "nfc"), "--normalize"),
        (
            ("train", "x.safetensors", "--resume", "vi", "--errors", "replace", "--max-steps", "4"),
            "--errors",
        ),
    ],
)
def test_options_that_cannot_apply(
    inside: Inside, tmp_path: Path, words: tuple[str, ...], options: str
) -> None:
    """An encoded text refuses options for reading a text."""
    (tmp_path / "x.txt").write_text("one two three\n" * 90, "utf-8")
    train(inside, "x.txt", "--run", "vi")
    inside("encode", "x.txt", "-o", "x.safetensors")
    code, out, err = inside(*words)
    assert (code, out) == (2, "")
    assert err.endswith(
        f"error: x.safetensors is already encoded, so {options} cannot apply\n"
        f"hint: leave out {options}, or use the original text\n"
    )


def test_an_encoded_text_of_such_a_model(inside: Inside, tmp_path: Path) -> None:
    """The command to try next has no options that an encoded text refuses."""
    (tmp_path / "cjk.txt").write_text(RARE_TEXT, "utf-8")
    train(inside, "cjk.txt", "--min-count", "5", "--run", "mc")
    assert inside("encode", "cjk.txt", "--vocab", "mc", "-o", "x.safetensors")[0] == 0
    for words in (("--resume", "mc"), ("--init-from", "mc", *FAST[-2:])):
        code, _, err = inside("train", "x.safetensors", *words, "--max-steps", "4")
        assert code == 0, err
        (line,) = [line for line in err.splitlines() if line.startswith("try ")]
        assert "--min-count" not in line


def test_skipped_characters_are_not_replaced(inside: Inside, tmp_path: Path) -> None:
    """With --unknown skip, a model with U+FFFD leaves characters out that it lacks."""
    (tmp_path / "cjk.txt").write_text(RARE_TEXT, "utf-8")
    train(inside, "cjk.txt", "--min-count", "5", "--run", "mc")
    words = ("sample", "mc", "-n", "1", "--prime", "漢猫字", "--unknown", "skip")
    assert inside(*words)[1].startswith("漢字")
    code, _, err = inside("score", "mc", "cjk.txt", "--unknown", "skip")
    assert (code, err) == (0, "skipped 1 character that mc@2 does not know\n")


def test_another_normal_form(inside: Inside, tmp_path: Path) -> None:
    """A model of decomposed text names the option that reads composed text; obeying works."""
    (tmp_path / "nfd.txt").write_text(NFD, "utf-8")
    (tmp_path / "nfc.txt").write_text(unicodedata.normalize("NFC", NFD), "utf-8")
    train(inside, "nfd.txt", "--run", "vi")
    for words in (("score", "vi", "nfc.txt"), ("train", "nfc.txt", "--init-from", "vi", *SHORT)):
        code, _, err = inside(*words)
        assert (code, "hint: read the text with --normalize nfd" in err) == (2, True)
        assert inside(*words, "--normalize", "nfd")[0] == 0


def test_resuming_with_the_text_of_an_encoded_one(inside: Inside, tmp_path: Path) -> None:
    """A run of an encoded text resumes with the text itself, read as it was encoded."""
    (tmp_path / "old.txt").write_bytes("Été, café.\r\n".encode("cp1252") * 90)
    words = ("--encoding", "cp1252", "--newlines", "keep", "--normalize", "nfd")
    assert inside("encode", "old.txt", *words, "-o", "x.safetensors")[0] == 0
    train(inside, "x.safetensors", "--run", "old")
    code, _, err = inside("train", "old.txt", "--resume", "old", "--max-steps", "4")
    assert code == 0, err


@pytest.mark.parametrize(
    ("typed", "kind"),
    [("line", "lines"), ("Lines", "lines"), ("blank_lines", "blank-lines"), ("FILE", "files")],
)
def test_misspelt_kinds_of_documents(inside: Inside, story: Path, typed: str, kind: str) -> None:
    """A misspelt kind of documents is not taken for a text between items."""
    message = f"--documents must be files, lines, blank-lines or a text; got {typed!r}"
    expected = f"error: {message}\nhint: use --documents {kind}\n"
    assert inside("train", story, "--documents", typed) == (2, "", expected)

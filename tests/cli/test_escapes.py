"""Escapes in options: each value is read once, and every command that is printed repeats it."""

import json
import shlex
from pathlib import Path

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TextOptions
from charrnn_cli.storage.source import Source
from charrnn_cli.text.escapes import escape, unescape
from charrnn_cli.training.command_line import source_words, train_command
from tests.helpers import FAST, Inside, make_checkpoint, save
from tests.test_shell import read_by_bash

TYPESETTING = "\n\t\\abceilt"


@pytest.fixture
def typesetting() -> None:
    """Make a model of a text that has newlines, tabs and backslashes."""
    config = ModelConfig(vocabulary_size=len(TYPESETTING), layers=1, size=4, embed=3)
    save(make_checkpoint(config, characters=TYPESETTING, run="typesetting"))


@pytest.mark.usefixtures("typesetting")
@pytest.mark.parametrize(
    ("typed", "prime", "shown"),
    [
        (r"\title", "\title", "<TAB>itle"),
        (r"\\title", r"\title", r"\title"),
        (r"a\nb", "a\nb", "a<LF>b"),
        (r"\x61\u0062", "ab", "ab"),
        (r"\label", r"\label", None),
        (r"a\x6", r"a\x6", None),
    ],
)
def test_a_prime_has_escapes(inside: Inside, typed: str, prime: str, shown: str | None) -> None:
    """A prime is read with its escapes, and is shown if one of them was replaced."""
    base = ("sample", "-n", "0", "--seed", "1", "--unknown", "skip")
    code, out, err = inside(*base, "--prime", typed)
    known = "".join(each for each in prime if each in TYPESETTING)
    assert (code, out) == (0, known + "\n")
    note = f"prime   read as {shown} (type \\\\ for a backslash)\n"
    assert err == (
        "sample  typesetting@100, temperature 1, top-k 5, seed 1\n" + (note if shown else "")
    )
    assert inside(*base, "-q", "--prime", typed) == (0, out, "")


@pytest.mark.usefixtures("typesetting")
def test_a_stop_string_has_escapes(inside: Inside) -> None:
    """A stop string ends the text where its escapes say, and is shown as it was read."""
    base = ("sample", "-n", "200", "--seed", "1", "--no-echo", "--top-k", "0", "--prime", "a")
    text = inside(*base, "-q").stdout
    code, out, err = inside(*base, "--stop", r"\n", "--stop", "ab")
    ends = [text.index(stop) for stop in ("\n", "ab") if stop in text]
    assert (code, out) == (0, text[: min(ends)] + "\n")
    assert err.endswith("\nstop    read as <LF> (type \\\\ for a backslash)\n")
    hint = inside(*base, "--stop", r"\\x\x07")[2].splitlines()[-1]
    assert hint == r"hint: leave out --stop '\\x\x07'"


@pytest.mark.usefixtures("typesetting")
def test_files_and_conversations_are_not_typed_options(inside: Inside, tmp_path: Path) -> None:
    """The prime in a file has no escapes, and a line typed to the model only line breaks."""
    (tmp_path / "prime.txt").write_text(r"\title")
    base = ("sample", "-n", "0", "-q", "--prime-file", "prime.txt")
    assert inside(*base) == (0, "\\title\n", "")
    talk = ("sample", "-i", "-n", "20", "-q", "--seed", "1", "--temperature", "0")
    raw = inside(*talk, stdin="\\title\n").stdout
    assert raw == inside(*talk[:1], *talk[2:], "--prime", r"\n\\title", "--no-echo").stdout


@pytest.mark.parametrize(
    ("typed", "separator"), [(r"\n", "\n"), (r"\t", "\t"), (r"\\n", "\\n"), (r"\u0020", " ")]
)
def test_a_separator_has_escapes(
    inside: Inside, tmp_path: Path, typed: str, separator: str
) -> None:
    """The separator between two files is the typed text with its escapes replaced."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name} text of {name}")
    assert inside("encode", "a.txt", "b.txt", "--separator", typed, "-o", "c.safetensors")[0] == 0
    text = inside("encode", "--decode", "c.safetensors").stdout
    assert text == f"a text of a{separator}b text of b"


@pytest.mark.parametrize(
    "text", ["\\title", "\title", "\\n", "\n", "\\", "\\\\x41", "\x07\0é", "~"]
)
def test_a_configuration_repeats_the_run(
    inside: Inside, story: Path, tmp_path: Path, text: str
) -> None:
    """A printed configuration has the texts as they were read, and reads them back unchanged."""
    typed = ("--sample-prime", escape(text), "--separator", escape(text))
    code, out, _ = inside("train", str(story), *typed, "--print-config")
    assert code == 0
    (tmp_path / "file.toml").write_text(out, "utf-8")
    again = inside("train", "--config", "file.toml", "--print-config")
    assert again == (0, out, "")


def test_a_configuration_has_the_escapes_of_toml(
    inside: Inside, story: Path, tmp_path: Path
) -> None:
    """In a configuration, only TOML's own escapes are replaced, and not those of options."""
    (tmp_path / "file.toml").write_text("sample_prime = '\\n'\nseparator = \"\\\\t\\t\"\n")
    code, out, _ = inside("train", str(story), "--config", "file.toml", "--print-config")
    assert code == 0
    assert 'sample_prime = "\\\\n"\n' in out
    assert 'separator = "\\\\t\\t"\n' in out


@pytest.mark.parametrize("text", ["\\title", "\title", "a\nb", "\\\\", "it's\\", "\0", "\u2028"])
def test_a_printed_command_has_escapes(text: str) -> None:
    """A shell and then the program read a text in a printed command as exactly this text."""
    source = source_words(Source((Path("a.txt"),), TextOptions(separator=text)))
    for command, option in (
        (train_command({}, {"sample_prime": text}), "--sample-prime"),
        (source, "--separator"),
    ):
        words = [word.decode() for word in read_by_bash([command])]
        assert unescape(words[words.index(option) + 1]) == text


def test_the_command_of_a_run_repeats_its_texts(inside: Inside, tmp_path: Path) -> None:
    """The command that `show` prints trains with the same prime and the same separator."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"\\title{{{name}}} \\tiny of {name}\n" * 60)
    typed = ("--sample-prime", r"\\t", "--separator", r"\\n\n", "--max-steps", "2", "-q")
    assert inside("train", "a.txt", "b.txt", *FAST, *typed)[0] == 0
    shown = json.loads(inside("checkpoints", "show", "--json").stdout)
    words = shlex.split(shown["command"])
    assert inside(*words[1:], "-q", "--run", "again")[0] == 0
    again = json.loads(inside("checkpoints", "show", "again", "--json").stdout)
    for row in (shown, again):
        assert row["train"]["sample_prime"] == "\\t"
        assert row["data"]["reading"]["separator"] == "\\n\n"

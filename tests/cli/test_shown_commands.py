"""Commands that are printed: copied into a shell, they do what they say and nothing else."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.text.escapes import unescape
from charrnn_cli.training.command_line import source_words, train_command
from tests.helpers import FAST, Inside, forge, make_checkpoint, save
from tests.test_shell import read_by_bash

HOSTILE = "cpu; touch PWNED"


@pytest.mark.parametrize(
    "value", [HOSTILE, "$(touch PWNED)", "a\nb", "it's", "\x1b[31m", ["; id"], {"a;": "|"}, True]
)
@pytest.mark.parametrize("name", ["device", "sample_prime", "schedule", "max_steps"])
def test_a_setting_is_one_word(name: str, value: object) -> None:
    """A recorded value of any content is one word of the command, after its option."""
    option = f"--{name.replace('_', '-')}"
    words = [word.decode() for word in read_by_bash([train_command({}, {name: value})])]
    read = unescape(words[-1]) if name == "sample_prime" else words[-1]
    assert [*words[:-1], read] == ["charrnn", "train", "TEXT", option, str(value)]


def test_a_source_is_words() -> None:
    """Paths, patterns, separators and references are one word each."""
    options = TextOptions(include="*.txt; id", separator="\n\x1b'")
    source = Source((Path("my book.txt"), Path("-x")), options, f"/tmp/{HOSTILE}")
    assert read_by_bash([source_words(source)]) == [
        *(b"my book.txt", b"./-x"),
        *(b"--separator", rb"\n\x1b'", b"--include", b"*.txt; id"),
        *(b"--init-from", f"/tmp/{HOSTILE}".encode()),
    ]


def test_the_command_of_a_strangers_checkpoint(inside: Inside, tmp_path: Path) -> None:
    """`show` prints the header of a stranger's file as a command that is only `charrnn train`."""
    checkpoint = make_checkpoint()
    path = save(replace(checkpoint, train={"device": HOSTILE, "later": "1 | id", "seed": 1}))
    forge(path, data={**asdict(checkpoint.data), "name": "; id"}, run="$(id)")
    code, out, _ = inside("checkpoints", "show", "tiny", "--json")
    assert code == 0
    words = shlex.split(json.loads(out)["command"])
    assert words[:3] == ["charrnn", "train", "TEXT"]
    assert words[words.index("--device") + 1] == HOSTILE
    assert f"--device '{HOSTILE}'" in inside("checkpoints", "show", "tiny")[1]
    assert not (tmp_path / "PWNED").exists()


def test_a_prime_of_several_words(inside: Inside, story: Path) -> None:
    """The command that repeats a run keeps a prime of several words together."""
    prime = "the cat sat"
    typed = ("--sample-prime", prime, "--max-steps", "2", "-q")
    assert inside("train", story, *FAST, *typed).returncode == 0
    words = shlex.split(json.loads(inside("checkpoints", "show", "--json").stdout)["command"])
    assert words[words.index("--sample-prime") + 1] == prime


def test_the_hint_for_an_encoded_file(inside: Inside, story: Path, tmp_path: Path) -> None:
    """The command in the hint names the file as one word; a long name becomes a placeholder."""
    for name, word in (
        ("my book; id", "'my book; id'"),
        ("-b", "./-b"),
        (f"{'d' * 200}/{'d' * 200}/a", "FILE"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert inside("encode", str(story), "-o", str(path))[0] == 0
        code, _, err = inside("encode", "--json", "--", name)
        assert code == 2
        hint = json.loads(err)["hint"]
        assert hint == f"decode it first with `charrnn encode --decode {word}`"
    assert Registry().runs() == []

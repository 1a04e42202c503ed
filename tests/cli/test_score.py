"""`charrnn score`: what a user types and sees."""

import json
import re
from pathlib import Path

import pytest

from tests.helpers import Inside
from tests.terminal import Terminal, on_screen

pytestmark = pytest.mark.usefixtures("tiny_run")

TEXT = "head\n\nbad cab\nfade"


@pytest.fixture(autouse=True)
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_models_side_by_side(inside: Inside) -> None:
    """Each model has a row with the same characters; table and JSON agree."""
    result = inside("score", "tiny@100", "tiny@200", "text.txt")
    assert result.returncode == 0
    head, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert head == ["checkpoint", "characters", "loss", "bpc", "perplexity"]
    assert [row[:2] for row in rows] == [["tiny@100", "17"], ["tiny@200", "17"]]
    for row, fact in zip(
        rows,
        json.loads(inside("score", "tiny@100", "tiny@200", "text.txt", "--json").stdout),
        strict=True,
    ):
        assert float(row[2]) == pytest.approx(fact["loss"], abs=1e-4)
        assert float(row[3]) == pytest.approx(fact["bpc"], abs=1e-4)
        assert fact["bpc"] == pytest.approx(fact["loss"] / 0.693147, rel=1e-5)


def test_another_encoding(inside: Inside, tmp_path: Path) -> None:
    """A text that is not UTF-8 is an error that suggests --encoding, which then reads it."""
    (tmp_path / "old.txt").write_bytes("head".encode("cp037"))
    assert inside("score", "tiny", "old.txt").stderr.endswith(
        "hint: add the option that makes this line readable:\n"
        "      --encoding mac-cyrillic  ИЕБД\n"
        "      --encoding cp437         êàüä\n"
    )
    table = inside("score", "tiny", "old.txt", "--encoding", "cp037").stdout.splitlines()
    assert table[1].split("\t")[1] == "3"


def test_lines(inside: Inside) -> None:
    """Lines come in order, include the new line that ends them, and average to the total."""
    (row,) = json.loads(inside("score", "latest", "text.txt", "--per-line", "--json").stdout)
    lines = row["lines"]
    assert [line["text"] for line in lines] == TEXT.split("\n")
    assert [line["characters"] for line in lines] == [4, 1, 8, 4]
    total = sum(line["bpc"] * line["characters"] for line in lines)
    assert total / row["characters"] == pytest.approx(row["bpc"])
    plain = inside("score", "latest", "text.txt", "--per-line").stdout.splitlines()
    assert [line.split("\t")[2] for line in plain[1:]] == TEXT.split("\n")


def test_both_engines(inside: Inside, tmp_path: Path) -> None:
    """A long text is scored by torch, and close to what numpy gives for a short one."""
    (tmp_path / "long.txt").write_text("head bad cab fade\n" * 12_000)
    (tmp_path / "short.txt").write_text("head bad cab fade\n" * 1000)
    bits = [
        json.loads(inside("score", "latest", f"{name}.txt", "--json").stdout)[0]
        for name in ("short", "long")
    ]
    assert bits[0]["bpc"] == pytest.approx(bits[1]["bpc"], abs=1e-3)
    assert "loading torch" in inside("score", "latest", "long.txt").stderr


def test_threads_of_a_long_text(inside: Inside, tmp_path: Path) -> None:
    """With --threads, torch scores a long text with this number of threads."""
    import torch

    from charrnn_cli.training.device import restored_threads

    (tmp_path / "long.txt").write_text("head bad cab fade\n" * 12_000)
    with restored_threads():
        torch.set_num_threads(3)
        assert inside("score", "latest", "long.txt", "--threads", "1")[0] == 0
        assert torch.get_num_threads() == 1


def test_unknown_characters_are_skipped(inside: Inside, tmp_path: Path) -> None:
    """With --unknown skip, a text scores as if it had no unknown characters; they are counted."""
    (tmp_path / "mixed.txt").write_text("Ωhead\n\nbad漢 cab\nΩfade")
    (expected,) = json.loads(inside("score", "tiny", "text.txt", "--per-line", "--json").stdout)
    for text in ("mixed.txt", "mixed.encoded.safetensors"):
        base = ("score", "tiny", text, "--unknown", "skip")
        result = inside(*base, "--per-line", "--json")
        assert result.returncode == 0
        assert result.stderr == "skipped 3 characters that tiny@200 does not know\n"
        assert json.loads(result.stdout) == [{**expected, "skipped": 3}]
        inside("encode", "mixed.txt")
    table = inside("score", "tiny@100", "tiny@200", "mixed.txt", "--unknown", "skip")
    assert table.stdout == inside("score", "tiny@100", "tiny@200", "text.txt").stdout
    assert table.stderr == (
        "skipped 3 characters that not all models know\n"
        "skipped 3 characters that not all models know\n"
    )
    assert expected["skipped"] == 0
    assert inside("score", "tiny", "text.txt", "--unknown", "skip").stderr == ""


@pytest.mark.parametrize(("text", "known"), [("ΩΩ漢", "none"), ("ΩaΩ", "only one")])
def test_nothing_is_left_to_score(inside: Inside, tmp_path: Path, text: str, known: str) -> None:
    """A text of which the model knows fewer than two characters is an error."""
    (tmp_path / "strange.txt").write_text(text)
    result = inside("score", "tiny", "strange.txt", "--unknown", "skip")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: scoring needs at least two characters; this text has {known} that tiny@200 knows\n"
        "hint: run `charrnn score --help` for usage\n"
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("tiny", "at least one model and a text are required"),
        ("tiny one.txt", "scoring needs at least two characters; this text has only one"),
        (
            "tiny other.txt",
            "the text 'other' has characters that the model's vocabulary lacks: 'Ω' (U+03A9)",
        ),
        ("tiny missing.txt", "no file named missing.txt"),
        ("tiny text.txt --unknown closest", "--unknown must be one of error, skip; got 'closest'"),
    ],
)
def test_errors(inside: Inside, tmp_path: Path, arguments: str, error: str) -> None:
    """A command that cannot be done ends with code 2, one error and one hint."""
    (tmp_path / "one.txt").write_text("a")
    (tmp_path / "other.txt").write_text("aΩb")
    result = inside("score", *arguments.split())
    assert (result.returncode, result.stdout) == (2, "")
    message, hint = result.stderr.splitlines()
    assert message == f"error: {error}"
    assert hint.startswith("hint: ")


def test_a_heat_map_on_a_terminal(text: Path) -> None:
    """On a terminal, every character but the first is colored by its surprise."""
    with Terminal("score", "tiny", str(text)) as terminal:
        assert terminal.wait() == 0
    shaded = re.findall(r"\x1b\[38;5;\d+m([a-h ])\x1b\[0m", terminal.written.decode())
    assert "".join(shaded) == TEXT[1:].replace("\n", "")


def test_heat_maps_of_several_models_are_named(text: Path) -> None:
    """The name of a model comes before its heat map; a single model needs none."""
    with Terminal("score", "tiny@100", "tiny@200", str(text)) as terminal:
        assert terminal.wait() == 0
    screen = "\n".join(line.rstrip() for line in on_screen(terminal.written))
    lines = TEXT.replace("\n\n", "\n")
    first, second = (f"score   tiny@{step}\n{lines}\n" for step in (100, 200))
    assert first in screen
    assert second in screen[screen.index(first) + len(first) :]
    with Terminal("score", "tiny", str(text)) as terminal:
        assert terminal.wait() == 0
    assert "score " not in terminal.written.decode()

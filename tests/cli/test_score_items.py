"""`charrnn score` with models of documents: every item, or file, from its beginning to its end."""

import json
import math
import random
from pathlib import Path

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.model.text_score import score
from tests.helpers import Inside, make_checkpoint, make_item_checkpoint, save
from tests.terminal import Terminal

MODEL = make_item_checkpoint(run="names")
NAMES = ["bad", "cab", "a", "face", "bad", "deaf head"]


@pytest.fixture(autouse=True)
def names(tmp_path: Path) -> Path:
    save(MODEL)
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    return path


def test_an_item_is_a_row(inside: Inside) -> None:
    """--per-line gives an item's bits and bits per character, as scoring it alone does."""
    code, out, _ = inside("score", "names", "names.txt", "--per-line")
    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, rows[0]) == (0, ["item", "bits", "bpc", "text"])
    assert [row[3] for row in rows[1:]] == NAMES
    for number, row in enumerate(rows[1:], 1):
        alone = score(MODEL, row[3])
        assert row[0] == str(number)
        assert float(row[1]) == pytest.approx(alone.bits_per_character * alone.characters, abs=0.01)
        assert float(row[2]) == pytest.approx(alone.bits_per_character, abs=0.01)


def test_the_order_changes_nothing(inside: Inside, tmp_path: Path) -> None:
    """Shuffled lines have the same rows, and exactly the same total."""
    many = [f"{first}{second}{third}" for first in "abcd" for second in "efgh" for third in "aceg"]
    results = []
    for seed in (1, 2):
        random.Random(seed).shuffle(many)
        (tmp_path / "many.txt").write_text("\n".join(many) + "\n")
        code, out, _ = inside("score", "names", "many.txt", "--per-line", "--json")
        (total,) = json.loads(out)
        lines = total.pop("lines")
        assert (code, [line["line"] for line in lines]) == (0, list(range(1, 65)))
        assert [line["text"] for line in lines] == many
        results.append((total, {line["text"]: line["bits"] for line in lines}))
    assert results[0] == results[1]
    total, bits = results[0]
    assert total["characters"] == 64 * 4
    assert total["bpc"] * 256 == pytest.approx(math.fsum(bits.values()))


def test_a_column(inside: Inside, tmp_path: Path) -> None:
    """A model of a column reads tables as its training text was read."""
    save(make_item_checkpoint(run="cells", reading=TextOptions(documents="lines", column="name")))
    (tmp_path / "table.csv").write_text("n,name\n" + "".join(f"7,{name}\n" for name in NAMES))
    expected = inside("score", "names", "names.txt", "--json")
    found = inside("score", "cells", "table.csv", "--json")
    assert json.loads(found.stdout)[0]["bpc"] == json.loads(expected.stdout)[0]["bpc"]


def test_skipped_characters(inside: Inside, tmp_path: Path) -> None:
    """Unknown characters are left out; an item without others has no row."""
    (tmp_path / "odd.txt").write_text("b~ad\n~~\ncab\n")
    code, out, err = inside(
        "score", "names", "odd.txt", "--unknown", "skip", "--per-line", "--json"
    )
    (row,) = json.loads(out)
    assert (code, [line["text"] for line in row["lines"]]) == (0, ["bad", "cab"])
    assert (row["characters"], row["skipped"]) == (8, 3)
    assert "skipped 3 characters that names@100 does not know\n" in err
    (tmp_path / "odd.txt").write_text("~\n")
    code, _, err = inside("score", "names", "odd.txt", "--unknown", "skip")
    assert code == 2
    assert err == (
        "skipped 1 character that names@100 does not know\n"
        "error: scoring needs at least one character; this text has none\n"
        "hint: run `charrnn score --help` for usage\n"
    )


def test_models_of_items_and_of_a_text(inside: Inside) -> None:
    """A model of one text scores the list as a text; --unknown skip never skips an end."""
    save(make_checkpoint(run="book"))
    save(make_item_checkpoint("blank-lines", run="poems"))
    code, out, err = inside("score", "names", "book", "poems", "names.txt", "--unknown", "skip")
    counts = [line.split("\t")[:2] for line in out.splitlines()[1:]]
    characters = sum(map(len, NAMES)) + len(NAMES)
    assert (code, counts) == (
        0,
        [
            ["names@100", str(characters)],
            ["book@100", str(characters - 2)],
            ["poems@100", str(characters)],
        ],
    )
    assert "skipped" not in err


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_file_is_a_document(inside: Inside, tmp_path: Path, ending: str) -> None:
    """A model of files scores each file from its beginning to its end, also a single one."""
    checkpoint = make_item_checkpoint("files", run="files")
    save(checkpoint)
    (tmp_path / "folder").mkdir()
    texts = ["bad cab" + ending, "face\nhead" + ending]
    for number, text in enumerate(texts):
        (tmp_path / "folder" / f"{number}.txt").write_text(text)
    alone = [score(checkpoint, text) for text in texts]
    bits = sum(each.bits_per_character * each.characters for each in alone)
    rows = []
    for path in ("folder", "folder/0.txt", "folder/1.txt"):
        code, out, _ = inside("score", "files", path, "--json", "--per-line")
        assert code == 0
        rows += json.loads(out)
    assert rows[0]["characters"] == sum(each.characters for each in alone)
    assert rows[0]["bpc"] * rows[0]["characters"] == pytest.approx(bits, rel=1e-5)
    assert [row["bpc"] for row in rows[1:]] == pytest.approx(
        [each.bits_per_character for each in alone], rel=1e-5
    )
    for row, lines in zip(
        rows, (["bad cab", "face", "head"], ["bad cab"], ["face", "head"]), strict=True
    ):
        assert [line["text"] for line in row["lines"]] == lines
        assert sum(line["characters"] for line in row["lines"]) == row["characters"]
        assert math.fsum(
            line["bpc"] * line["characters"] for line in row["lines"]
        ) == pytest.approx(row["bpc"] * row["characters"])


def test_a_model_of_one_text_reads_files_as_one(inside: Inside, tmp_path: Path) -> None:
    """No end symbol stands between files that such a model scores or is compared with."""
    save(make_checkpoint(run="book", reading=TextOptions(documents="files")))
    (tmp_path / "folder").mkdir()
    for number, text in enumerate(["bad cab", "face"]):
        (tmp_path / "folder" / f"{number}.txt").write_text(text)
    code, out, _ = inside("score", "book", "folder")
    assert (code, out.splitlines()[1].split("\t")[1]) == (0, "10")
    assert inside("sample", "book", "-n", "9", "--check-copy", "folder").returncode == 0


@pytest.mark.parametrize(
    ("documents", "shown"), [("lines", "bad\ncab\n"), ("blank-lines", "bad\n\ncab\n\n")]
)
def test_a_heat_map_of_items(tmp_path: Path, documents: str, shown: str) -> None:
    """Every letter is colored, the first one too, and items are separated as in a text."""
    save(make_item_checkpoint(documents, run="list"))
    (tmp_path / "list.txt").write_text(shown)
    with Terminal("score", "list", str(tmp_path / "list.txt")) as terminal:
        assert terminal.wait() == 0
    plain = terminal.written.decode().replace("\r\n", "\n").replace("\x1b[0m", "")
    for shade in (243, 66, 31, 30, 28, 64, 130, 196, 164):
        plain = plain.replace(f"\x1b[38;5;{shade}m", "!")
    assert "".join(f"!{each}" if each.isalpha() else each for each in shown) in plain

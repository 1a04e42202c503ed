"""`charrnn sample` with models of items: whole items, one after the other, and a choice of them."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.model.document_scoring import document_losses
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.scoring import NumpyPredictor
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.remapping import in_vocabulary
from tests.helpers import FAST, TIMEOUT, Inside, make_checkpoint, make_item_checkpoint, save

MODEL = make_item_checkpoint(run="names", longest_item=3, scale=1.0)
NAMES = ("sample", "names", "--seed", "1")


@pytest.fixture(autouse=True)
def names() -> None:
    save(MODEL)


def texts(**settings: object) -> list[str]:
    """The items that the library draws with seed 1."""
    return [item.text for item in generate_items(MODEL, seed=1, **settings)]  # type: ignore[arg-type]


def test_an_item_is_a_line(inside: Inside) -> None:
    """Ten items are printed without anything between; standard error counts them."""
    code, out, err = inside(*NAMES)
    assert (code, out.splitlines()) == (0, texts())
    items = list(generate_items(MODEL, seed=1))
    ended = sum(item.ended for item in items)
    assert ended < 10
    unique = len(set(texts()))
    shown = "100%" if unique == 10 else f"{unique * 10}.0%"
    assert err == (
        "sample  names@100, temperature 1, top-k 5, 10 items, seed 1\n"
        f"items   10 of 10 drawn: {ended * 10}.0% ended, {shown} unique\n"
    )


def test_the_first_items_do_not_depend_on_the_count(inside: Inside) -> None:
    """More items begin with the same ones; no line is empty."""
    few, many = (inside(*NAMES, "-q", "--count", count)[1] for count in ("10", "1000"))
    assert many.startswith(few)
    assert len(many.splitlines()) == 1000
    assert "" not in many.splitlines()


@pytest.mark.parametrize(
    ("documents", "between"), [("blank-lines", "\n\n"), (r"\n%\n", "\n%\n"), ("lines", "\n")]
)
def test_items_are_separated_as_in_the_text(inside: Inside, documents: str, between: str) -> None:
    """Between items stands the text that separated those of the training text."""
    typed = documents.replace(r"\n", "\n")
    checkpoint = make_item_checkpoint(typed, run="items", scale=1.0)
    save(checkpoint)
    expected = [item.text for item in generate_items(checkpoint, "ab", count=4, seed=1)]
    code, out, _ = inside("sample", "items", "--seed", "1", "--count", "4", "--prime", "ab")
    assert (code, out.removesuffix("\n")) == (0, between.join(expected).removesuffix("\n"))
    assert "\x03" not in out
    assert out.endswith("\n")


def test_the_length_is_only_a_limit(inside: Inside) -> None:
    """-n cuts items off, and standard error says how many ended."""
    code, out, err = inside(*NAMES, "-n", "1")
    assert (code, out.splitlines()) == (0, texts(length=1))
    ended = sum(item.ended for item in generate_items(MODEL, seed=1, length=1))
    assert f"10 of 10 drawn: {ended * 10}.0% ended" in err


def test_conditions(inside: Inside, tmp_path: Path) -> None:
    """Items are drawn until as many as wanted meet all conditions; the others are counted."""
    known = ["a", "b", "ba", "cab"]
    (tmp_path / "known.txt").write_text("\n".join(known[:2]) + "\n")
    (tmp_path / "more.txt").write_text("\n".join(known[2:]))
    options = ("--unique", "--novel-against", "known.txt", "--novel-against", "more.txt")
    lengths = ("--min-length", "2", "--max-length", "6", "--match", "^[b-h]")
    code, out, err = inside(*NAMES, "--count", "50", *options, *lengths)
    expected = []
    for number, text in enumerate(drawn := texts(count=2500)):
        if 2 <= len(text) <= 6 and text[0] in "bcdefgh" and text not in [*known, *drawn[:number]]:
            expected.append((number, text))
    assert (code, out.splitlines()) == (0, [text for _, text in expected[:50]])
    number = expected[49][0] + 1
    unique = set(drawn[:number])
    found = re.search(r"items   50 of ([\d,]+) drawn: .* ended, (.*)% unique, (.*)% new", err)
    assert found is not None
    assert int(found[1].replace(",", "")) == number
    assert float(found[2]) == int(1000 * len(unique) / number) / 10
    assert float(found[3]) == int(1000 * len(unique - set(known)) / len(unique)) / 10


def test_too_few_items(inside: Inside) -> None:
    """After 50 draws for each wanted item, those that were found are printed, and it fails."""
    code, out, err = inside(*NAMES, "--count", "2", "--match", "~")
    assert (code, out) == (1, "")
    assert err.endswith(
        "error: no item meets the conditions, of 100 drawn\n"
        "hint: use less strict conditions, or a higher --temperature\n"
    )
    one = texts(count=150)[0]
    code, out, err = inside(*NAMES, "-q", "--count", "3", "--unique", "--match", f"^{one}$")
    assert (code, out) == (1, f"{one}\n")
    assert err.startswith("error: only 1 of 3 items meet the conditions, of 150 drawn\n")


def test_a_table(inside: Inside, tmp_path: Path) -> None:
    """--tsv has a header and quotation marks where needed, so that a table can be read again."""
    checkpoint = make_item_checkpoint("blank-lines", run="poems", scale=1.0)
    save(checkpoint)
    expected = list(generate_items(checkpoint, "a\n", count=20, seed=1, length=9))
    code, out, _ = inside(
        *("sample", "poems", "--seed", "1", "--prime", r"a\n", "--count", "20", "-n", "9", "--tsv")
    )
    (tmp_path / "out.tsv").write_text(out)
    with (tmp_path / "out.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert code == 0
    assert rows[0] == ["item", "bits", "ended"]
    assert rows[1:] == [
        [item.text, f"{item.bits:.3f}", "yes" if item.ended else "no"] for item in expected
    ]


def test_sorting(inside: Inside) -> None:
    """--sort bits prints the items that cost the fewest bits first; scoring finds the same bits."""
    code, out, _ = inside(*NAMES, "--sort", "bits", "--tsv", "--count", "30", "--unique")
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    bits = [float(row[1]) for row in rows]
    assert (code, len(bits), bits) == (0, 30, sorted(bits))
    assert any(ended == "yes" for _, _, ended in rows)
    for text, cost, ended in rows:
        if ended == "no":
            continue
        corpus = Corpus.from_documents([text], MODEL.data.reading, "list")
        known = in_vocabulary(corpus, MODEL.vocab)
        nats = document_losses(NumpyPredictor(MODEL), known).nats
        assert float(cost) == pytest.approx(nats / 0.6931472, abs=2e-3)
    assert {row[0] for row in rows} == set(
        inside(*NAMES, "-q", "--count", "30", "--unique")[1].splitlines()
    )


def test_json(inside: Inside, tmp_path: Path) -> None:
    """An item is an object with its number, its bits, whether it ended and whether it is new."""
    (tmp_path / "known.txt").write_text("~\n")
    items = list(generate_items(MODEL, "b", seed=1, count=3))
    for options, novel in (((), None), (("--novel-against", "known.txt"), True)):
        code, out, _ = inside(*NAMES, "--prime", "b", "--count", "3", "--json", *options)
        objects = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [(each["text"], each["number"], each["ended"]) for each in objects] == [
            (item.text, item.number, item.ended) for item in items
        ]
        assert [each["bits"] for each in objects] == pytest.approx(
            [item.bits for item in items], abs=1e-5
        )
        for each in objects:
            assert (each["novel"], each["prime"], each["seed"]) == (novel, "b", 1)
            assert each["settings"]["length"] == 12


def test_several_jobs(inside: Inside) -> None:
    """The items of several checkpoints and temperatures follow lines with their labels."""
    save(replace(MODEL, step=200))
    code, out, err = inside(
        *("sample", "names@100", "names@200", "--temperature", "0.5,1", "--count", "2", "-n", "4")
    )
    lines = out.splitlines()
    assert code == 0
    assert lines[::3] == [
        f"--- names@{step}, temperature {temperature}"
        for step in (100, 200)
        for temperature in ("0.5", "1")
    ]
    assert "items   names@200, temperature 0.5: 2 of 2 drawn: " in err
    assert ", 2 items, seed " in err


def test_a_file_as_output(inside: Inside, tmp_path: Path) -> None:
    """The file holds the items, also if there are too few."""
    assert inside(*NAMES, "-o", "out.txt")[0] == 0
    assert (tmp_path / "out.txt").read_text().splitlines() == texts()
    one = texts()[0]
    found = inside(*NAMES, "-o", "few.txt", "--unique", "--match", f"^{one}$")
    assert found[0] == 1
    assert (tmp_path / "few.txt").read_text() == f"{one}\n"


def test_a_prime_from_a_file(inside: Inside, tmp_path: Path) -> None:
    """The line end at the end of a file is not part of the prime."""
    (tmp_path / "prime.txt").write_text("ab\n")
    typed, from_file = (
        inside(*NAMES, *option) for option in (("--prime", "ab"), ("--prime-file", "prime.txt"))
    )
    assert typed == from_file
    assert all(line.startswith("ab") for line in typed[1].splitlines())


def test_statistics(inside: Inside) -> None:
    """--stats counts the characters drawn, ends included."""
    items = list(generate_items(MODEL, "b", seed=1))
    drawn = sum(len(item.text) - 1 + item.ended for item in items)
    _, _, err = inside(*NAMES, "--prime", "b", "--stats")
    assert f"stats   {drawn} characters in " in err


def test_a_closed_pipe_ends_the_items() -> None:
    """Items stop without a message when nobody reads them."""
    program = subprocess.Popen(
        [sys.executable, "-m", "charrnn_cli", *NAMES, "-q", "--count", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.readline().decode().removesuffix("\n") == texts()[0]
    program.stdout.close()
    assert program.wait(timeout=TIMEOUT) == 141
    assert program.stderr.read() == b""
    program.stderr.close()


def test_the_training_text(inside: Inside, tmp_path: Path) -> None:
    """--novel leaves out the items of the run's own text, as long as it is there and the same."""
    text = tmp_path / "list.txt"
    text.write_text("\n".join(["ab", "ba", "aab", "bab", "b"] * 60))
    train = ("train", "list.txt", "--documents", "lines", "--run", "own", *FAST)
    assert inside(*train, "--max-steps", "30", "--ngram", "0")[0] == 0
    sample = ("sample", "own", "-q", "--seed", "1", "--count", "40")
    drawn = inside(*sample)[1].splitlines()
    assert set(drawn) & {"ab", "ba", "aab", "bab", "b"}
    code, out, _ = inside(*sample, "--novel")
    assert code == 0
    assert not set(out.splitlines()) & {"ab", "ba", "aab", "bab", "b"}
    assert inside(*sample, "--novel-against", "list.txt")[:2] == (0, out)
    text.write_text("\n".join(["ab", "ba", "aab", "bab", "a"] * 60))
    hint = "hint: compare with a file: --novel-against FILE\n"
    changed = "error: the text of own@30 has changed since it was trained\n"
    assert inside(*sample, "--novel") == (2, "", changed + hint)
    text.unlink()
    gone = f"error: the text of own@30 no longer exists: {text}\n"
    assert inside(*sample, "--novel") == (2, "", gone + hint)
    unknown = "error: nothing records where the text of names@100 is\n"
    assert inside(*NAMES, "-q", "--novel") == (2, "", unknown + hint)


def test_the_end_of_a_document(inside: Inside) -> None:
    """A model of files begins a file, and --stop-at-end stops where it ends one."""
    checkpoint = make_item_checkpoint("files", run="files", scale=1.0)
    save(checkpoint)
    files = ("sample", "files", "--seed", "1", "-n", "500", "--top-k", "0")
    code, out, err = inside(*files, "--prime", "ab", "--json")
    (whole, _), stopped = (
        out.split("\n"),
        inside(*files, "--prime", "ab", "--json", "--stop-at-end"),
    )
    text, short = (json.loads(each) for each in (whole, stopped[1]))
    assert (code, text["prime"], text["stopped"], len(text["text"])) == (0, "ab", False, 500)
    assert "\x03" not in text["text"]
    assert "note    the model ends documents; --stop-at-end stops there\n" in err
    assert short["stopped"]
    assert text["text"].startswith(short["text"] + "\n")
    assert "note" not in stopped[2]
    explicit = replace(checkpoint, data=replace(checkpoint.data, end=None), run="explicit")
    save(explicit)
    raw = inside("sample", "explicit", *files[2:], "-q", "--prime", r"\x03ab", "--no-echo")[1]
    assert raw.replace("\x03", "\n") == text["text"] + "\n"
    assert inside(*files, "-q", "--prime", "ab")[1] == f"ab{text['text']}\n"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            "names --interactive",
            "--interactive cannot be combined with names@100, a model of items",
            "leave out --interactive",
        ),
        (
            "names --check-copy known.txt",
            "--check-copy cannot be combined with names@100, a model of items",
            "compare whole items: --novel-against FILE",
        ),
        (
            "names --stop a",
            "--stop cannot be combined with names@100, a model of items",
            "leave out --stop",
        ),
        (
            "names --no-echo",
            "--no-echo cannot be combined with names@100, a model of items",
            "leave out --no-echo",
        ),
        (
            "names --stop-at-end",
            "--stop-at-end cannot be combined with names@100, a model of items",
            "leave out --stop-at-end",
        ),
        (
            r"names --prime a\nb",
            "the prime is more than one item",
            "use only the beginning of one item",
        ),
        (
            "names --match (",
            "--match is not a regular expression: missing ), unterminated subpattern at position 0",
            "run `charrnn sample --help` for usage",
        ),
        (
            "names --sort length",
            "--sort must be bits; got 'length'",
            "run `charrnn sample --help` for usage",
        ),
        (
            "names --min-length 3 --max-length 2",
            "--min-length 3 is more than --max-length 2",
            "exchange the two numbers",
        ),
        (
            "names --tsv --temperature 1,2",
            "--tsv requires one checkpoint and one temperature",
            "leave out the others, or leave out --tsv",
        ),
        (
            "names -n 0",
            "an item has at least one character, so length must be above 0",
            "run `charrnn sample --help` for usage",
        ),
        (
            "book --unique",
            "--unique requires a model of items, trained with --documents",
            "leave out --unique",
        ),
        (
            "book --novel",
            "--novel requires a model of items, trained with --documents",
            "leave out --novel",
        ),
        (
            "book --stop-at-end",
            "--stop-at-end requires a model of several documents",
            "leave out --stop-at-end",
        ),
    ],
)
def test_errors(inside: Inside, words: str, message: str, hint: str) -> None:
    """An option that a model does not have, or a value without a meaning, is one clause."""
    save(make_checkpoint(run="book"))
    assert inside("sample", *words.split(), "-q") == (2, "", f"error: {message}\nhint: {hint}\n")

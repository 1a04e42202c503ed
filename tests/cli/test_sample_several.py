"""`charrnn sample` with several checkpoints and temperatures."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.cli.options.parsers import parse_temperatures
from charrnn_cli.storage.registry import Registry
from tests.helpers import Inside, make_checkpoint, save

pytestmark = pytest.mark.usefixtures("tiny_run")

BASE = ("sample", "-n", "40", "--seed", "3", "-q", "--prime", "ab")


def labelled(out: str) -> list[tuple[str, str]]:
    """Return the label and the text of each sample."""
    parts = re.split(r"^--- (.*)\n", out, flags=re.M)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("references", "temperatures", "labels"),
    [
        ("tiny@100 tiny@300", "1", ["tiny@100", "tiny@300"]),
        ("tiny@300 tiny", "0.5", ["tiny@300", "tiny@200"]),
        ("tiny", "0.5,0,1.50", ["temperature 0.5", "temperature 0", "temperature 1.5"]),
        (
            "tiny@300 tiny@best",
            "0.5,1",
            [
                "tiny@300, temperature 0.5",
                "tiny@300, temperature 1",
                "tiny@200, temperature 0.5",
                "tiny@200, temperature 1",
            ],
        ),
    ],
)
def test_each_sample_is_that_of_one_combination(
    inside: Inside, references: str, temperatures: str, labels: list[str]
) -> None:
    """Each sample, under its label, is the one that its checkpoint and temperature draw alone."""
    code, out, err = inside(*BASE, *references.split(), "--temperature", temperatures)
    alone = [
        inside(*BASE, reference, "--temperature", temperature).stdout
        for reference in references.split()
        for temperature in temperatures.split(",")
    ]
    assert (code, err) == (0, "")
    assert labelled(out) == list(zip(labels, alone, strict=True))


def test_one_combination_has_no_label(inside: Inside) -> None:
    """A reference that is given twice is sampled once, and said so; no label is needed."""
    once = inside("sample", "tiny", "-n", "40", "--seed", "3")
    code, out, err = inside("sample", "tiny", "tiny@200", "tiny", "-n", "40", "--seed", "3")
    assert (code, out) == (0, once.stdout)
    assert err == (
        f"{once.stderr}"
        "note    tiny@200 is the same checkpoint as tiny\n"
        "note    tiny is given twice\n"
    )
    path = Registry().resolve("tiny")
    assert inside(*BASE, "tiny", str(path)).stdout == inside(*BASE).stdout


def test_the_settings_line_repeats_several_samples(inside: Inside) -> None:
    """The line on standard error, typed as references and options, draws the same samples."""
    drawn = inside("sample", "tiny@100", "tiny", "--temperature", "0,0.7", "-n", "30")
    line = drawn.stderr.splitlines()[0].removeprefix("sample  ")
    references, *settings = line.split(", ")
    assert references.split() == ["tiny@100", "tiny@200"]
    assert settings[:2] == ["temperature 0,0.7", "top-k 5"]
    options = [word for each in settings for word in f"--{each}".split(" ")]
    again = inside("sample", *references.split(), "-n", "30", *options)
    assert again == drawn


def test_every_sample_of_a_count_is_labelled(inside: Inside) -> None:
    """With --count, each sample has the label of its combination, also when it is empty."""
    out = inside(*BASE, "tiny@100", "tiny@300", "--count", "3").stdout
    parts = labelled(out)
    assert [label for label, _ in parts] == ["tiny@100"] * 3 + ["tiny@300"] * 3
    alone = inside(*BASE, "tiny@300", "--count", "3").stdout
    assert "---\n".join(text for _, text in parts[3:]) == alone
    empty = inside(*BASE, "tiny@100", "tiny@300", "-n", "0", "--no-echo").stdout
    assert empty == "--- tiny@100\n--- tiny@300\n"


def test_json_has_an_object_for_each(inside: Inside, tmp_path: Path) -> None:
    """With --json, each object names its checkpoint and its temperature; a file has them all."""
    options = ("tiny@100", "tiny@300", "--temperature", "0.5,1", "--count", "2", "--json")
    out = inside(*BASE, *options).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["checkpoint"], row["settings"]["temperature"], row["sample"]) for row in rows] == [
        (f"tiny@{step}", temperature, sample)
        for step in (100, 300)
        for temperature in (0.5, 1)
        for sample in (0, 1)
    ]
    assert {row["seed"] for row in rows} == {3}
    assert inside(*BASE, *options, "-o", "out.jsonl") == (0, "", "")
    assert (tmp_path / "out.jsonl").read_text() == out


def test_a_random_seed_is_the_same_for_all(inside: Inside) -> None:
    """Without a seed, one is drawn for all samples."""
    base = ("sample", "tiny", "--temperature", "0.5,1", "-n", "5", "--json")
    rows = [json.loads(line) for line in inside(*base).stdout.splitlines()]
    assert len({row["seed"] for row in rows}) == 1


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        ("tiny --each 2", [100, 300]),
        ("tiny --each 3", [100, 200, 300]),
        ("--each 2", [100, 300]),
    ],
)
def test_checkpoints_spread_over_a_run(inside: Inside, words: str, steps: list[int]) -> None:
    """--each samples checkpoints of a run, from the first to the last."""
    code, out, err = inside(*BASE, *words.split())
    references = [f"tiny@{step}" for step in steps]
    assert (code, out, err) == inside(*BASE, *references)


def test_fewer_checkpoints_than_wanted(inside: Inside) -> None:
    """A run of fewer checkpoints is sampled whole, and its number is said."""
    code, out, err = inside("sample", "tiny", "--each", "9", "-n", "9", "--seed", "1")
    assert [label for label, _ in labelled(out)] == ["tiny@100", "tiny@200", "tiny@300"]
    assert (code, err) == (
        0,
        (
            "sample  tiny@100 tiny@200 tiny@300, temperature 1, top-k 5, seed 1\n"
            "note    run 'tiny' has only 3 checkpoints\n"
        ),
    )


def test_a_checkpoint_that_lacks_a_character(inside: Inside, tmp_path: Path) -> None:
    """The error names the checkpoint that lacks a character; nothing is drawn or written."""
    save(make_checkpoint(characters="\nabcdefghz", run="other"))
    options = ("-q", "-n", "5", "--prime", "az", "-o", "out.txt")
    assert inside("sample", "other", "tiny@100", *options) == (
        2,
        "",
        (
            "error: tiny@100: the vocabulary lacks 'z' (U+007A) at position 2\n"
            "hint: use only its 10 characters, or leave others out with --unknown skip\n"
        ),
    )
    assert not (tmp_path / "out.txt").exists()
    skipped = inside("sample", "other", "tiny@100", *options[:-2], "--unknown", "skip")
    primes = ("az", "a")
    for prime, (_, text) in zip(primes, labelled(skipped.stdout), strict=True):
        assert text.startswith(prime)
        assert len(text.removesuffix("\n")) in (len(prime) + 4, len(prime) + 5)


@pytest.mark.parametrize("source", ["prime.txt", "-"])
def test_a_prime_from_a_stream_is_for_all(inside: Inside, tmp_path: Path, source: str) -> None:
    """The prime from standard input or a file is read once, and continued by every model."""
    save(make_checkpoint(run="other"))
    (tmp_path / "prime.txt").write_text("ab")
    base = (*BASE[:-2], "other", "tiny", "--temperature", "0.5,1")
    expected = inside(*base, "--prime", "ab").stdout
    assert inside(*base, "--prime-file", source, stdin="ab").stdout == expected


def test_statistics_and_copies_of_each(inside: Inside, tmp_path: Path) -> None:
    """--stats and --check-copy report each combination under its label."""
    options = ("tiny@100", "tiny@300", "-n", "200", "--no-echo")
    (_, first), (_, second) = labelled(inside(*BASE, *options).stdout)
    (tmp_path / "source.txt").write_text(second)
    reported = (*options, "--stats", "--check-copy", "source.txt")
    code, out, err = inside(*BASE, *reported)
    assert (code, [text for _, text in labelled(out)]) == (0, [first, second])
    lines = err.splitlines()
    for reference, share in (("tiny@100", "0.0%"), ("tiny@300", "100.0%")):
        assert f"copied  {reference}: {share} in spans of 30 or more characters" in lines
        assert sum(f"stats   {reference}: 200 characters in " in line for line in lines) == 1
    counted = inside(*BASE, *reported, "--count", "2")[2].splitlines()
    assert sum("copied  tiny@300, sample 1: " in line for line in counted) == 1


@given(st.lists(st.floats(0, 100), min_size=1, unique=True))
def test_temperatures_are_read_as_typed(temperatures: list[float]) -> None:
    """Numbers with commas between are read in their order."""
    assert parse_temperatures(",".join(map(repr, temperatures))) == tuple(temperatures)

"""`charrnn inspect`: the tables and the object for JSON."""

import json
import math
from pathlib import Path

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.text_score import score
from tests.helpers import Inside, make_checkpoint, make_item_checkpoint, save

TEXT = "head bad cab\nface\n" * 50


@pytest.fixture(autouse=True)
def text(tmp_path: Path) -> Path:
    """Write TEXT to a file."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def counting() -> None:
    """Save a model with n-grams, and one without."""
    save(make_checkpoint(run="plain"))
    config = ModelConfig(vocabulary_size=10, layers=2, size=4, embed=3, ngram=3)
    save(make_checkpoint(config, run="counting"))


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("name", ["plain", "counting"])
def test_the_object_has_every_character(inside: Inside, name: str) -> None:
    """The object has the surprise and the guesses of each character, and the mean is the score."""
    result = inside("inspect", name, "text.txt", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    checkpoint = load_checkpoint(name)
    bpc = score(checkpoint, TEXT).bits_per_character
    assert (found["text"], found["characters"]) == (TEXT, len(TEXT) - 1)
    assert found["bpc"] == pytest.approx(bpc, abs=1e-6)
    assert found["surprise"][0] is None
    assert math.fsum(found["surprise"][1:]) / (len(TEXT) - 1) == pytest.approx(bpc, abs=1e-4)
    assert found["guesses"][0] is None
    for guesses, shares in found["guesses"][1:]:
        assert (len(guesses), len(shares)) == (5, 5)
        assert shares == sorted(shares, reverse=True)
    for groups in (found["kinds"], [group for group in found["kinds"] if group["share"]]):
        assert sum(group["share"] for group in groups) == pytest.approx(1)
    has_ngrams = name == "counting"
    for field in ("ngram_bpc", "fivegram_bpc", "beyond_fivegrams", "ngram_surprise"):
        assert (found[field] is not None) == has_ngrams
    assert set(found["slowest"][0]) == {"layer", "unit", "part", "characters"}
    for unit in found["cells"]:
        assert set(unit) == {
            *("feature", "layer", "unit", "part"),
            *("r", "r_held_out", "r_chance"),
        }
        assert abs(unit["r_held_out"]) > max(0.2, unit["r_chance"])


@pytest.mark.usefixtures("counting")
def test_tables_have_the_numbers_of_the_object(inside: Inside) -> None:
    """The tables on standard output have the numbers of the object."""
    found = json.loads(inside("inspect", "counting", "text.txt", "--json").stdout)
    tables = inside("inspect", "counting", "text.txt").stdout.split("\n\n")
    totals, kinds, places, *_ = [
        [line.split("\t") for line in table.splitlines()] for table in tables
    ]
    assert totals == [
        ["checkpoint", "characters", "bpc", "n-grams", "5-grams", "beyond 5-grams"],
        [
            "counting@100",
            "899",
            f"{found['bpc']:.3f}",
            f"{found['ngram_bpc']:.3f}",
            f"{found['fivegram_bpc']:.3f}",
            f"{100 * found['beyond_fivegrams']['share']:.1f}%",
        ],
    ]
    for table, groups in ((kinds, found["kinds"]), (places, found["places"])):
        assert table[1:] == [
            [
                group["name"],
                f"{group['characters']:,}",
                f"{100 * group['share']:.1f}%",
                f"{group['bits']:.2f}",
                f"{group['ngram_bits']:.2f}",
            ]
            for group in groups
        ]


def test_items_are_inspected_one_by_one(inside: Inside) -> None:
    """For a model of items, each is read from its beginning, and its end has a kind."""
    checkpoint = make_item_checkpoint()
    save(checkpoint)
    found = json.loads(inside("inspect", "tiny", "text.txt", "--json").stdout)
    expected = score(checkpoint, TEXT)
    assert found["characters"] == expected.characters
    assert found["bpc"] == pytest.approx(expected.bits_per_character, abs=1e-6)
    (ends,) = [group for group in found["kinds"] if group["name"] == "end"]
    assert ends["characters"] == 100


def test_a_pattern_finds_its_unit(inside: Inside, tmp_path: Path) -> None:
    """A feature of --feature is looked for under its name."""
    text = "".join(f"{'ab' * (line % 7 + 1)} {'cd' * (line * 5 % 11)}\n" for line in range(300))
    (tmp_path / "words.txt").write_text(text)
    save(make_checkpoint(scale=1.0))
    result = inside("inspect", "tiny", "words.txt", "--feature", "letter c=c", "--json")
    assert "letter c" in [unit["feature"] for unit in json.loads(result.stdout)["cells"]]


def test_a_text_without_variation_has_no_units(inside: Inside, tmp_path: Path) -> None:
    """Where no feature varies, a line says that no unit follows one."""
    (tmp_path / "same.txt").write_text("b" * 200)
    save(make_checkpoint())
    result = inside("inspect", "tiny", "same.txt")
    assert result.returncode == 0
    assert result.stderr == (
        "units   none follows a feature of this text more closely than by chance\n"
    )


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "options", ["-o look.html --cells 3 --cell 1:2", "-o look.svg --cell 1:2:c"]
)
def test_the_suffix_chooses_a_page_or_a_picture(
    inside: Inside, tmp_path: Path, options: str
) -> None:
    """The file is written, with the unit that was asked for, and nothing is printed."""
    name = options.split()[1]
    result = inside("inspect", "counting", "text.txt", *options.split())
    written = (tmp_path / name).read_bytes()
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        f"wrote   {name}, {len(written) / 1000:.1f} kB\nnext    open ./{name} in a browser\n"
    )
    expected = b'"first":"1:2:h"' if name.endswith("html") else b"unit 1:2:c"
    assert expected in written


@pytest.mark.usefixtures("counting")
def test_an_existing_file_is_replaced_by_force_alone(inside: Inside, tmp_path: Path) -> None:
    """Without --force, an existing file stays as it is."""
    path = tmp_path / "look.svg"
    path.write_text("mine")
    refused = inside("inspect", "plain", "text.txt", "-o", "look.svg")
    assert refused == (
        1,
        "",
        "error: look.svg already exists\nhint: choose another file name, or use --force\n",
    )
    assert path.read_text() == "mine"
    assert inside("inspect", "plain", "text.txt", "-o", "look.svg", "--force").returncode == 0
    assert path.read_bytes().startswith(b"<svg")


@pytest.mark.usefixtures("counting")
def test_standard_output_gets_the_page(inside: Inside, tmp_path: Path) -> None:
    """The page on standard output is that of a file."""
    inside("inspect", "plain", "text.txt", "-o", "look.html")
    result = inside("inspect", "plain", "text.txt", "-o", "-")
    assert result == (0, (tmp_path / "look.html").read_text("utf-8"), "")


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        ("-o a.svg --cell 2:0", "the model has no layer 2", "use layer from 0 to 1"),
        ("-o a.svg --cell 0:4", "the model has no unit 4", "use unit from 0 to 3"),
        ("-o a.svg --cells 9", "--cells does not apply to .svg files", "leave out --cells"),
        ("--cell 0:1", "--cell requires --output FILE", "leave out --cell"),
        (
            "-o a.pdf",
            "no format has files that end in '.pdf'",
            "use a name that ends in .html or .svg",
        ),
    ],
)
def test_files_that_cannot_be_made(
    inside: Inside, tmp_path: Path, options: str, problem: str, hint: str
) -> None:
    """A unit that the model lacks, and an option or name that does not fit, are errors."""
    result = inside("inspect", "counting", "text.txt", *options.split())
    assert result == (2, "", f"error: {problem}\nhint: {hint}\n")
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.usefixtures("counting")
def test_a_page_and_an_object_are_two_commands(inside: Inside) -> None:
    """--output and --json exclude each other."""
    result = inside("inspect", "plain", "text.txt", "-o", "-", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert json.loads(result.stderr) == {
        "error": "--output cannot be combined with --json",
        "hint": "leave out --json",
        "exit_code": 2,
    }

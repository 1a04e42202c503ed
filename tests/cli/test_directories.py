"""Directories and lists as texts: which files are read, and what is said about them."""

import json
import shlex
from pathlib import Path

import pytest

from tests.helpers import FAST, STORY, Inside


def write(root: Path, *names: str) -> None:
    """Write a different text to each file."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number} " + STORY)


def lines(text: str, *labels: str) -> list[str]:
    """The lines with these labels."""
    return [line for line in text.splitlines() if line.split(" ")[0] in labels]


def test_the_files_are_counted_and_listed(inside: Inside, tmp_path: Path) -> None:
    """The files are counted by suffix, and listed by `encode` and by a dry run of `train`."""
    write(tmp_path / "books", "a.txt", "b.md", "c/d.txt", "e.svg", "f.svg", "g.png")
    counted = "files   2 .txt, 1 .md; left out 2 .svg, 1 .png"
    listed = ["file    a.txt", "file    b.md", "file    c/d.txt"]
    code, out, err = inside("encode", "books")
    assert (code, err) == (0, "next    charrnn train books.encoded.safetensors\n")
    assert lines(out, "files", "file") == [counted, *listed]
    for text in ("books", "books.encoded.safetensors"):
        err = inside("train", text, "--dry-run", *FAST)[2]
        assert lines(err, "files", "file") == [counted, *listed]
    err = inside("train", "books", *FAST, "--max-steps", "1")[2]
    assert lines(err, "files", "file") == [counted]
    facts = json.loads(inside("encode", "books", "--json", "-o", "other.safetensors")[1])
    assert facts["files"] == {".txt": 2, ".md": 1}
    assert facts["left_out"] == {".svg": 2, ".png": 1}


def test_a_long_list_is_cut(inside: Inside, tmp_path: Path) -> None:
    """Twenty files are listed, and the others are counted."""
    write(tmp_path / "books", *(f"{number:02}.txt" for number in range(23)))
    out = inside("encode", "books")[1]
    assert lines(out, "file")[19:] == ["file    19.txt", "file    and 3 more"]


def test_a_file_named_alone_is_not_listed(inside: Inside, story: Path) -> None:
    """Files that were named one by one are neither counted nor listed."""
    assert lines(inside("encode", str(story))[1], "files", "file") == []


def test_everything_can_be_read(inside: Inside, tmp_path: Path) -> None:
    """--include '*' reads files of any suffix, and the option survives --print-config."""
    write(tmp_path / "books", "a.txt", "b.svg")
    facts = json.loads(inside("encode", "books", "--include", "*", "--json")[1])
    assert (facts["files"], facts["left_out"]) == ({".txt": 1, ".svg": 1}, {})
    printed = inside("train", "books", "--include", "*,!a.txt", *FAST, "--print-config")[1]
    (tmp_path / "run.toml").write_text(printed)
    err = inside("train", "--config", "run.toml", "--dry-run")[2]
    assert lines(err, "files") == ["files   1 .svg; left out 1 .txt"]
    assert "include" not in inside("train", "books", "--print-config")[1]


def test_a_new_file_that_is_left_out_is_counted(inside: Inside, tmp_path: Path) -> None:
    """The count of files that are left out is that of today, also if the text was cached."""
    write(tmp_path / "books", "a.txt")
    assert lines(inside("train", "books", "--dry-run", *FAST)[2], "files") == ["files   1 .txt"]
    write(tmp_path / "books", "a.txt", "b.svg")
    assert lines(inside("train", "books", "--dry-run", *FAST)[2], "files") == [
        "files   1 .txt; left out 1 .svg"
    ]


def test_the_hint_for_a_directory_without_texts(inside: Inside, tmp_path: Path) -> None:
    """The option in the hint reads the files that are there."""
    write(tmp_path / "pictures", "a.svg", "b.svg", "c.png")
    code, out, err = inside("encode", "pictures")
    assert (code, out, err) == (
        2,
        "",
        (
            "error: no file in pictures is a text; it has 2 .svg, 1 .png\n"
            "hint: choose files with --include, for example --include '*.svg'\n"
        ),
    )
    option = shlex.split(err.rpartition("for example ")[2])
    assert inside("encode", "pictures", *option)[0] == 0


@pytest.mark.parametrize(
    ("names", "typed", "advice", "left"),
    [
        (
            ["train.txt", "valid.txt"],
            [],
            (
                "the text includes valid.txt; "
                "leave it out with --include '!valid.txt', and train with --val FILE"
            ),
            {".txt": 1},
        ),
        (
            ["a.md", "b.txt", "Dev.md", "x/test.md"],
            ["--include", "*.md"],
            (
                "the text includes Dev.md and test.md; "
                "leave them out with --include '*.md,!Dev.md,!test.md', "
                "and train with --val FILE and --test FILE"
            ),
            {".md": 1},
        ),
    ],
)
def test_a_validation_file_in_a_directory(
    inside: Inside,
    tmp_path: Path,
    names: list[str],
    typed: list[str],
    advice: str,
    left: dict[str, int],
) -> None:
    """A validation file is named with the option that leaves it out, and that option works."""
    write(tmp_path / "books", *names)
    err = inside("encode", "books", *typed, "--json")[2]
    assert err == f"advice  {advice}\n"
    assert lines(inside("train", "books", *typed, "--dry-run", *FAST)[2], "advice")[0] == (
        f"advice  {advice}"
    )
    option = shlex.split(advice.partition(" out with ")[2].partition(", and ")[0])
    code, out, err = inside("encode", "books", *option, "--json", "-o", "other.safetensors")
    assert (code, err) == (0, "")
    assert json.loads(out)["files"] == left


def test_copies(inside: Inside, tmp_path: Path) -> None:
    """A copy is left out and named, in a directory, in a list, and if a path is named twice."""
    write(tmp_path / "books", "a.txt")
    (tmp_path / "books" / "b.txt").write_text("0 " + STORY)
    (tmp_path / "a.txt").write_text("0 " + STORY)
    length = len(STORY) + 2
    for texts, skipped in (
        (["books"], "b.txt: is a copy of a.txt"),
        (["books/a.txt", "books/b.txt"], "b.txt: is a copy of a.txt"),
        (["books/a.txt", "books/a.txt"], "a.txt: was read already"),
        (["books/a.txt", "a.txt"], "a.txt: was read already"),
    ):
        code, out, err = inside(
            "encode", *texts, "--json", "-o", f"{len(list(tmp_path.iterdir()))}"
        )
        assert (code, err) == (0, f"skipped {skipped}\n")
        assert json.loads(out)["characters"] == length
        err = inside("train", *texts, "--dry-run", *FAST)[2]
        assert f"skipped {skipped}\n" in err
        err = inside("train", *texts, "--dry-run", "--keep-duplicates", *FAST)[2]
        assert f": {2 * length:,} characters" in err
        assert "skipped" not in err


def test_a_repeated_text_is_a_warning(inside: Inside, tmp_path: Path) -> None:
    """A validation text that also stands in the training text is a warning before training."""
    (tmp_path / "twice.txt").write_text(STORY)
    warning = (
        "warning about 100% of the validation text also stands in the training text: "
        "val loss will be too low; remove the copies from the text"
    )
    for options in (["--dry-run"], ["--max-steps", "50"]):
        err = inside("train", "twice.txt", *FAST, *options)[2]
        assert lines(err, "warning") == [warning]
        alone = ["--val-fraction", "0", *options]
        assert lines(inside("train", "twice.txt", *FAST, *alone)[2], "warning") == []

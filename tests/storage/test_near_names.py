"""The known names that a misspelt one resembles."""

from pathlib import Path

import pytest

from charrnn_cli.storage.near_names import near_files_hint, near_names

OPTIONS = [
    *("--val-fraction", "--val-split", "--ema", "--lr", "--layers", "--clip"),
    *("--batch-size", "--seed", "--size"),
]


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("--val", ["--val-fraction", "--val-split"]),
        ("--val-fractoin", ["--val-fraction"]),
        ("--lairs", ["--layers"]),
        ("--batch_size", ["--batch-size"]),
        ("--LR", ["--lr"]),
        ("--sede", ["--seed"]),
        ("--frobnicate", []),
        ("--", []),
        ("", []),
    ],
)
def test_names_that_begin_alike_come_first(typed: str, near: list[str]) -> None:
    """A beginning names all that it begins; otherwise, names of similar spelling are found."""
    assert near_names(typed, OPTIONS) == near


def test_a_common_beginning_is_narrowed_down() -> None:
    """Among more names than wanted that begin alike, the most similar are returned."""
    known = ["seed", "seek", "see-also-other-names", "size"]
    assert near_names("see", known, 2) == ["seek", "seed"]
    assert near_names("s", known) == []


def test_files_of_a_similar_name(tmp_path: Path) -> None:
    """A missing file is answered with files beside it that begin with the same letter."""
    for name in ("anna.txt", "my story.txt", "latin.txt"):
        (tmp_path / name).touch()
    for typed, hint in (
        ("anna", f"did you mean {tmp_path}/anna.txt?"),
        ("Anna.txt", f"did you mean {tmp_path}/anna.txt?"),
        ("my_story.txt", f"did you mean '{tmp_path}/my story.txt'?"),
        ("missing.txt", "check the spelling"),
        ("nowhere/anna.txt", "check the spelling"),
    ):
        assert near_files_hint(tmp_path / typed) == hint

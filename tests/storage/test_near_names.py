"""The known names that a misspelt one resembles."""

import pytest

from charrnn_cli.storage.near_names import near_names

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

"""Numbers and durations as people read them."""

import pytest

from charrnn_cli.cli.terminal.formats import (
    format_age,
    format_both_units,
    format_duration,
    format_loss,
    format_scale,
    format_size,
    sparkline,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (format_duration(42.4), "42 s"),
        (format_duration(59.6), "1:00"),
        (format_duration(571), "9:31"),
        (format_duration(7500), "2:05:00"),
        (format_duration(-1), "0 s"),
        (format_size(999), "999 B"),
        (format_size(1234), "1.2 kB"),
        (format_size(314_000), "314 kB"),
        (format_size(2.5e15), "2500 TB"),
        (format_age(-5), "now"),
        (format_age(30), "30 s ago"),
        (format_age(300), "5 min ago"),
        (format_age(7200), "2 h ago"),
        (format_age(200_000), "2 d ago"),
        (format_loss(1.23456), "1.235"),
        (format_loss(None), "–"),
        (format_both_units(1.0467), "1.047 (1.51 bpc)"),
        (format_both_units(1.0467, 2, unit=""), "1.05 (1.51)"),
        (format_both_units(None), "–"),
    ],
)
def test_formats(written: str, expected: str) -> None:
    """Each quantity is written in the unit that keeps it short."""
    assert written == expected


def test_a_scale_has_both_units() -> None:
    """The scale starts with the highest loss, and only the first loss names the unit of bits."""
    bits = {"lzma": 2.0, "uniform": 6.0, "3-gram": 3.0}
    assert format_scale(bits) == [
        "uniform 4.16 (6.00 bpc)",
        "3-gram 2.08 (3.00)",
        "lzma 1.39 (2.00)",
    ]


def test_a_sparkline_fills_its_width() -> None:
    """Few values are repeated and many are skipped; the first and the last are always drawn."""
    assert sparkline([1.0, 3.0], width=4) == "▁▁██"
    assert sparkline([3.0, *[2.0] * 99, 1.0], width=3) == "█▅▁"
    assert sparkline([2.0, 2.0], width=3) == "▁▁▁"

"""Colors of characters by their surprise."""

import re

import pytest

from charrnn_cli.cli.terminal.surprise_colors import SHADES, SurpriseColors, legend

BIT = -0.6931471805599453


def luminance(code: int) -> float:
    """The relative luminance of a 256-color code, as WCAG defines it."""
    levels, place = (0, 95, 135, 175, 215, 255), code - 16
    channels = [8 + 10 * (code - 232)] * 3
    if code < 232:
        channels = [levels[place // 36], levels[place // 6 % 6], levels[place % 6]]
    linear = [
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_shade_is_readable_on_black_and_on_white() -> None:
    """No shade has a contrast below 3.9 on either background, and no two are the same."""
    for code in SHADES:
        assert (luminance(code) + 0.05) / 0.05 >= 3.9, code
        assert 1.05 / (luminance(code) + 0.05) >= 3.9, code
    assert len(set(SHADES)) == len(SHADES)


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "\u0915\u094d\u200d\u0937",
        "\u2764\ufe0f",
        "\U0001f469\u200d\U0001f4bb",
        "م\u200f",
    ],
    ids=["accent", "virama", "variation", "emoji", "mark"],
)
def test_what_is_drawn_together_has_one_color(cluster: str) -> None:
    """No escape sequence separates a base character from what combines with it."""
    text = f"a{cluster}b"
    colors = SurpriseColors()
    shown = "".join(colors.add(character, [BIT]) for character in text) + colors.finish()
    assert re.findall(r"\x1b\[38;5;66m([^\x1b]+)\x1b\[0m", shown) == ["a", cluster, "b"]


def test_a_cluster_has_the_color_of_its_most_surprising_character() -> None:
    """The color is that of the largest surprise; more than eight bits have that of eight."""
    colors = SurpriseColors()
    shown = colors.add("e\u0301x\ny", [0.0, 3 * BIT, 99 * BIT, BIT, float("-inf")])
    shown += colors.finish()
    codes = [int(code) for code in re.findall(r"\x1b\[38;5;(\d+)m", shown)]
    assert codes == [SHADES[3], SHADES[8], SHADES[8]]
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == "e\u0301x\ny"


def test_the_legend_names_all_bits() -> None:
    """The legend shows every shade with its bits; without colors, it is in words."""
    assert re.findall(r"\x1b\[38;5;(\d+)m(\d)", legend(colored=True)) == [
        (str(code), str(bits)) for bits, code in enumerate(SHADES)
    ]
    assert "\x1b" not in legend(colored=False)

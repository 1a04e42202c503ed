"""Readable numbers, losses, durations and sizes."""

from collections.abc import Mapping

from charrnn_cli.units import bits_per_character, nats_per_character

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 32  # leaves room for a label and two losses on 60 columns
UNKNOWN = "–"


def format_number(value: float | None, spec: str) -> str:
    """Format a number; None is a dash."""
    return UNKNOWN if value is None else f"{value:{spec}}"


def format_setting(value: object) -> str:
    """Format a setting's value: a fraction has four digits, unless they would round it to 1."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer() or abs(value) >= 1000:
            return f"{value:.0f}"
        case float() if (rounded := f"{value:.4g}") != "1":
            return rounded
    return str(value)


def format_loss(value: float | None) -> str:
    """Format a loss with three decimals; None is a dash."""
    return format_number(value, ".3f")


def format_both_units(nats: float | None, digits: int = 3, unit: str = " bpc") -> str:
    """Format a loss in nats, then in bits: `1.047 (1.51 bpc)`; None is a dash."""
    if nats is None:
        return UNKNOWN
    return f"{nats:.{digits}f} ({bits_per_character(nats):.2f}{unit})"


def format_scale(bits_by_name: Mapping[str, float]) -> list[str]:
    """Format the bits per character of simple models, the highest first, as a list of losses.

    Only the first names the unit: `uniform 4.42 (6.38 bpc)`, `unigram 3.11 (4.48)`.
    """
    ordered = sorted(bits_by_name.items(), key=lambda item: -item[1])
    return [
        f"{name} {format_both_units(nats_per_character(bits), 2, '' if number else ' bpc')}"
        for number, (name, bits) in enumerate(ordered)
    ]


def format_duration(seconds: float) -> str:
    """Format seconds as `42 s`, `9:31` or `2:05:00`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def format_count(number: int, noun: str) -> str:
    """Format a number of things: `1 step`, `1,200 steps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_size(num_bytes: float) -> str:
    """Format bytes in decimal units: `1.2 MB` is 1,200,000 bytes."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while num_bytes >= 1000 and len(units) > 1:
        num_bytes /= 1000
        units.pop(0)
    return f"{num_bytes:.{0 if num_bytes >= 100 or units[0] == 'B' else 1}f} {units[0]}"


def format_age(seconds: float) -> str:
    """Format an age as `now`, `5 min ago` or `3 d ago`; `now` also if it is negative."""
    if seconds < 1:
        return "now"
    for limit, unit_seconds, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_seconds:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} d ago"


def sparkline(values: list[float], width: int = CURVE_WIDTH) -> str:
    """Draw the values as `width` block characters, lowest to highest.

    Values are skipped or repeated to fill the width; the first and the last are always drawn.
    """
    values = [values[round(index * (len(values) - 1) / (width - 1))] for index in range(width)]
    low, high = min(values), max(values)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in values)

"""Numbers and durations as people read and type them."""

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 32  # beside a label and two losses on 60 columns


def duration(seconds: float) -> str:
    """`42 s`, `9:31`, `2:05:00`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(num_bytes: float) -> str:
    """Decimal units, as disks are sold."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while num_bytes >= 1000 and len(units) > 1:
        num_bytes /= 1000
        units.pop(0)
    return f"{num_bytes:.{0 if num_bytes >= 100 or units[0] == 'B' else 1}f} {units[0]}"


def ago(seconds: float) -> str:
    """How long since; `now` also for a clock that went backwards."""
    if seconds < 1:
        return "now"
    for limit, unit_seconds, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_seconds:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} d ago"


def loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def sparkline(values: list[float], width: int = CURVE_WIDTH) -> str:
    """The values as `width` blocks, lowest to highest: thinned out or drawn out, the first and the last kept."""
    values = [values[round(index * (len(values) - 1) / (width - 1))] for index in range(width)]
    low, high = min(values), max(values)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in values)

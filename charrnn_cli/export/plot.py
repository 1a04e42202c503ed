"""Loss curves as a picture: SVG by hand, PNG by matplotlib where that is installed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from charrnn_cli.errors import ConfigError

WIDTH, HEIGHT = 800, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 48
MOST_POINTS = 400  # of a curve; more than the picture has room for
COLORS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2")

_STYLE = """
  svg { background: #ffffff; color: #1f2937; font: 13px system-ui, sans-serif }
  .grid { stroke: currentColor; stroke-opacity: 0.12 }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
  .train { stroke-width: 1.5; stroke-opacity: 0.55; stroke-dasharray: 4 3 }
  text { fill: currentColor }
  @media (prefers-color-scheme: dark) { svg { background: #111827; color: #e5e7eb } }
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses of a run by step."""

    label: str
    points: Sequence[tuple[float, float]]
    run: int
    """Curves of one run have one colour."""
    train: bool
    """Drawn lightly beside the validation's."""


def curves_of(metrics: Iterable[tuple[str, Sequence[dict[str, Any]]]]) -> list[Curve]:
    """The train and val curves of runs, from each one's name and its lines of metrics."""
    curves = []
    for number, (name, rows) in enumerate(metrics):
        for event, field, part in (
            ("StepLogged", "train_loss", "train"),
            ("Evaluated", "val_loss", "val"),
        ):
            points = [
                (float(row["step"]), float(row[field]))
                for row in rows
                if row["event"] == event
                and isinstance(row.get("step"), int)
                and isinstance(row.get(field), float)
                and math.isfinite(row[field])
            ]
            if points:
                curves.append(Curve(f"{name} {part}", _thinned(points), number, part == "train"))
    return curves


def render_plot(path: Path, title: str, curves: Sequence[Curve]) -> bytes:
    """The picture in the format that the file's name asks for. Raises ConfigError."""
    formats = {
        ".svg": lambda: to_svg(title, curves).encode(),
        ".png": lambda: to_png(title, curves),
    }
    draw = formats.get(path.suffix.lower())
    if draw is None:
        raise ConfigError(
            f"a plot is .svg or .png, not {path.name!r}", hint="for example --plot losses.svg"
        )
    if not curves:
        raise ConfigError(
            "no losses were recorded to plot", hint="train with validation, or for longer"
        )
    return draw()


def to_svg(title: str, curves: Sequence[Curve]) -> str:
    """A picture that needs nothing else, light or dark as its reader is."""
    last = max(x for curve in curves for x, _ in curve.points)
    low, high = _loss_range(curves)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / max(last, 1) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>']
    for y in _ticks(low, high):
        _, down = place(0, y)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{down + 4}" text-anchor="end">{y:g}</text>')
    for x in _ticks(0, last):
        across, _ = place(x, low)
        parts.append(
            f'<line class="grid" x1="{across}" x2="{across}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        parts.append(
            f'<text x="{across}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,.0f}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">step</text>'
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 16 {middle})"'
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" {turned}>loss, nats a character</text>'
    )
    area = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    parts.append(f'<clipPath id="area"><rect {area}/></clipPath>')
    for number, curve in enumerate(curves):
        color = COLORS[curve.run % len(COLORS)]
        kind = "curve train" if curve.train else "curve"
        line = " ".join(f"{x},{y}" for x, y in (place(*point) for point in curve.points))
        parts.append(
            f'<polyline class="{kind}" clip-path="url(#area)" stroke="{color}" points="{line}"/>'
        )
        for x, y in () if curve.train else (place(*point) for point in curve.points):
            parts.append(
                f'<circle clip-path="url(#area)" cx="{x}" cy="{y}" r="2.5" fill="{color}"/>'
            )
        height = TOP + 14 + 19 * number
        left = WIDTH - RIGHT - 12
        parts.append(
            f'<line class="{kind}" stroke="{color}" x1="{left - 28}" x2="{left}" y1="{height}" y2="{height}"/>'
        )
        label = f"{curve.label} {curve.points[-1][1]:.3f}"
        parts.append(
            f'<text x="{left - 34}" y="{height + 4}" text-anchor="end">{escape(label)}</text>'
        )
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title, quote=True)}">\n  <style>{_STYLE}  </style>\n  {body}\n</svg>\n'
    )


def to_png(title: str, curves: Sequence[Curve]) -> bytes:
    """The same by matplotlib, which is an extra. Raises ConfigError without it."""
    import io

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "a PNG needs matplotlib", hint="pip install 'charrnn[plot]', or --plot FILE.svg"
        ) from error
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        style = (
            {"linestyle": "--", "alpha": 0.6} if curve.train else {"marker": ".", "linewidth": 2}
        )
        xs, ys = zip(*curve.points, strict=True)
        label = f"{curve.label} {ys[-1]:.3f}".replace("$", r"\$")
        axes.plot(xs, ys, color=COLORS[curve.run % len(COLORS)], label=label, **style)
    axes.set(
        title=title.replace("$", r"\$"),
        xlabel="step",
        ylabel="loss, nats a character",
        ylim=_loss_range(curves),
    )
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=200)
    return picture.getvalue()


def _loss_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """From the lowest loss to what the curves were after their steep beginning."""
    values = [y for curve in curves for _, y in curve.points]
    late = [y for curve in curves for _, y in curve.points[len(curve.points) // 20 :]]
    low, high = min(values), max(late)
    margin = 0.05 * (high - low) or 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two bounds, about six of them."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return list(points)
    return [
        points[round(index * (len(points) - 1) / (MOST_POINTS - 1))] for index in range(MOST_POINTS)
    ]

"""Loss curves as an image: SVG without dependencies, or PNG with matplotlib."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.metrics_log import Metrics

WIDTH, HEIGHT = 800, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 48
MOST_POINTS = 400  # per curve; the image has no room for more
FLAT = 1e-6  # nats; losses that differ by less are drawn as a flat line
LOSS_LABEL = "loss (nats per character)"
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
    """Losses of a run, by step."""

    label: str
    points: Sequence[tuple[float, float]]
    """Steps and losses, in nats per character."""
    run: int
    """Number of the run; curves of one run have the same color."""
    train: bool
    """Whether this is the train loss, which is drawn lighter than the validation loss."""


def curves_of(runs: Iterable[tuple[str, Metrics]]) -> list[Curve]:
    """Return the train and val curves of runs, given each run's name and recorded losses."""
    curves = []
    for number, (name, metrics) in enumerate(runs):
        val_losses = [(event.step, event.val_loss) for event in metrics.evaluations]
        for part, points in (("train", metrics.running_losses), ("val", val_losses)):
            if points:
                curves.append(Curve(f"{name} {part}", _thinned(points), number, part == "train"))
    return curves


def render_plot(path: Path, title: str, curves: Sequence[Curve]) -> bytes:
    """Return the image in the format of the path's suffix.

    Raises ConfigError for any other suffix, without curves, or if matplotlib is missing.
    """
    formats = {
        ".svg": lambda: to_svg(title, curves).encode(),
        ".png": lambda: to_png(title, curves),
    }
    draw = formats.get(path.suffix.lower())
    if draw is None:
        raise ConfigError(
            f"a plot must be an .svg or .png file, not {path.name!r}", hint="use --plot losses.svg"
        )
    if not curves:
        raise ConfigError(
            "there are no losses to plot", hint="train with validation, or for more steps"
        )
    return draw()


def to_svg(title: str, curves: Sequence[Curve]) -> str:
    """Draw the curves as an SVG document that follows the viewer's light or dark theme."""
    frame = _Frame(max(x for curve in curves for x, _ in curve.points), *_loss_range(curves))
    title_text = f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>'
    parts = [title_text, *_svg_axes(frame)]
    for number, curve in enumerate(curves):
        parts += _svg_curve(frame, curve)
        parts += _svg_legend(number, curve)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    label = f'role="img" aria-label="{escape(title, quote=True)}"'
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>\n'
        f"  <style>{_STYLE}  </style>\n  {body}\n</svg>\n"
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """The axes: steps from 0 to `last`, losses from `low` to `high`."""

    last: float
    low: float
    high: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel coordinates of a step and a loss."""
        across = LEFT + x / max(self.last, 1) * (WIDTH - LEFT - RIGHT)
        down = TOP + (self.high - y) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)


def _svg_axes(frame: _Frame) -> list[str]:
    """Return grid lines with numbers, axis labels, and the area that clips the curves."""
    right, bottom, middle = WIDTH - RIGHT, HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    parts = []
    for y in _ticks(frame.low, frame.high):
        _, down = frame.place(0, y)
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{down}" y2="{down}"/>',
            f'<text x="{LEFT - 8}" y="{down + 4}" text-anchor="end">{y:g}</text>',
        ]
    for x in _ticks(0, frame.last):
        across, _ = frame.place(x, frame.low)
        parts += [
            f'<line class="grid" x1="{across}" x2="{across}" y1="{TOP}" y2="{bottom}"/>',
            f'<text x="{across}" y="{bottom + 18}" text-anchor="middle">{x:,.0f}</text>',
        ]
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle})"'
    area = f'x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}"'
    return [
        *parts,
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">step</text>',
        f'<text x="16" y="{middle}" {turned}>{LOSS_LABEL}</text>',
        f'<clipPath id="area"><rect {area}/></clipPath>',
    ]


def _svg_curve(frame: _Frame, curve: Curve) -> list[str]:
    """Return a line, and for validation a dot per evaluation."""
    places = [frame.place(*point) for point in curve.points]
    line = " ".join(f"{x},{y}" for x, y in places)
    parts = [f'<polyline {_svg_stroke(curve)} clip-path="url(#area)" points="{line}"/>']
    if not curve.train:
        fill = f'r="2.5" fill="{_color(curve)}"'
        parts += [f'<circle clip-path="url(#area)" cx="{x}" cy="{y}" {fill}/>' for x, y in places]
    return parts


def _svg_legend(number: int, curve: Curve) -> list[str]:
    """Return a row of the legend: a piece of the line, the label and the last loss."""
    height, left = TOP + 14 + 19 * number, WIDTH - RIGHT - 12
    ends = f'x1="{left - 28}" x2="{left}" y1="{height}" y2="{height}"'
    label = f"{curve.label} {curve.points[-1][1]:.3f}"
    return [
        f"<line {_svg_stroke(curve)} {ends}/>",
        f'<text x="{left - 34}" y="{height + 4}" text-anchor="end">{escape(label)}</text>',
    ]


def _svg_stroke(curve: Curve) -> str:
    kind = "curve train" if curve.train else "curve"
    return f'class="{kind}" stroke="{_color(curve)}"'


def _color(curve: Curve) -> str:
    return COLORS[curve.run % len(COLORS)]


def to_png(title: str, curves: Sequence[Curve]) -> bytes:
    """Draw the curves as a PNG. Raises ConfigError if matplotlib, an extra, is missing."""
    import io

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "PNG plots require matplotlib",
            hint="run `pip install matplotlib`, or use --plot FILE.svg",
        ) from error
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        style = (
            {"linestyle": "--", "alpha": 0.6} if curve.train else {"marker": ".", "linewidth": 2}
        )
        xs, ys = zip(*curve.points, strict=True)
        label = f"{curve.label} {ys[-1]:.3f}".replace("$", r"\$")
        axes.plot(xs, ys, color=_color(curve), label=label, **style)
    axes.set(
        title=title.replace("$", r"\$"),
        xlabel="step",
        ylabel=LOSS_LABEL,
        ylim=_loss_range(curves),
    )
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=200)
    return picture.getvalue()


def _loss_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the limits of the loss axis, without the steep start of the curves."""
    values = [y for curve in curves for _, y in curve.points]
    late = [y for curve in curves for _, y in curve.points[len(curve.points) // 20 :]]
    low, high = min(values), max(late)
    margin = 0.05 * (high - low) if high - low > FLAT else 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Return about six round numbers between two bounds."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    return [
        points[round(index * (len(points) - 1) / (MOST_POINTS - 1))] for index in range(MOST_POINTS)
    ]

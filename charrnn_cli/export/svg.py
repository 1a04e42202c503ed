"""Losses as an SVG document that follows the viewer's light or dark theme."""

from dataclasses import dataclass
from html import escape

from charrnn_cli.export.curves import LOSS_LABEL, Curve, Label, Losses, baseline_labels, ticks

WIDTH, PLOT_HEIGHT = 800, 368
LEFT, RIGHT, BOTTOM = 72, 20, 48
TITLE_HEIGHT, ROW_HEIGHT = 36, 20  # of the title, and of each run in the legend
AXIS_HEIGHT = 38  # of the numbers above the plot
DOT = 3
CHARACTER = 6.6  # width of a character of a label, in pixels
LABEL_GAP = 14  # between labels at the right edge

CURVE_STYLE = """
  .grid { stroke: currentColor; stroke-opacity: 0.12 }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
  .train { stroke-width: 1.5; stroke-opacity: 0.75; stroke-dasharray: 4 3 }
  .baseline { stroke: currentColor; stroke-opacity: 0.5; stroke-dasharray: 1 3 }
  .leader { stroke: currentColor; stroke-opacity: 0.5 }
  .best { fill: none; stroke-width: 2 }
  text { fill: currentColor }
  .small { font-size: 11px; fill-opacity: 0.85 }
"""
"""The style of `to_inline_svg`, for the page around it."""

_STYLE = f"""
  svg {{ background: #ffffff; color: #1f2937; font: 13px system-ui, sans-serif }}{CURVE_STYLE}\
  @media (prefers-color-scheme: dark) {{ svg {{ background: #111827; color: #e5e7eb }} }}
"""


def to_svg(losses: Losses) -> str:
    """Draw the losses as a document of its own, with a title."""
    large = f'x="{LEFT}" y="24" font-size="15" font-weight="600"'
    return _drawn(
        losses,
        TITLE_HEIGHT,
        f"<style>{_STYLE}  </style>",
        f"<text {large}>{escape(losses.title)}</text>",
    )


def to_inline_svg(losses: Losses) -> str:
    """Draw the losses as an element of a page, which has their title and CURVE_STYLE."""
    return _drawn(losses, 0)


def _drawn(losses: Losses, title_height: int, *first: str) -> str:
    """Return an element, whose legend begins below the title."""
    frame = _Frame.of(losses, title_height)
    parts = [*first, *_axes(frame), *_epochs(frame, losses), *_baselines(frame, losses)]
    for curve in losses.curves:
        parts += _curve(frame, curve)
    parts += _legend(losses, title_height)
    height = frame.bottom + BOTTOM
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    label = f'role="img" aria-label="{escape(losses.title, quote=True)}"'
    body = "\n  ".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>\n  {body}\n</svg>\n'


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's place in pixels, and its axes: steps from 0 to `last`, losses `low` to `high`."""

    top: int
    right: int
    last: float
    low: float
    high: float
    labels: list[Label]

    @classmethod
    def of(cls, losses: Losses, title_height: int) -> "_Frame":
        rows = len({curve.run for curve in losses.curves})
        top = title_height + ROW_HEIGHT * rows
        top += 12 if losses.steps_per_epoch is None else AXIS_HEIGHT
        labels = baseline_labels(losses, LABEL_GAP / PLOT_HEIGHT)
        widest = max((len(label.text) for label in labels), default=0)
        margin = round(CHARACTER * widest) + 20 if widest else 0
        return cls(top, WIDTH - RIGHT - margin, losses.last_step, *losses.loss_range(), labels)

    @property
    def bottom(self) -> int:
        return self.top + PLOT_HEIGHT

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel coordinates of a step and a loss."""
        across = LEFT + x / max(self.last, 1) * (self.right - LEFT)
        down = self.top + (self.high - y) / (self.high - self.low) * PLOT_HEIGHT
        return round(across, 1), round(down, 1)


def _axes(frame: _Frame) -> list[str]:
    """Return grid lines with numbers, axis labels, and the area that clips the curves."""
    right, bottom, middle = frame.right, frame.bottom, frame.top + PLOT_HEIGHT / 2
    parts = []
    for y in ticks(frame.low, frame.high):
        _, down = frame.place(0, y)
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{down}" y2="{down}"/>',
            f'<text x="{LEFT - 8}" y="{down + 4}" text-anchor="end">{y:g}</text>',
        ]
    for x in ticks(0, frame.last):
        across, _ = frame.place(x, frame.low)
        parts += [
            f'<line class="grid" x1="{across}" x2="{across}" y1="{frame.top}" y2="{bottom}"/>',
            f'<text x="{across}" y="{bottom + 18}" text-anchor="middle">{x:,.0f}</text>',
        ]
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle})"'
    wide = f'x="{LEFT - DOT}" width="{right - LEFT + 2 * DOT}"'  # dots at the edges stay whole
    area = f'{wide} y="{frame.top}" height="{PLOT_HEIGHT}"'
    return [
        *parts,
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 38}" text-anchor="middle">step</text>',
        f'<text x="16" y="{middle}" {turned}>{LOSS_LABEL}</text>',
        f'<clipPath id="area"><rect {area}/></clipPath>',
    ]


def _epochs(frame: _Frame, losses: Losses) -> list[str]:
    """Return the second axis, above the plot."""
    if losses.steps_per_epoch is None:
        return []
    parts = []
    for epoch in ticks(0, frame.last / losses.steps_per_epoch):
        across, _ = frame.place(epoch * losses.steps_per_epoch, frame.high)
        ends = f'x1="{across}" x2="{across}" y1="{frame.top - 4}" y2="{frame.top}"'
        parts += [
            f'<line class="leader" {ends}/>',
            f'<text x="{across}" y="{frame.top - 8}" text-anchor="middle">{epoch:g}</text>',
        ]
    middle = (LEFT + frame.right) / 2
    return [*parts, f'<text x="{middle}" y="{frame.top - 24}" text-anchor="middle">epoch</text>']


def _baselines(frame: _Frame, losses: Losses) -> list[str]:
    """Return a line per baseline in the plot, and the names of all at the right edge."""
    parts = []
    for label in frame.labels:
        down = round(frame.top + label.height * PLOT_HEIGHT, 1)
        if label.line is not None:
            line = round(frame.top + label.line * PLOT_HEIGHT, 1)
            ends = f'x1="{LEFT}" x2="{frame.right}" y1="{line}" y2="{line}"'
            lead = f'x1="{frame.right}" x2="{frame.right + 10}" y1="{line}" y2="{down}"'
            parts += [f'<line class="baseline" {ends}/>', f'<line class="leader" {lead}/>']
        place = f'class="small" x="{frame.right + 13}" y="{down + 4}"'
        parts.append(f"<text {place}>{escape(label.text)}</text>")
    return parts


def _curve(frame: _Frame, curve: Curve) -> list[str]:
    """Return a line, a dot per evaluation of the validation text, and a ring around the best."""
    places = [frame.place(*point) for point in curve.points]
    line = " ".join(f"{x},{y}" for x, y in places)
    parts = [f'<polyline {_stroke(curve)} clip-path="url(#area)" points="{line}"/>']
    if not curve.train or len(places) == 1:  # a line of one point is not visible
        fill = f'r="2.5" fill="{curve.color}"'
        parts += [f'<circle clip-path="url(#area)" cx="{x}" cy="{y}" {fill}/>' for x, y in places]
    if curve.best is not None:
        x, y = frame.place(*curve.best)
        parts.append(f'<circle class="best" stroke="{curve.color}" cx="{x}" cy="{y}" r="6"/>')
    return parts


def _legend(losses: Losses, title_height: int) -> list[str]:
    """Return a row per run: a piece of each line and its label, and the best evaluation."""
    parts: list[str] = []
    widest = CHARACTER * max(len(curve.name) for curve in losses.curves) + 20
    for row, run in enumerate(dict.fromkeys(curve.run for curve in losses.curves)):
        down, across = title_height + ROW_HEIGHT * row + 8, float(LEFT)
        curves = [curve for curve in losses.curves if curve.run == run]
        if curves[0].name:
            parts.append(f'<text x="{across}" y="{down + 4}">{escape(curves[0].name)}</text>')
            across += widest
        for curve in curves:
            ends = f'x1="{across}" x2="{across + 26}" y1="{down}" y2="{down}"'
            parts.append(f"<line {_stroke(curve)} {ends}/>")
            parts.append(f'<text x="{across + 32}" y="{down + 4}">{escape(curve.legend)}</text>')
            across = round(across + 32 + CHARACTER * len(curve.legend) + 26, 1)
            if curve.best is not None:
                ring = f'class="best" stroke="{curve.color}" cx="{across}" cy="{down}" r="6"'
                parts.append(f"<circle {ring}/>")
                parts.append(f'<text x="{across + 12}" y="{down + 4}">{curve.best_legend}</text>')
    return parts


def _stroke(curve: Curve) -> str:
    kind = "curve train" if curve.train else "curve"
    return f'class="{kind}" stroke="{curve.color}"'

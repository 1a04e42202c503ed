"""What a picture of losses shows: curves, baselines, and the ranges of the axes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from charrnn_cli.events import Evaluated
from charrnn_cli.storage.metrics_log import Metrics
from charrnn_cli.units import nats_per_character

MOST_POINTS = 400  # per curve; the image has no room for more
MOST_NAME, MOST_TITLE = 32, 70  # characters of a run's name in the legend, and of the title
BASELINE_ROOM = 0.5  # of the height of the curves, above them and below them
FLAT = 1e-6  # nats; losses that differ by less are drawn as a flat line
SAME = 0.01  # relative; epochs of lengths that differ by less have one axis
LOSS_LABEL = "loss (nats per character)"
COLORS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2")

Point = tuple[float, float]
"""A step and a loss, in nats per character."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses of a run, by step."""

    label: str
    points: Sequence[Point]
    name: str
    """The run's name; empty in a picture of one run, which has it as its title."""
    run: int
    """Number of the run; curves of one run have the same color."""
    train: bool
    """Whether this is the train loss, which is drawn lighter than the validation loss."""
    best: Point | None = None
    """The evaluation with the lowest validation loss, to be marked."""

    @property
    def color(self) -> str:
        return COLORS[self.run % len(COLORS)]

    @property
    def legend(self) -> str:
        """The label and the last loss."""
        return f"{self.label} {self.points[-1][1]:.3f}"

    @property
    def best_legend(self) -> str:
        """The lowest loss and its step."""
        assert self.best is not None
        return f"best {self.best[1]:.3f} at step {self.best[0]:,.0f}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple model's loss on the validation text, in nats per character."""

    name: str
    loss: float


@dataclass(frozen=True, slots=True)
class Losses:
    """Everything that a picture shows."""

    title: str
    curves: Sequence[Curve]
    baselines: Sequence[Baseline] = ()
    """The highest first."""
    steps_per_epoch: float | None = None
    """None unless all runs have epochs of one length."""

    @property
    def last_step(self) -> float:
        return max(x for curve in self.curves for x, _ in curve.points)

    def loss_range(self) -> Point:
        """Return the limits of the loss axis, without the steep start of the curves.

        Baselines have at most half as much room above the curves, and below them, as the curves.
        """
        values = [y for curve in self.curves for _, y in curve.points]
        late = [y for curve in self.curves for _, y in curve.points[len(curve.points) // 20 :]]
        low, high = min(values), max(late)
        margin = 0.05 * (high - low) if high - low > FLAT else 0.1
        low, high = low - margin, high + margin
        room = BASELINE_ROOM * (high - low)
        near = [each.loss for each in self.baselines if low - room < each.loss < high + room]
        return min([low, *(loss - margin for loss in near)]), max(
            [high, *(loss + margin for loss in near)]
        )


@dataclass(frozen=True, slots=True)
class Label:
    """A baseline's label at the right edge; heights are fractions from the top of the plot."""

    text: str
    height: float
    line: float | None
    """Height of the baseline's line; None if the line is above or below the plot."""


def losses_of(runs: Iterable[tuple[str, Metrics]]) -> Losses:
    """Return the picture of runs, given each run's name and recorded losses.

    The train loss is that of the evaluations or, without any, the running loss in training.
    Baselines are shown if they are those of all runs that have some.
    """
    runs = list(runs)
    curves: list[Curve] = []
    for number, (name, metrics) in enumerate(runs):
        curves += _curves(cut(name, MOST_NAME) if len(runs) > 1 else "", number, metrics)
    scales = [metrics.scale for _, metrics in runs if metrics.scale]
    scale = scales[0] if scales and all(each == scales[0] for each in scales) else {}
    baselines = [Baseline(name, nats_per_character(bits)) for name, bits in scale.items()]
    lengths = [_steps_per_epoch(metrics.evaluations) for _, metrics in runs]
    first = lengths[0] if lengths else None
    is_same = first is not None and all(
        each is not None and math.isclose(each, first, rel_tol=SAME) for each in lengths
    )
    return Losses(
        cut(", ".join(name for name, _ in runs), MOST_TITLE),
        curves,
        sorted(baselines, key=lambda each: -each.loss),
        first if is_same else None,
    )


def _curves(name: str, number: int, metrics: Metrics) -> list[Curve]:
    evaluations = metrics.evaluations
    if not evaluations:
        running = _thinned(metrics.running_losses)
        return [Curve("running", running, name, number, True)] if running else []
    lowest = min(evaluations, key=lambda event: event.val_loss)
    train = _thinned([(event.step, event.train_loss) for event in evaluations])
    val = _thinned([(event.step, event.val_loss) for event in evaluations])
    return [
        Curve("train", train, name, number, True),
        Curve("val", val, name, number, False, (lowest.step, lowest.val_loss)),
    ]


def _steps_per_epoch(evaluations: Sequence[Evaluated]) -> float | None:
    last = evaluations[-1] if evaluations else None
    return last.step / last.epoch if last is not None and last.epoch > 0 and last.step else None


def baseline_labels(losses: Losses, gap: float) -> list[Label]:
    """Place the labels of the baselines, at least `gap` of the plot's height apart."""
    low, high = losses.loss_range()
    heights = [(high - each.loss) / (high - low) for each in losses.baselines]
    placed = _spread([min(max(height, 0.0), 1.0) for height in heights], gap)
    labels = []
    for baseline, height, place in zip(losses.baselines, heights, placed, strict=True):
        text = f"{baseline.name} {baseline.loss:.2f}"
        arrow = "↑ " if height < 0 else "↓ " if height > 1 else ""
        labels.append(Label(arrow + text, place, None if arrow else height))
    return labels


def cut(text: str, limit: int) -> str:
    """Cut the middle of a text that is too long; the ends of names differ."""
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def ticks(low: float, high: float) -> list[float]:
    """Return about six round numbers between two bounds."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move sorted heights apart, downward first, and up again from the lower edge."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    edge = 1.0
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], edge)
        edge = placed[index] - gap
    return placed


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= MOST_POINTS:
        return points
    return [
        points[round(index * (len(points) - 1) / (MOST_POINTS - 1))] for index in range(MOST_POINTS)
    ]

"""Losses as pictures."""

import importlib.util
import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from charrnn_cli.errors import ConfigError
from charrnn_cli.events import Evaluated
from charrnn_cli.export.curves import (
    MOST_POINTS,
    Curve,
    Losses,
    baseline_labels,
    losses_of,
)
from charrnn_cli.export.plot import render_plot
from charrnn_cli.storage.metrics_log import Metrics

SCALE = {"uniform": 6.0, "5-gram": 4.4, "8-gram": 4.3}
HOSTILE = "<b>&\"'$x$"


def metrics(
    number: int, *, per_epoch: float = 50, scale: dict[str, float] | None = None
) -> Metrics:
    """Make evaluations whose val loss is lowest at three quarters of them."""
    evaluations = [
        Evaluated(
            step=step,
            epoch=step / per_epoch,
            train_loss=3.0 - step / number,
            val_loss=3.2 - step / number + max(0.0, 2 * (step / number - 0.75)),
            best=True,
            seconds=1.0,
        )
        for step in range(1, number + 1)
    ]
    running = [(step, 4.0 - step / number) for step in range(1, number + 1)]
    return Metrics(running, evaluations, scale or {})


def elements(losses: Losses, kind: str) -> list[ET.Element]:
    root = ET.fromstring(render_plot(Path("x.svg"), losses))
    return [element for element in root if element.tag.endswith("}" + kind)]


def texts(losses: Losses) -> list[str]:
    return [element.text or "" for element in elements(losses, "text")]


def test_curves_are_the_evaluations() -> None:
    """A run has the train and val losses of its evaluations, and its best one is marked."""
    train, val = losses_of([("run", metrics(1000))]).curves
    assert (train.label, val.label, train.name) == ("train", "val", "")
    assert len(train.points) == len(val.points) == MOST_POINTS
    assert (train.points[0], train.points[-1]) == ((1, 2.999), (1000, 2.0))
    assert train.best is None
    assert val.best == pytest.approx((750, 2.45))
    assert val.legend == "val 2.700"
    assert val.best_legend == "best 2.450 at step 750"


def test_a_run_without_evaluations_has_a_running_loss() -> None:
    """Without validation, the loss in training is drawn, under its own name."""
    (running,) = losses_of([("run", Metrics(metrics(5).running_losses, []))]).curves
    assert (running.label, running.points[-1]) == ("running", (5, 3.0))
    assert losses_of([("run", Metrics([], []))]).curves == []


def test_baselines_and_epochs_are_those_of_all_runs() -> None:
    """Baselines are in nats, highest first; those and epochs that differ are left out."""
    first, same = metrics(100, scale=SCALE), metrics(50, scale=SCALE)
    losses = losses_of([("a", first), ("b", same), ("c", metrics(9))])
    assert [each.name for each in losses.baselines] == ["uniform", "5-gram", "8-gram"]
    assert losses.baselines[0].loss == pytest.approx(6 * 0.6931, rel=1e-4)
    assert losses.steps_per_epoch == pytest.approx(50)
    other = losses_of([("a", first), ("b", metrics(9, per_epoch=20, scale={"uniform": 5.0}))])
    assert (other.baselines, other.steps_per_epoch) == ([], None)
    assert other.title == "a, b"


def test_labels_of_baselines_do_not_overlap() -> None:
    """Labels keep a distance, in the order of their lines; those far away have an arrow."""
    losses = losses_of([("run", metrics(100, scale={**SCALE, "9-gram": 4.299, "lzma": 0.1}))])
    labels = baseline_labels(losses, 0.04)
    assert [label.text for label in labels] == [
        "↑ uniform 4.16",
        "5-gram 3.05",
        "8-gram 2.98",
        "9-gram 2.98",
        "↓ lzma 0.07",
    ]
    heights = [label.height for label in labels]
    assert all(high + 0.0399 <= low for high, low in itertools.pairwise(heights))
    assert 0 <= heights[0] < heights[-1] <= 1
    assert [label.line is None for label in labels] == [True, False, False, False, True]
    low, high = losses.loss_range()
    assert low < 2.0
    assert 3.1 < high < 4.0
    crowd = {f"{number}-gram": 0.01 * number for number in range(20)}
    labels = baseline_labels(losses_of([("run", metrics(9, scale=crowd))]), 0.04)
    assert all(0 <= label.height <= 1 for label in labels)


def test_svg_has_curves_axes_and_baselines() -> None:
    """The document has a title, a legend, two horizontal axes and a line per baseline."""
    losses = losses_of([(HOSTILE, metrics(100, scale=SCALE))])
    shown = texts(losses)
    assert shown[0] == HOSTILE
    assert {"step", "epoch", "loss (nats per character)", "val 2.700"} <= set(shown)
    assert {"↑ uniform 4.16", "5-gram 3.05", "8-gram 2.98"} <= set(shown)
    assert len(elements(losses, "polyline")) == 2
    lines = [line.get("class") for line in elements(losses, "line")]
    assert lines.count("baseline") == 2
    rings = [each for each in elements(losses, "circle") if each.get("class") == "best"]
    assert len(rings) == 2  # at the evaluation, and in the legend
    assert "epoch" not in texts(losses_of([("run", Metrics([(1, 2.0), (2, 1.0)], []))]))


def test_svg_stays_inside_its_frame() -> None:
    """Long names are cut, and every run has a row of the legend, however many there are."""
    names = [f"{'n' * 60}-{number}" for number in range(8)]
    losses = losses_of([(name, metrics(9, scale=SCALE)) for name in names])
    root = ET.fromstring(render_plot(Path("x.svg"), losses))
    width, height = int(root.get("width", "")), int(root.get("height", ""))
    for element in root:
        for name, limit in (("x", width), ("x1", width), ("cx", width), ("y", height)):
            assert 0 <= float(element.get(name, 0)) <= limit
    shown = texts(losses)
    assert max(map(len, shown)) <= 70
    assert sum(text.endswith("nn-3") for text in shown) == 1
    assert shown.count("val 2.700") == 8


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the plot extra is not installed"
)
@pytest.mark.parametrize("number", [1, 100])
def test_png_is_a_picture(number: int) -> None:
    """With matplotlib, a PNG file is written, also of runs of different kinds."""
    runs = [(HOSTILE, metrics(number, scale=SCALE)), ("two", Metrics([(1, 2.0)], []))]
    for count in (1, 2):
        picture = render_plot(Path("x.png"), losses_of(runs[:count]))
        assert picture.startswith(b"\x89PNG")


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is not None, reason="the plot extra is installed"
)
def test_png_without_matplotlib_names_it() -> None:
    """Without matplotlib, the error names it, and how to install it."""
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.png"), losses_of([("run", metrics(9))]))
    assert caught.value.message == "PNG plots require matplotlib"
    assert caught.value.hint == "run `pip install matplotlib`, or use --plot FILE.svg"


def test_what_cannot_be_drawn() -> None:
    """Another file format and a run without losses are errors."""
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.gif"), losses_of([("run", metrics(9))]))
    assert caught.value.message == "a plot must be an .svg or .png file, not 'x.gif'"
    assert caught.value.hint == "use --plot losses.svg"
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.svg"), losses_of([("run", Metrics([], []))]))
    assert caught.value.message == "there are no losses to plot"
    assert caught.value.hint == "train with validation, or for more steps"


@pytest.mark.parametrize(
    "losses", [(1.5, 1.5), (1.5, 1.5 + 2**-52), (0.0, 5e-324), (-1e10, 1e10), (1e-300, 3e-300)]
)
def test_losses_of_any_size_are_drawn(losses: tuple[float, float]) -> None:
    """Equal, nearly equal, tiny and huge losses are drawn inside the image."""
    curve = Curve("val", [(0, losses[0]), (9_999_999_999, losses[1])], "", 0, False, (0, losses[0]))
    scale = losses_of([("run", metrics(9, scale=SCALE))]).baselines
    picture = render_plot(Path("x.svg"), Losses("run", [curve], scale, 1e-9)).decode()
    assert "nan" not in picture
    assert "inf" not in picture
    ET.fromstring(picture)

"""Loss curves as pictures."""

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from charrnn_cli.errors import ConfigError
from charrnn_cli.events import Evaluated
from charrnn_cli.export.plot import MOST_POINTS, Curve, curves_of, render_plot
from charrnn_cli.storage.metrics_log import Metrics

METRICS = Metrics(
    running_losses=[(step, 3.0 - step / 1000) for step in range(1, 1000)],
    evaluations=[
        Evaluated(
            step=step,
            epoch=1.0,
            train_loss=3.0,
            val_loss=3.1 - step / 1000,
            best=True,
            seconds=1.0,
        )
        for step in (100, 500, 999)
    ],
)
HOSTILE = "<b>&\"'$x$"


def test_curves_are_the_metrics() -> None:
    """A run has a train and a val curve, thinned but with their first and last points."""
    train, val = curves_of([("run", METRICS)])
    assert (train.label, val.label) == ("run train", "run val")
    assert len(train.points) == MOST_POINTS
    assert (train.points[0], train.points[-1]) == ((1.0, 2.999), (999.0, 3.0 - 0.999))
    assert list(val.points) == [(100.0, 3.0), (500.0, 2.6), (999.0, 3.1 - 0.999)]


def test_svg_is_a_document_of_all_curves() -> None:
    """Every curve is in the document, with its name escaped, even one of a single point."""
    curves = [
        *curves_of([(HOSTILE, METRICS), ("two", METRICS)]),
        Curve("one", [(5.0, 1.0)], 2, False),
    ]
    root = ET.fromstring(render_plot(Path("x.svg"), HOSTILE, curves))
    assert [element.tag.rpartition("}")[2] for element in root].count("polyline") == 5
    texts = [element.text or "" for element in root if element.tag.endswith("text")]
    assert texts[0] == HOSTILE
    assert any(text.startswith(f"{HOSTILE} val 2.101") for text in texts)


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the plot extra is not installed"
)
def test_png_is_a_picture() -> None:
    """With matplotlib, a PNG file is written."""
    assert render_plot(Path("x.png"), HOSTILE, curves_of([(HOSTILE, METRICS)])).startswith(
        b"\x89PNG"
    )


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is not None, reason="the plot extra is installed"
)
def test_png_without_matplotlib_names_it() -> None:
    """Without matplotlib, the error names it, and how to install it."""
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.png"), "title", curves_of([("run", METRICS)]))
    assert caught.value.message == "PNG plots require matplotlib"
    assert caught.value.hint == "run `pip install matplotlib`, or use --plot FILE.svg"


def test_what_cannot_be_drawn() -> None:
    """Another file format and a run without losses are errors."""
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.gif"), "title", curves_of([("run", METRICS)]))
    assert caught.value.message == "a plot must be an .svg or .png file, not 'x.gif'"
    assert caught.value.hint == "use --plot losses.svg"
    with pytest.raises(ConfigError) as caught:
        render_plot(Path("x.svg"), "title", [])
    assert caught.value.message == "there are no losses to plot"
    assert caught.value.hint == "train with validation, or for more steps"


@pytest.mark.parametrize(
    "losses", [(1.5, 1.5), (1.5, 1.5 + 2**-52), (0.0, 5e-324), (-1e10, 1e10), (1e-300, 3e-300)]
)
def test_losses_of_any_size_are_drawn(losses: tuple[float, float]) -> None:
    """Equal, nearly equal, tiny and huge losses are drawn inside the image."""
    curve = Curve("run train", [(0, losses[0]), (9_999_999_999, losses[1])], 0, True)
    picture = render_plot(Path("x.svg"), "run", [curve]).decode()
    assert "nan" not in picture
    assert "inf" not in picture
    ET.fromstring(picture)

"""Losses as a PNG, drawn by matplotlib."""

from typing import Any

from charrnn_cli.errors import ConfigError
from charrnn_cli.export.curves import LOSS_LABEL, Curve, Losses, baseline_labels

SIZE = (8.0, 4.8)  # inches
DOTS = 200  # per inch
LABEL_GAP = 0.045  # of the plot's height


def to_png(losses: Losses) -> bytes:
    """Draw the losses. Raises ConfigError if matplotlib, an extra, is missing."""
    import io

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "PNG plots require matplotlib",
            hint="run `pip install matplotlib`, or use --plot FILE.svg",
        ) from error
    runs = len({curve.run for curve in losses.curves})
    figure = Figure(figsize=(SIZE[0], SIZE[1] + 0.2 * runs), layout="constrained")
    axes = figure.add_subplot()
    for curve in losses.curves:
        _draw(axes, curve)
    axes.set(xlabel="step", ylabel=LOSS_LABEL, ylim=losses.loss_range())
    axes.set_xlim(0, max(losses.last_step, 1) * 1.01)
    axes.grid(alpha=0.2)
    if losses.steps_per_epoch is not None:
        length = losses.steps_per_epoch
        functions = (lambda step: step / length, lambda epoch: epoch * length)
        axes.secondary_xaxis("top", functions=functions).set_xlabel("epoch")
    _draw_baselines(axes, losses)
    handles, labels = axes.get_legend_handles_labels()
    columns = max(1, len(handles) // runs)
    order = [row * columns + column for column in range(columns) for row in range(runs)]
    if len(order) != len(handles):  # a run without evaluations has fewer curves
        order = list(range(len(handles)))
    figure.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=8,
        title=_plain(losses.title),
        title_fontproperties={"weight": "bold", "size": 10},
        alignment="left",
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DOTS)
    return picture.getvalue()


def _draw(axes: Any, curve: Curve) -> None:
    style: dict[str, Any] = (
        {"linestyle": "--", "alpha": 0.75} if curve.train else {"marker": ".", "linewidth": 2}
    )
    if len(curve.points) == 1:  # a line of one point is not visible
        style["marker"] = "."
    xs, ys = zip(*curve.points, strict=True)
    axes.plot(
        xs, ys, color=curve.color, label=_plain(f"{curve.name} {curve.legend}".strip()), **style
    )
    if curve.best is not None:
        ring = {"marker": "o", "markersize": 9, "linestyle": "", "markerfacecolor": "none"}
        step, loss = curve.best
        axes.plot(
            [step],
            [loss],
            color=curve.color,
            label=curve.best_legend,
            markeredgewidth=1.5,
            clip_on=False,
            zorder=5,
            **ring,
        )


def _draw_baselines(axes: Any, losses: Losses) -> None:
    """Draw a line per baseline in the plot, and name all of them at the right edge."""
    for label in baseline_labels(losses, LABEL_GAP):
        if label.line is not None:
            style = {"transform": axes.transAxes, "color": "black", "linewidth": 0.8}
            line = 1 - label.line
            axes.plot([0, 1], [line, line], alpha=0.5, linestyle=":", **style)
            ends = [line, 1 - label.height]
            axes.plot([1, 1.015], ends, alpha=0.5, clip_on=False, **style)
        axes.annotate(
            _plain(label.text),
            (1.02, 1 - label.height),
            xycoords="axes fraction",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )


def _plain(text: str) -> str:
    """Escape what matplotlib would draw as a formula."""
    return text.replace("$", r"\$")

"""Losses as an image: SVG without dependencies, or PNG with matplotlib."""

from pathlib import Path

from charrnn_cli.errors import ConfigError
from charrnn_cli.export.curves import Losses
from charrnn_cli.export.png import to_png
from charrnn_cli.export.svg import to_svg


def render_plot(path: Path, losses: Losses) -> bytes:
    """Return the image in the format of the path's suffix.

    Raises ConfigError for any other suffix, without curves, or if matplotlib is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in (".svg", ".png"):
        raise ConfigError(
            f"a plot must be an .svg or .png file, not {path.name!r}", hint="use --plot losses.svg"
        )
    if not losses.curves:
        raise ConfigError(
            "there are no losses to plot", hint="train with validation, or for more steps"
        )
    return to_svg(losses).encode() if suffix == ".svg" else to_png(losses)

"""The formats of files about an inspection; the suffix of the file chooses one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.export.exported import Exported
from charrnn_cli.export.file_format import Format, by_suffix
from charrnn_cli.export.look_options import LookOptions

if TYPE_CHECKING:
    from charrnn_cli.architecture import ModelConfig
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.inspection.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Render:
    """How a format is checked, and then made."""

    check: Callable[["ModelConfig", int, LookOptions], None]
    """Raises ConfigError if a number of characters does not fit; to be called before long work."""
    content: Callable[["Checkpoint", "Inspection", LookOptions], Exported]


def _check_page(model: "ModelConfig", characters: int, options: LookOptions) -> None:
    from charrnn_cli.export.look_page import check_size

    check_size(model, characters, options)


def _page(checkpoint: "Checkpoint", inspection: "Inspection", options: LookOptions) -> Exported:
    from charrnn_cli.export.look_page import to_look_page

    return to_look_page(checkpoint, inspection, options)


def _fits(_model: "ModelConfig", _characters: int, _options: LookOptions) -> None:
    """Do nothing: a picture may be long."""


def _svg(checkpoint: "Checkpoint", inspection: "Inspection", options: LookOptions) -> Exported:
    from charrnn_cli.export.look_svg import to_look_svg

    return to_look_svg(checkpoint, inspection, options)


_FORMATS: list[Format[Render]] = [
    Format(
        name="html",
        description="a page with the text in colors, guesses and tables",
        options=frozenset({"cells", "cell"}),
        use="open {} in a browser",
        render=Render(_check_page, _page),
    ),
    Format(
        name="svg",
        description="a picture of the text in the colors of one unit, or of its surprise",
        options=frozenset({"cell"}),
        use="open {} in a browser",
        render=Render(_fits, _svg),
    ),
]
FORMATS = {each.name: each for each in _FORMATS}


def format_of(path: Path) -> Format[Render]:
    """Return the format of a file name. Raises ConfigError."""
    return by_suffix(path, FORMATS)

"""What can be chosen of a page or a picture about an inspection."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn_cli.model.inspection.unit_names import UnitName

CELLS = 24  # units in a page by default


@dataclass(frozen=True, kw_only=True, slots=True)
class LookOptions:
    """What can be chosen of a page or a picture about an inspection."""

    name: str
    """Reference of the checkpoint."""
    text_name: str
    end: str | None = None
    """The end symbol, if the text has one."""
    cells: int | None = CELLS
    """Number of units whose activations a page has; None for all."""
    unit: "UnitName | None" = None
    """The unit that is shown first; None to show surprise."""

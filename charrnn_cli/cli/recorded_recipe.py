"""The recorded training settings of a checkpoint."""

from collections.abc import Mapping
from typing import Any

from charrnn_cli.config import TrainConfig
from charrnn_cli.settings import fields_of


def ordered_recipe(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings in their usual order, unknown ones last."""
    ordered = {name: recorded[name] for name in fields_of(TrainConfig) if name in recorded}
    return {**ordered, **recorded}

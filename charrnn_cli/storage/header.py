"""Types of the fields in a checkpoint's header, which may come from a stranger."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn_cli.errors import FileFormatError

_MISSING = object()
_LOSS = (float, type(None))
_FIELDS: dict[str, tuple[type, ...]] = {
    "run": (str,),
    "model": (dict,),
    "model.vocabulary_size": (int,),
    "model.embed": (int,),
    "parameters": (int,),
    "step": (int,),
    "epoch": (float,),
    "train_loss": _LOSS,
    "val_loss": _LOSS,
    "train": (dict,),
    "data": (dict,),
    "data.name": (str,),
    "data.characters": (int,),
    "versions": (dict,),
}


def check_checkpoint_fields(metadata: Mapping[str, Any], path: Path) -> None:
    """Raise FileFormatError unless every field is present, of its type, and finite."""
    for place, types in _FIELDS.items():
        value: Any = metadata
        for name in place.split("."):
            value = value.get(name, _MISSING)
        is_infinite = type(value) is float and not math.isfinite(value)
        if type(value) not in types or is_infinite:
            raise FileFormatError(f"{path} is damaged: its header has no valid {place!r}")

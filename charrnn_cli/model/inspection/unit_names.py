"""Names of units, such as 1:95:c, and the units that are worth showing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.inspection.inspection import Inspection
from charrnn_cli.model.inspection.trace import Activations

# N characters · H units

BLOCK = 128  # units whose spread is measured at a time: 10 MB for 20,000 characters


@dataclass(frozen=True, slots=True)
class UnitName:
    """Which number of a model's state is meant."""

    layer: int
    """Counted from 0."""
    unit: int
    """Counted from 0."""
    part: str = "h"
    """As in `Activations`."""

    def __str__(self) -> str:
        return f"{self.layer}:{self.unit}:{self.part}"

    @classmethod
    def parse(cls, typed: str) -> Self:
        """Read LAYER:UNIT, or LAYER:UNIT:c for an LSTM's cell state. Raises ConfigError."""
        match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})(?::([hc]))?", typed)
        if match is None:
            raise ConfigError(
                f"a unit is LAYER:UNIT or LAYER:UNIT:c, not {typed!r}",
                hint="use a form such as 0:95",
            )
        return cls(int(match[1]), int(match[2]), match[3] or "h")

    def check_is_in(self, model: ModelConfig) -> None:
        """Raise ConfigError if a model has no such unit."""
        for name, number, count in (
            ("layer", self.layer, model.layers),
            ("unit", self.unit, model.size),
        ):
            if number >= count:
                last = f"from 0 to {count - 1}" if count > 1 else "0 alone"
                raise ConfigError(f"the model has no {name} {number}", hint=f"use {name} {last}")
        if self.part not in parts_of(model):
            raise ConfigError(
                f"a {model.cell} has no cell state", hint=f"use {self.layer}:{self.unit}"
            )


def parts_of(model: ModelConfig) -> str:
    """Return the parts of a layer's state, as in `Activations`."""
    return "hc" if model.cell == "lstm" else "h"


def num_units(model: ModelConfig) -> int:
    """Return the number of units of all layers and parts."""
    return model.layers * model.size * len(parts_of(model))


def shown_units(
    inspection: Inspection, number: int, first: UnitName | None = None
) -> list[UnitName]:
    """Return units by interest: `first`, those found, the slowest, and those that vary most.

    `first` is among them whatever the number.
    """
    number = max(number, 0 if first is None else 1)
    names = [first] if first is not None else []
    names += [UnitName(each.layer, each.unit, each.part) for each in inspection.units]
    names += [UnitName(each.layer, each.unit, each.part) for each in inspection.slowest]
    names = list(dict.fromkeys(names))[:number]
    if len(names) < number:
        names = list(dict.fromkeys([*names, *_most_varied(inspection.trace.activations)]))[:number]
    return names


def unit_values(inspection: Inspection, name: UnitName) -> npt.NDArray[np.float16]:
    """Return the activations of a unit, (N,)."""
    (part,) = (
        each
        for each in inspection.trace.activations
        if (each.layer, each.part) == (name.layer, name.part)
    )
    return part.values[:, name.unit]


def _most_varied(activations: Sequence[Activations]) -> list[UnitName]:
    """Return all units, those with the largest standard deviation first."""
    names, spreads = [], []
    for part in activations:
        units = range(part.values.shape[1])
        names += [UnitName(part.layer, unit, part.part) for unit in units]
        for first in units[::BLOCK]:
            values = part.values[:, first : first + BLOCK].astype(np.float32)
            spreads += values.std(axis=0).tolist()
    return [names[index] for index in np.argsort(-np.array(spreads), kind="stable").tolist()]

"""One setting of a study's space: values to choose from, or a range."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from charrnn_cli.settings import required, setting
from charrnn_cli.storage.record import MAX_NAME, Record

RELATIVE = "dropout_shift"
"""Dropout beside the automatic one, which follows the passes over the text: a short round needs
less of it than a long one."""

Value = bool | int | float | str | None
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension(Record):
    """A setting, with the values to choose from or a range."""

    name: str = field(metadata=required("the setting", longest=MAX_NAME))
    values: tuple[Value, ...] = setting((), "to choose from; none for a range")
    low: float = setting(0.0, "least number of a range")
    high: float = setting(0.0, "largest number of a range")
    is_log: bool = setting(False, "whether the logarithm is drawn")
    is_integer: bool = setting(False, "whether a range has integers alone")

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the dimension from plain values; see `Record.from_json`."""
        values = raw.get("values", [])
        return super(Dimension, cls).from_json(
            {**raw, "values": tuple(values) if isinstance(values, list) else values}
        )

    def _problems(self) -> list[str | None]:
        is_range = self.low < self.high and (self.low > 0 or not self.is_log)
        return [None if self.values or is_range else f"{self.name} has neither values nor a range"]

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of a range."""
        return (round(self.low), round(self.high)) if self.is_integer else (self.low, self.high)

    @property
    def count(self) -> float:
        """The number of values: infinite for a range of numbers that are no integers."""
        if self.values:
            return len(self.values)
        low, high = self.bounds
        return high - low + 1 if self.is_integer else math.inf

    def value_at(self, index: int) -> Any:
        """Return one of a finite number of values."""
        return self.values[index] if self.values else round(self.low) + index

    def nearest(self, value: Any) -> Any:
        """Return the value of this dimension that is nearest to a default."""
        if self.values:
            if value in self.values:
                return value
            numbers = [each for each in self.values if isinstance(each, int | float)]
            is_number = len(numbers) == len(self.values) and isinstance(value, int | float)
            return min(numbers, key=lambda each: abs(each - value)) if is_number else self.values[0]
        near = min(max(float(value or 0.0), self.low), self.high)
        return round(near) if self.is_integer else near

    def __str__(self) -> str:
        name = self.name.replace("_", " ")
        if self.values:
            return f"{name} {', '.join(map(str, self.values))}"
        if self.name == RELATIVE:
            return f"dropout auto {self.low:+g} to {self.high:+g}"
        return f"{name} {self.low:g} to {self.high:g}{' (log)' if self.is_log else ''}"


Space = tuple[Dimension, ...]


def number_of_points(space: Space) -> float:
    """Return how many points a space has, which may be infinite."""
    return math.prod(each.count for each in space)


def untried_point(space: Space, tried: Collection[Params], first: int) -> dict[str, Any] | None:
    """Return a point of a finite space that was not tried; None if all were.

    `first` says where to begin, in the order of all points.
    """
    total = int(number_of_points(space))
    points = (_point(space, (first + step) % total) for step in range(total))
    return next((each for each in points if each not in tried), None)


def _point(space: Sequence[Dimension], index: int) -> dict[str, Any]:
    params = {}
    for each in space:
        index, place = divmod(index, int(each.count))
        params[each.name] = each.value_at(place)
    return params

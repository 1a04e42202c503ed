"""What a study searches, and what all its trials share; recorded in its journal."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, NewerFormatError, TextError
from charrnn_cli.settings import required, setting
from charrnn_cli.storage.header import Plain
from charrnn_cli.storage.record import MAX_NAME, Record, as_object, read_record
from charrnn_cli.storage.source import Source
from charrnn_cli.training.tuning.dimension import Dimension, Space, number_of_points
from charrnn_cli.training.tuning.rounds import Round, plan_rounds

VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySpec(Record):
    """The task of a study."""

    version: int = setting(VERSION, "version of the record; absent in the first", low=1)
    source: Source = field(metadata=required("`Source.to_json`: the text's files"))
    options: dict[str, Plain] = field(
        metadata=required("options for reading the text that were chosen, by name")
    )
    settings: dict[str, Plain] = field(
        metadata=required("fixed settings of the model and the recipe, with the seed")
    )
    preset: str = field(metadata=required("preset of the other settings", longest=MAX_NAME))
    space: Space = field(metadata=required("what is searched"))
    default: dict[str, Plain] = field(metadata=required("the parameters of trial 0"))
    trials: int = field(metadata=required("trials of the first round, or more", low=1))
    budget: float | None = field(
        metadata=required("seconds for everything; null for trials of a given length", above=0)
    )
    sha256: str = field(metadata=required("`tensors_sha256` of the encoded text"))
    is_whole: bool = setting(False, "whether the budget is enough for a single round of whole runs")

    def _problems(self) -> list[str | None]:
        is_seeded = type(self.settings.get("seed")) is int
        names = [each.name for each in self.space]
        return [
            None if is_seeded else "the settings must have a seed",
            None if names else "the space must have a setting",
            None if sorted(names) == sorted(self.default) else "trial 0 must be in the space",
        ]

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds; the first tries no point twice."""
        trials = int(min(self.trials, number_of_points(self.space)))
        return plan_rounds(trials, has_budget=self.budget is not None, is_whole=self.is_whole)

    @property
    def seed(self) -> int:
        return int(self.settings["seed"] or 0)

    def to_json(self) -> dict[str, Any]:
        """Return the record of a journal, as plain values."""
        plain = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        space = [each.to_json() for each in self.space]
        return {**plain, "source": self.source.to_json(), "space": space}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read a record. Raises ConfigError if it is not one, NewerFormatError."""
        version = raw.get("version", 1)
        if type(version) is int and version > VERSION:
            raise NewerFormatError("it was made by a newer version", hint="upgrade charrnn")
        found = raw.get("space")
        if not isinstance(found, list):
            raise ConfigError("the space must be a list")
        space = tuple(Dimension.from_json(as_object(each)) for each in found)
        spec = read_record(cls, {**raw, "space": space})
        try:
            TextOptions().replaced(spec.options)
        except TextError as error:
            raise ConfigError(error.message) from error
        # Read with the chosen options alone, as the first trial was.
        return dataclasses.replace(spec, source=dataclasses.replace(spec.source, options=None))

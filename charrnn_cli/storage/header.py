"""Every field of the headers of checkpoints and resume files: its type, range and meaning.

These tables document the file format. The fields that all files share are in `tensorfile.py`.
Unknown fields are ignored, except in `model`: a model with a setting that this version does not
know is not one that it can run.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import END_OF_DOCUMENT, TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import check_fields, fields_of, required, setting
from charrnn_cli.storage.record import MAX_NAME, Record, as_object, read_record
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import MAX_ELEMENTS

CHECKPOINT_KIND = "checkpoint"
RESUME_KIND = "resume"

MAX_STEP = 9_999_999_999  # step files are named with ten digits
MAX_PARAMETERS = 1 << 31  # 8 GB; a header that asks for more memory is refused

Plain = bool | int | float | str | None

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts(Record):
    """The text that a model was trained on."""

    name: str = field(
        metadata=required("file name up to the first dot, or directory name", longest=MAX_NAME)
    )
    sha256: str = field(metadata=required("`tensors_sha256` of the encoded text"))
    characters: int = field(metadata=required("length of the text", low=0, high=MAX_ELEMENTS))
    commonest: str = field(metadata=required("most frequent character", longest=1))
    init_from: str | None = setting(
        None, "checkpoint that the run started from, as RUN@STEP", longest=MAX_NAME
    )
    counted: str | None = setting(
        None, "`tensors_sha256` of the encoded text whose n-grams were counted; null without them"
    )
    val_sha256: str | None = setting(
        None, "`tensors_sha256` of the validation text; null if it is a part of the text"
    )
    test_sha256: str | None = setting(None, "`tensors_sha256` of the test text; null without one")
    end: str | None = setting(
        None, "symbol that ends each document and stands before the first", longest=1
    )
    longest_item: int | None = setting(
        None, "characters of the longest item; null unless it is a list", low=1, high=MAX_ELEMENTS
    )
    reading: TextOptions = setting(TextOptions(), "how the text was read, every option")

    def _problems(self) -> list[str | None]:
        digests = (self.sha256, self.counted, self.val_sha256, self.test_sha256)
        is_valid = all(each is None or _SHA256.fullmatch(each) for each in digests)
        return [None if is_valid else "a sha256 must have 64 digits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointHeader(Record):
    """The header of a checkpoint."""

    KIND: ClassVar[str] = CHECKPOINT_KIND

    run: str = field(metadata=required("name of the run", longest=MAX_NAME))
    model: ModelConfig = field(metadata=required("the architecture, every setting"))
    parameters: int = field(metadata=required("number of weights", low=1, high=MAX_PARAMETERS))
    step: int = field(metadata=required("updates so far", low=0, high=MAX_STEP))
    epoch: float = field(metadata=required("passes over the training text so far", low=0))
    train_loss: float | None = field(
        metadata=required(
            "nats per character of training text, without dropout; null between evaluations"
        )
    )
    val_loss: float | None = field(
        metadata=required("nats per validation character; null between evaluations")
    )
    train: dict[str, Plain] = field(
        metadata=required("the recipe, every setting as it was used; durations in seconds")
    )
    data: DataFacts = field(metadata=required("the training text"))
    versions: dict[str, str] = field(
        metadata=required("versions of Python, NumPy and PyTorch", longest=20)
    )
    interrupted: bool = setting(False, "saved because training was asked to stop")

    def _problems(self) -> list[str | None]:
        count = self.model.num_parameters
        wrong = None if self.parameters == count else f"parameters must be {count:,}"
        reading = self.data.reading
        ends = (reading.end,) if reading.has_items else (None, END_OF_DOCUMENT)
        end = None if self.data.end in ends else "the end symbol must be that of the documents"
        return [wrong, end, _recipe_problem(self.train)]


@dataclass(kw_only=True, slots=True)
class RunCounters:
    """Numbers that a run keeps from one process to the next."""

    running_loss: float | None = setting(
        None, "nats per character in training, moving average with dropout; null at step 0"
    )
    lr_scale: float = setting(
        1.0, "factor on the learning rate; halved at each divergence", above=0, high=1
    )
    last_saved_step: int = setting(
        0, "last step whose evaluation and step file, if due, are done", low=0, high=MAX_STEP
    )
    best_step: int | None = setting(
        None, "step with the lowest validation loss", low=0, high=MAX_STEP
    )
    best_val_loss: float | None = setting(None, "lowest validation loss, nats per character")
    evaluations_since_best: int = setting(
        0, "evaluations since the lowest validation loss", low=0, high=MAX_STEP
    )
    divergences: int = setting(0, "number of returns to an earlier state", low=0, high=MAX_STEP)
    seconds: float = setting(0.0, "wall time in seconds, over all resumed parts", low=0)
    finished: bool = setting(False, "training reached its planned end")

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the counters from plain values.

        Raises ConfigError if one is missing, mistyped or out of range.
        """
        known = fields_of(cls).keys()
        if "train_loss" in as_object(raw):  # its name in version 0.1.0
            raw = {"running_loss": raw["train_loss"], **raw}
        if missing := sorted(known - raw.keys()):
            raise ConfigError(f"missing counter {missing[0]!r}")
        counters = cls(**{name: raw[name] for name in known})
        check_fields(counters)
        return counters

    def record_evaluation(self, step: int, val_loss: float) -> bool:
        """Count an evaluation with a finite loss, and return whether it is the best so far."""
        best = self.best_val_loss is None or val_loss < self.best_val_loss
        if best:
            self.best_step, self.best_val_loss = step, val_loss
        self.evaluations_since_best = 0 if best else self.evaluations_since_best + 1
        return best


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeHeader(CheckpointHeader):
    """The header of a resume file."""

    KIND: ClassVar[str] = RESUME_KIND

    finished: bool = field(metadata=required("training reached its planned end"))
    progress: RunCounters = field(metadata=required("numbers that the run keeps"))
    source: Source | None = field(
        metadata=required("`Source.to_json`: the text's files and how they are read; {} if unknown")
    )

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, as plain values."""
        source = {} if self.source is None else self.source.to_json()
        return {**dataclasses.asdict(self), "source": source}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the header from plain values; see `Record.from_json`."""
        source = as_object(raw.get("source"))
        return read_record(cls, {**raw, "source": Source.from_json(source) if source else None})


def _recipe_problem(recipe: Mapping[str, Any]) -> str | None:
    """Check the settings that this version knows; others are only shown."""
    known = {name: recipe[name] for name in fields_of(TrainConfig) if name in recipe}
    try:
        TrainConfig.from_json(known)
    except ConfigError as error:
        return error.message
    return None

"""Every field of every header: its type, range and meaning. Each is checked when it is read.

These tables document the file format. The fields that all files share are in `tensorfile.py`.
Unknown fields are ignored, except in `model`: a model with a setting that this version does not
know is not one that it can run.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from charrnn_cli.config import ModelConfig, TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError, FileFormatError, NewerFormatError, TextError
from charrnn_cli.settings import Settings, check_fields, fields_of, required, setting
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import MAX_ELEMENTS, Header

CHECKPOINT_KIND = "checkpoint"
RESUME_KIND = "resume"
CORPUS_KIND = "corpus"

MAX_STEP = 9_999_999_999  # step files are named with ten digits
MAX_NAME = 4096  # characters
MAX_PARAMETERS = 1 << 31  # 8 GB; a header that asks for more memory is refused

Plain = bool | int | float | str | None

_DEFAULT_READING = TextOptions()  # of files that do not record how a text was read
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record(Settings):
    """Base of the objects in a header, which may have unknown fields."""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the record from plain values.

        Raises ConfigError if one is missing, mistyped or out of range.
        """
        return _read(cls, raw)


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
    reading: TextOptions = setting(_DEFAULT_READING, "how the text was read, every option")

    def _problems(self) -> list[str | None]:
        return [None if _SHA256.fullmatch(self.sha256) else "sha256 must have 64 digits"]


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
        metadata=required("nats per character, moving average with dropout; null at step 0")
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
        return [wrong, _recipe_problem(self.train)]


@dataclass(kw_only=True, slots=True)
class RunCounters:
    """Numbers that a run keeps from one process to the next."""

    train_loss: float | None = setting(None, "same as in the header")
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
        if missing := sorted(known - _object(raw).keys()):
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
        source = _object(raw.get("source"))
        return _read(cls, {**raw, "source": Source.from_json(source) if source else None})


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusHeader(Record):
    """The header of an encoded text."""

    KIND: ClassVar[str] = CORPUS_KIND

    name: str = field(
        metadata=required("file name up to the first dot, or directory name", longest=MAX_NAME)
    )
    characters: int = field(metadata=required("number of characters, N", low=0, high=MAX_ELEMENTS))
    vocabulary_size: int = setting(0, "number of distinct characters, V", low=0, high=0x110000)
    documents: int = setting(1, "number of documents, D", low=0, high=MAX_ELEMENTS)
    source_sha256: str = setting("", "SHA-256 of the file, or of several files' joined hex digests")
    encoding: str = setting(
        "utf-8", "encodings of the files, separated by commas", longest=MAX_NAME
    )
    byte_order_mark: bool = setting(False, "whether a file starts with a byte order mark")
    files_per_encoding: dict[str, int] = field(
        default_factory=dict,
        metadata=required(
            "number of files per encoding; `+ mark` follows one that a byte order mark named",
            longest=200,
        ),
    )
    other_files: list[list[str]] = field(
        default_factory=list,
        metadata=required(
            "up to 1,000 files in another encoding than the most frequent, as [name, encoding]",
            longest=1000,
        ),
    )
    reading: TextOptions = setting(_DEFAULT_READING, "how the files were read, every option")
    crlf: int = setting(0, "number of \\r\\n that became \\n", low=0, high=MAX_ELEMENTS)
    crcrlf: int = setting(0, "number of \\r\\r\\n that became \\n", low=0, high=MAX_ELEMENTS)
    cr: int = setting(0, "number of lone \\r that became \\n", low=0, high=MAX_ELEMENTS)
    unseen: dict[str, int] = field(
        default_factory=dict,
        metadata=required(
            "counts of up to 1,000 characters that the given vocabulary lacked", longest=1000
        ),
    )
    num_unseen: int = setting(
        0, "number of characters that the given vocabulary lacked", low=0, high=0x110000
    )
    skipped: list[list[str]] = field(
        default_factory=list,
        metadata=required(
            "up to 1,000 files that were left out, each as [name, reason]", longest=1000
        ),
    )
    num_skipped: int = setting(0, "number of files that were left out", low=0, high=MAX_ELEMENTS)
    include: str | None = setting(None, "the option --include", longest=MAX_NAME)
    files: dict[str, int] = field(
        default_factory=dict,
        metadata=required("number of files read in directories, by suffix", longest=1000),
    )
    left_out: dict[str, int] = field(
        default_factory=dict,
        metadata=required("number of files not chosen in directories, by suffix", longest=1000),
    )
    names: list[str] = field(
        default_factory=list,
        metadata=required("names of up to 20 files read in directories", longest=1000),
    )
    held_out: list[str] = field(
        default_factory=list,
        metadata=required("names of validation and test files among those read", longest=1000),
    )
    web_page: bool = setting(False, "whether the text is a single short file that begins as HTML")

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the header from plain values; see `Record.from_json`."""
        if "reading" not in raw:  # older files have two of the options as fields
            older = {name: raw[name] for name in ("newlines", "separator") if name in raw}
            raw = {**raw, "reading": older}
        return _read(cls, raw)


AnyHeader = TypeVar("AnyHeader", CheckpointHeader, ResumeHeader, CorpusHeader)
AnyRecord = TypeVar("AnyRecord", bound=Record)


def typed_header(header: Header, kind: type[AnyHeader], path: Path) -> AnyHeader:
    """Return the checked fields of a file's header.

    Raises FileFormatError if it is of another kind or a field is invalid, NewerFormatError if the
    model has a setting that this version does not know.
    """
    if header.kind != kind.KIND:
        raise FileFormatError(f"{path} is a charrnn {header.kind} file, not a {kind.KIND} file")
    model = header.metadata.get("model")
    if isinstance(model, dict) and (unknown := sorted(model.keys() - fields_of(ModelConfig))):
        raise NewerFormatError(
            f"{path} was written by charrnn {header.version}, and its model has the setting "
            f"{unknown[0]!r}, which this version does not know",
            hint="upgrade charrnn",
        )
    try:
        return kind.from_json(header.metadata)
    except ConfigError as error:
        raise FileFormatError(f"{path} has an invalid header: {error.message}") from error


def _read(cls: type[AnyRecord], raw: Mapping[str, Any]) -> AnyRecord:
    """Build a record from the fields that it knows. Raises ConfigError."""
    values: dict[str, Any] = {}
    for name, each in fields_of(cls).items():
        if name in _object(raw):
            read = _reading if each.type is TextOptions else getattr(each.type, "from_json", None)
            values[name] = read(_object(raw[name])) if read is not None else raw[name]
        elif each.default is each.default_factory is dataclasses.MISSING:
            raise ConfigError(f"missing field {name!r}")
    return cls(**values)


def _reading(raw: Mapping[str, Any]) -> TextOptions:
    """Read the options that this version knows; others are those of a newer version."""
    try:
        return TextOptions.from_json(
            {name: raw[name] for name in fields_of(TextOptions) if name in raw}
        )
    except TextError as error:
        raise ConfigError(error.message) from error


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected an object; got {value!r}")
    return value


def _recipe_problem(recipe: Mapping[str, Any]) -> str | None:
    """Check the settings that this version knows; others are only shown."""
    known = {name: recipe[name] for name in fields_of(TrainConfig) if name in recipe}
    try:
        TrainConfig.from_json(known)
    except ConfigError as error:
        return error.message
    return None

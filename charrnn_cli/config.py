"""Every setting, with its default, range and help text."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from charrnn_cli.errors import TextError
from charrnn_cli.settings import MAX_INTEGER, Settings, setting

Schedule = Literal["linear", "cosine", "constant"]
ValSplit = Literal["tail", "spread"]
Precision = Literal["auto", "fp32", "bf16"]
Initialization = Literal["orthogonal", "glorot"]
Newlines = Literal["normalize", "keep"]
Errors = Literal["strict", "replace", "ignore"]
Normalize = Literal["none", "nfc", "nfd", "nfkc"]
Unknown = Literal["error", "skip", "closest", "extend"]
"""Handling of characters outside a vocabulary; each command offers the choices it supports."""

MAX_SIZE = 65_536
MAX_SEED = MAX_INTEGER
END_OF_DOCUMENT = "\x03"  # ends documents other than lines
UNMARKED = ""
"""Value of `documents` in older files: files whose beginnings and ends were not learned."""
ITEM_LENGTH_FACTOR = 4  # of the longest item; a longer sample has probably lost its end
MAX_OPTION = 4096  # characters of a text option, which headers record
_NOT_STREAMS = {"idna", "punycode"}  # encodings of host names

MODEL, OPTIMIZATION, VALIDATION = "Model", "Optimization", "Validation"
CHECKPOINTS, DATA, SYSTEM, DISPLAY = "Checkpoints", "Data", "System", "Display"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(Settings):
    """The training recipe. Automatic values (None) are chosen and recorded when training starts."""

    batch_size: int = setting(
        32,
        "Rows of text to train on in parallel.",
        OPTIMIZATION,
        low=1,
        high=MAX_SIZE,
        shown="32; fewer for a short text",
    )
    seq_len: int = setting(64, "Characters per row in a step.", OPTIMIZATION, low=1, high=MAX_SIZE)
    reset: float = setting(
        0.05, "Probability per step of resetting a row's state.", OPTIMIZATION, low=0, high=1
    )
    epochs: int | None = setting(10, "Number of passes over the text.", OPTIMIZATION, low=1)
    max_steps: int | None = setting(None, "Stop after this many steps.", OPTIMIZATION, low=1)
    max_time: float | None = setting(
        None,
        "Time limit, saving included: 90s, 20m, 1h30m; chooses the model.",
        OPTIMIZATION,
        low=1,
        metavar="TIME",
    )
    lr: float = setting(
        3e-3,
        "Peak learning rate.",
        OPTIMIZATION,
        label="learning rate",
        above=0,
        high=100,
        shown="0.003; chosen with --max-time",
    )
    schedule: Schedule = setting(
        "linear", "Decay of the learning rate after its peak.", OPTIMIZATION
    )
    replanned_at: int | None = setting(None, "Step at which a slow run was planned anew.", low=0)
    replanned_from: int | None = setting(None, "Number of steps in the plan before.", low=1)
    warmup: float = setting(
        0.02, "Fraction of the steps in which the learning rate rises.", OPTIMIZATION, low=0, high=1
    )
    beta1: float = setting(0.9, "Decay of Adam's mean gradient.", low=0, below=1)
    beta2: float = setting(0.99, "Decay of Adam's mean squared gradient.", low=0, below=1)
    weight_decay: float = setting(
        0.1, "AdamW weight decay, for matrices only.", OPTIMIZATION, low=0, high=10
    )
    clip: float = setting(1.0, "Maximum gradient norm; 0 disables clipping.", OPTIMIZATION, low=0)
    dropout: float | None = setting(
        None,
        "Dropout after every layer; auto depends on the number of epochs.",
        MODEL,
        low=0,
        below=1,
        metavar="P|auto",
        shown="auto",
    )
    ema: float = setting(
        0.0,
        "Decay of the weight average evaluated and saved; 0 disables it.",
        OPTIMIZATION,
        low=0,
        high=0.999999,
    )
    initialization: Initialization = setting("orthogonal", "Initialization of the weights.")
    val_fraction: float = setting(
        0.1, "Fraction of the text to hold out; 0 disables validation.", VALIDATION, low=0, high=0.9
    )
    val_split: ValSplit = setting(
        "tail", "Hold out the end (tail) or up to 100 parts (spread).", VALIDATION
    )
    shuffle_documents: bool = setting(False, "Shuffle the documents before every pass.", DATA)
    eval_every: int | None = setting(
        None,
        "Steps between evaluations; 0 evaluates only at the end.",
        VALIDATION,
        low=0,
        shown="up to 20 per run",
    )
    val_rows: int | None = setting(
        None, "Rows of the validation text that evaluations read.", low=1, shown="all"
    )
    patience: int | None = setting(
        None, "Stop after this many evaluations without improvement.", VALIDATION, low=1
    )
    save_every: int | None = setting(
        None, "Steps between checkpoints, in addition to one per evaluation.", CHECKPOINTS, low=1
    )
    keep: int = setting(
        100, "Number of newest checkpoints to keep, besides the best.", CHECKPOINTS, low=1
    )
    log_every: int | None = setting(
        None, "Steps between logged metrics.", DISPLAY, low=1, shown="once per second"
    )
    sample_every: int | None = setting(
        None, "Steps between short samples from the model.", DISPLAY, low=1
    )
    sample_prime: str | None = setting(
        None,
        "Prime of the --sample-every samples; \\n is a newline.",
        DISPLAY,
        metavar="TEXT",
        escapes=True,
        shown="a newline",
    )
    seed: int | None = setting(
        None, "Random seed, for repeatable runs.", SYSTEM, low=0, high=MAX_SEED, shown="random"
    )
    device: str = setting("auto", "Device: cpu, cuda, cuda:1, mps or auto.", SYSTEM, metavar="NAME")
    precision: Precision = setting(
        "auto", "Precision of matrix products; auto selects the faster one.", SYSTEM
    )
    threads: int | None = setting(
        None, "Number of CPU threads.", SYSTEM, low=1, shown="all, or 1 if much faster"
    )

    def _problems(self) -> list[str | None]:
        endless = self.epochs is None and self.max_steps is None and self.max_time is None
        return ["at least one of epochs, max steps and max time must be set" if endless else None]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleConfig(Settings):
    """How characters are drawn. The order of the filters is temperature, top-k, top-p, min-p."""

    length: int = setting(2000, "Number of characters to generate after the prime.", low=0)
    temperature: float = setting(1.0, "Randomness; 0 takes the most likely character.", low=0)
    top_k: int = setting(
        5, "Number of most likely characters to draw from; 0 disables.", label="top-k", low=0
    )
    top_p: float = setting(
        1.0,
        "Draw from the most likely characters that together reach this probability.",
        label="top-p",
        low=0,
        high=1,
    )
    min_p: float = setting(
        0.0,
        "Minimum probability, as a fraction of the most likely character's.",
        label="min-p",
        low=0,
        high=1,
    )
    seed: int | None = setting(
        None, "Random seed, for repeatable text.", low=0, high=MAX_SEED, shown="random"
    )

    def _problems(self) -> list[str | None]:
        greedy = "top-p must be above 0; use temperature 0 to take the most likely character"
        return [greedy if self.top_p == 0 else None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions(Settings):
    """How files are read as one text."""

    encoding: str = setting(
        "utf-8",
        "Text encodings to try in order; a byte order mark overrides.",
        DATA,
        metavar="NAME,...",
        longest=MAX_OPTION,
    )
    errors: Errors = setting("strict", "Handling of bytes that cannot be decoded.", DATA)
    newlines: Newlines = setting("normalize", "Convert line endings to \\n, or keep them.", DATA)
    normalize: Normalize = setting("none", "Unicode normalization form to apply.", DATA)
    separator: str = setting(
        "",
        "Text between files, such as \\n; without it, files are documents.",
        DATA,
        metavar="TEXT",
        escapes=True,
        longest=MAX_OPTION,
    )
    documents: str = setting(
        "files",
        "Documents: files, lines, blank-lines, or what TEXT separates.",
        DATA,
        metavar="KIND|TEXT",
        longest=MAX_OPTION,
        escapes=True,
    )
    column: str | None = setting(
        None,
        "Column of CSV, TSV or JSON Lines files to read.",
        DATA,
        metavar="NAME",
        longest=MAX_OPTION,
    )
    min_count: int = setting(
        1, "Replace characters that occur fewer than N times with U+FFFD.", DATA, low=1, metavar="N"
    )
    include: str | None = setting(
        None,
        "Files to read in directories: patterns like '*.md,!b.md'.",
        DATA,
        metavar="GLOBS",
        longest=4096,
        shown="text files",
    )
    keep_duplicates: bool = setting(False, "Read files of equal content more than once.", DATA)
    force_text: bool = setting(False, "Read files that do not look like texts.", DATA)

    def _problems(self) -> list[str | None]:
        items, joined, kind = self.has_items, bool(self.separator), self.documents
        cut_at_lines = kind in ("lines", "blank-lines")
        is_plain = all(each.isprintable() or each in "\n\t\r" for each in kind)
        problems = {
            "a separator joins files, but documents are items": items and joined,
            "line ends cannot be kept where they separate items": cut_at_lines
            and self.newlines == "keep",
            "a column has items; documents must be lines, blank-lines or a text": not items
            and self.column is not None,
            "documents must not contain control characters": not is_plain,
        }
        include = None if self.include is None else _pattern_problem(self.include)
        return [include, *(problem for problem, is_real in problems.items() if is_real)]

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        for encoding in self.encodings:
            try:
                "".encode(encoding)
                codecs.getincrementaldecoder(encoding)("strict").decode(b"")
                if codecs.lookup(encoding).name in _NOT_STREAMS:
                    raise LookupError
            except (LookupError, TypeError, ValueError) as error:
                raise TextError(
                    f"unknown encoding {encoding!r}",
                    hint="use, for example, utf-8, latin-1, cp1252, shift_jis or gb18030",
                ) from error

    @property
    def encodings(self) -> tuple[str, ...]:
        """The encodings to try: a file is read in the first that fits it, else in the last."""
        return tuple(name.strip() for name in self.encoding.split(","))

    def replaced(self, given: Mapping[str, Any]) -> Self:
        """Return the options with some of them replaced by name; see `Settings.replaced`.

        With a column, documents are lines unless they are other items.
        """
        if given.get("column") is not None and not self.has_items:
            given = {"documents": "lines", **given}
        return self.from_json({**self.to_json(), **given})

    @property
    def has_items(self) -> bool:
        """Whether the documents are items of a list, not files."""
        return self.documents not in (UNMARKED, "files")

    @property
    def end(self) -> str:
        """The symbol that ends a document, if documents have one, and stands before the first."""
        return "\n" if self.documents == "lines" else END_OF_DOCUMENT

    @property
    def between(self) -> str:
        """Text that stands for the end of a document where a text is decoded or written."""
        known = {"lines": "\n", "blank-lines": "\n\n", "files": "", UNMARKED: ""}
        return known.get(self.documents, self.documents)


def _pattern_problem(include: str) -> str | None:
    names = [pattern.strip().removeprefix("!") for pattern in include.split(",")]
    return None if all(names) else f"include must be patterns with commas between; got {include!r}"

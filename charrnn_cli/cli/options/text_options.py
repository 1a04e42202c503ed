"""The options that say how files become one text; the same in every command that reads texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import CharrnnError, ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.storage.tensorfile import read_header

if TYPE_CHECKING:
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.text.vocab import Vocab

DEFAULT = TextOptions()
UNKNOWN = ("error", "skip", "extend")
_PANEL = "Data"
MOST_SKIPPED = 20  # files that are named


def _option(text: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=_PANEL, **settings)


def _texts(text: str) -> Any:
    return typer.Argument(metavar="TEXT...", help=text, show_default=False, allow_dash=True)


Texts = Annotated[
    list[Path] | None, _texts("Text files, .gz too; directories; - for standard input.")
]
TextsOrEncoded = Annotated[
    list[Path] | None,
    _texts("Text files, .gz too; directories; - for standard input; or one encoded file."),
]
Encoding = Annotated[str, _option("The text's encoding; a byte order mark decides over it.")]
Errors = Annotated[str, _option("What cannot be decoded.", metavar="strict|replace|ignore")]
Newlines = Annotated[
    str, _option("Make every line end a \\n, or keep all.", metavar="normalize|keep")
]
Normalize = Annotated[str, _option("Unicode's normal form.", metavar="none|nfc|nfkc")]
Include = Annotated[str, _option("Which files of a directory.", metavar="GLOB")]
Separator = Annotated[
    str,
    _option(
        "Put this between files; without it the model starts afresh with each.", metavar="TEXT"
    ),
]
MinCount = Annotated[int, _option("Characters that occur less often become U+FFFD.", metavar="N")]
Unknown = Annotated[
    str, _option("Characters that a given vocabulary does not have.", metavar="|".join(UNKNOWN))
]


def text_options(params: Mapping[str, Any]) -> TextOptions:
    """From a command's parameters; `\\n` and `\\t` in a separator are a new line and a tab. Raises ConfigError."""
    given = {name: params[name] for name in TextOptions().to_json()}
    given["separator"] = given["separator"].replace("\\n", "\n").replace("\\t", "\t")
    return TextOptions.from_json(given)


def check_unknown(unknown: str, vocabulary: str | None, option: str) -> None:
    """Raises ConfigError for no such choice, and for one that has no given vocabulary to be about."""
    if unknown not in UNKNOWN:
        raise ConfigError(f"--unknown must be one of {', '.join(UNKNOWN)}; got {unknown!r}")
    if vocabulary is None and unknown != "error":
        raise ConfigError(
            f"--unknown is about the vocabulary of {option}", hint="leave out --unknown"
        )


def title(texts: list[Path]) -> str:
    """How texts are called in a line: the first, and how many more."""
    first = "standard input" if texts[0] == STANDARD_INPUT else str(texts[0])
    return f"{first} and {len(texts) - 1} more" if len(texts) > 1 else first


def vocabulary_of(reference: str) -> "Vocab":
    """Of a checkpoint or of an encoded text. Raises NotFoundError, FileFormatError."""
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.text.corpus import CORPUS_KIND, Corpus

    path = Path(reference)
    try:
        is_corpus = path.is_file() and read_header(path).kind == CORPUS_KIND
    except CharrnnError:
        is_corpus = False  # the checkpoint's error says it
    if is_corpus:
        return Corpus.open(path).vocab
    return load_checkpoint(Registry().resolve(reference)).vocab


def read_as(facts: Mapping[str, Any]) -> str:
    """The encoding that a text turned out to be in."""
    mark = " (its byte order mark says so)" if facts.get("byte_order_mark") else ""
    return f"read as {facts.get('encoding', 'utf-8')}{mark}"


def describe_corpus(corpus: "Corpus") -> list[tuple[str, str]]:
    """What a person should know of how a text was read: labels and lines."""
    facts = corpus.metadata
    documents = f", {len(corpus.starts):,} documents" if len(corpus.starts) > 1 else ""
    read = read_as(facts)
    read = "" if read == read_as({}) else f", {read}"  # the usual needs no word
    lines = [
        (
            "text",
            f"{corpus.name}: {len(corpus):,} characters, {len(corpus.vocab):,} different{documents}{read}",
        )
    ]
    if "\ufffd" in corpus.vocab:
        replaced = int(corpus.counts_V[corpus.vocab.encode("\ufffd")[0]])
        if replaced:
            lines.append(("rare", f"{replaced:,} characters stand as U+FFFD, �"))
    unseen = facts.get("unseen") or {}
    if unseen:
        from charrnn_cli.text.symbol_table import described_characters

        described = described_characters(unseen, facts.get("num_unseen"))
        lines.append(("unseen", f"the vocabulary lacked {described}"))
    skipped = facts.get("skipped", [])
    lines += [("skipped", f"{name} {why}") for name, why in skipped[:MOST_SKIPPED]]
    more = facts.get("num_skipped", len(skipped)) - MOST_SKIPPED
    if more > 0:
        lines.append(("skipped", f"and {more:,} more"))
    return lines

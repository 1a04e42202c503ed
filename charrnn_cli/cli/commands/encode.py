"""`charrnn encode`: a text as integers and a vocabulary, once."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.byte_progress import bytes_progress
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.config import ModelConfig, TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.text.documents import text_name
from charrnn_cli.training.advice import advise_on_size
from charrnn_cli.training.recipe import automatic_embed

if TYPE_CHECKING:
    from charrnn_cli.config import Unknown
    from charrnn_cli.text.corpus import Corpus

_DEFAULT = TextOptions()

RARE = 5  # characters shown as rare
FIRST_IDS = 20
NOTEBOOK_WINDOW = 100 * 100


def encode(
    context: typer.Context,
    texts: text_options.Texts = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write.  [default: NAME.encoded.safetensors]",
            show_default=False,
        ),
    ] = None,
    encoding: text_options.Encoding = _DEFAULT.encoding,
    errors: text_options.Errors = _DEFAULT.errors,
    newlines: text_options.Newlines = _DEFAULT.newlines,
    normalize: text_options.Normalize = _DEFAULT.normalize,
    include: text_options.Include = _DEFAULT.include,
    separator: text_options.Separator = _DEFAULT.separator,
    min_count: text_options.MinCount = _DEFAULT.min_count,
    vocab: Annotated[
        str | None,
        typer.Option(
            metavar="REF|FILE",
            help="Use the vocabulary of a checkpoint or of an encoded text.",
            show_default=False,
            autocompletion=complete_reference,
            rich_help_panel="Data",
        ),
    ] = None,
    unknown: text_options.Unknown = "error",
    decode: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write an encoded file's text instead.", show_default=False
        ),
    ] = None,
    with_baselines: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Bits a character that simple models reach on the text's end."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object.")
    ] = False,
) -> None:
    """Turn a text into integers and a vocabulary. Optional: train does it by itself.

    Example: charrnn encode book.txt
    """
    if bool(texts) == (decode is not None):
        raise ConfigError(
            "name one TEXT or more to encode, or one FILE with --decode",
            hint="charrnn encode book.txt",
        )
    if decode is not None:
        _decode(decode, output)
        return
    assert texts is not None
    text_options.check_unknown(unknown, vocab, "--vocab")
    options = text_options.text_options(context.params)
    if output == STANDARD_INPUT:
        raise ConfigError(
            "an encoded file is not written to standard output", hint="name a file with --output"
        )
    output = output or Path(f"{text_name(texts[0])}.encoded.safetensors")

    from charrnn_cli.text.encoding import encode_text

    given = None if vocab is None else text_options.vocabulary_of(vocab)
    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        corpus = encode_text(
            texts, output, options, vocab=given, unknown=cast("Unknown", unknown), progress=progress
        )
    for label, line in text_options.describe_corpus(corpus)[1:]:
        console.say(label, line)
    summary = {"output": str(output), **_summary(corpus)}
    if with_baselines:
        from charrnn_cli.model.baselines import baselines

        scale = baselines(corpus)
        summary["baselines"] = dataclasses.asdict(scale)
    if as_json:
        console.write_json(summary)
    else:
        rows = _rows(corpus, summary)
        if with_baselines:
            rows.append(("scale", str(scale)))
        write_fields(rows, console.LABEL_WIDTH)
        named = f"./{output}" if str(output).startswith("-") else str(output)
        console.say("next", f"charrnn train {shlex.quote(named)}")


def _decode(path: Path, output: Path | None) -> None:
    from charrnn_cli.storage.atomic import atomic_write
    from charrnn_cli.text.corpus import Corpus

    corpus = Corpus.open(path)
    if output in (None, STANDARD_INPUT):
        for piece in corpus.text():
            console.write(piece)
        return
    assert output is not None
    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening(), atomic_write(output) as file:
        for piece in corpus.text():
            stop.check()
            file.write(piece.encode("utf-8"))


def _summary(corpus: "Corpus") -> dict[str, Any]:
    facts = corpus.metadata
    model = ModelConfig(vocabulary_size=len(corpus.vocab), embed=automatic_embed(len(corpus.vocab)))
    return {
        "characters": len(corpus),
        "vocabulary_size": len(corpus.vocab),
        "vocabulary": corpus.vocab.characters,
        "counts": corpus.counts_V.tolist(),
        "encoding": facts["encoding"],
        "byte_order_mark": facts["byte_order_mark"],
        "crlf": facts["crlf"],
        "cr": facts["cr"],
        "newlines": facts["newlines"],
        "documents": len(corpus.starts),
        "unseen": facts["unseen"],
        "windows_per_epoch": (len(corpus) - 1) // NOTEBOOK_WINDOW,
        "first_ids": corpus.read(0, min(FIRST_IDS, len(corpus))).tolist(),
        "parameters": model.num_parameters,
        "sha256": corpus.sha256,
    }


def _rows(corpus: "Corpus", summary: dict[str, Any]) -> list[tuple[str, str]]:
    from charrnn_cli.text.corpus import ids_dtype

    first_ids = " ".join(str(index) for index in summary["first_ids"])
    rows: list[tuple[str, str]] = [
        (
            "text",
            f"{len(corpus):,} characters, {len(corpus.vocab):,} different, {text_options.read_as(summary)}",
        ),
        ("ids", f"{ids_dtype(len(corpus.vocab)).lower()}; the first are {first_ids}"),
        ("symbols", _symbols(corpus.vocab.characters)),
    ]
    if len(corpus.vocab) > RARE:
        rows.append(("rare", _rare(corpus)))
    if summary["newlines"] == "normalize" and (summary["crlf"] or summary["cr"]):
        cr = f" and {summary['cr']:,} CR" if summary["cr"] else ""
        rows.append(("endings", f"{summary['crlf']:,} CRLF{cr} normalised to LF"))
    rows.append(("windows", f"{summary['windows_per_epoch']:,} of 100 x 100 characters an epoch"))
    advice = advise_on_size(summary["parameters"], len(corpus))
    rows.append(("advice", f"with the default model, {advice.message}"))
    rows.append(("wrote", summary["output"]))
    return rows


def _symbols(characters: str, limit: int = 200) -> str:
    shown = " ".join(_symbol(character) for character in characters[:limit])
    more = len(characters) - limit
    return f"{shown} … and {more:,} more" if more > 0 else shown


def _symbol(character: str) -> str:
    return {"\n": "\\n", "\t": "\\t", " ": "␣"}.get(character, character)


def _rare(corpus: "Corpus") -> str:
    order = corpus.counts_V.argsort(kind="stable")[:RARE]
    return ", ".join(
        f"{_symbol(character)} U+{ord(character):04X} {int(corpus.counts_V[index]):,}x"
        for index, character in (
            (int(index), corpus.vocab.characters[int(index)]) for index in order
        )
    )

"""`charrnn encode`: a text as integers and a vocabulary, once."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.advice import advise_on_size
from charrnn_cli.cli import console
from charrnn_cli.cli.progress_bytes import bytes_progress
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.config import ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.text import TextOptions

if TYPE_CHECKING:
    from charrnn_cli.corpus import Corpus

_DEFAULT = TextOptions()

TextArgument = Annotated[Path | None, typer.Argument(metavar="TEXT", help="A text file.", show_default=False)]
EncodingOption = Annotated[str, typer.Option(help="The text's encoding; a byte order mark decides over it.")]
NewlinesOption = Annotated[str, typer.Option(metavar="normalize|keep", help="Make every line end a \\n, or keep all.")]

RARE = 5  # characters shown as rare
FIRST_IDS = 20
NOTEBOOK_WINDOW = 100 * 100


def encode(
    text: TextArgument = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write.  [default: NAME.encoded.safetensors]", show_default=False),
    ] = None,
    encoding: EncodingOption = _DEFAULT.encoding,
    newlines: NewlinesOption = _DEFAULT.newlines,
    decode: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an encoded file's text instead.", show_default=False)
    ] = None,
    with_baselines: Annotated[
        bool, typer.Option("--baselines", help="Bits a character that simple models reach on the text's end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object.")] = False,
) -> None:
    """Turn a text into integers and a vocabulary. Optional: train does it by itself.

    Example: charrnn encode book.txt
    """
    if (text is None) == (decode is None):
        raise ConfigError("name one TEXT to encode, or one FILE with --decode", hint="charrnn encode book.txt")
    if decode is not None:
        _decode(decode, output)
        return
    assert text is not None
    options = TextOptions.from_json({"encoding": encoding, "newlines": newlines})
    output = output or Path(f"{text.stem or text.name}.encoded.safetensors")

    from charrnn_cli.corpus import encode_text

    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        corpus = encode_text(text, output, options, progress=progress)
    summary = {"output": str(output), **_summary(corpus)}
    if with_baselines:
        from charrnn_cli.baselines import baselines

        scale = baselines(corpus)
        summary["baselines"] = dataclasses.asdict(scale)
    if as_json:
        console.write_json(summary)
    else:
        _show(corpus, summary)
        if with_baselines:
            _line("scale", str(scale))
        console.say("next", f"charrnn train {output}")


def _decode(path: Path, output: Path | None) -> None:
    from charrnn_cli.corpus import Corpus
    from charrnn_cli.publish import publish

    corpus = Corpus.open(path)
    if output is None:
        for piece in corpus.text():
            console.write(piece)
        return
    with publish(output) as file:
        for piece in corpus.text():
            file.write(piece.encode("utf-8"))


def _summary(corpus: "Corpus") -> dict[str, Any]:
    facts = corpus.metadata
    model = ModelConfig(vocabulary_size=len(corpus.vocab))
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
        "windows_per_epoch": (len(corpus) - 1) // NOTEBOOK_WINDOW,
        "first_ids": corpus.read(0, min(FIRST_IDS, len(corpus))).tolist(),
        "parameters": model.num_parameters,
        "sha256": corpus.sha256,
    }


def _show(corpus: "Corpus", summary: dict[str, Any]) -> None:
    rows: list[tuple[str, str]] = [
        ("text", f"{len(corpus):,} characters, {len(corpus.vocab):,} different, {_read_as(summary)}"),
        (
            "ids",
            f"{_dtype(len(corpus.vocab))}; the first are {' '.join(str(index) for index in summary['first_ids'])}",
        ),
        ("symbols", _symbols(corpus.vocab.characters)),
    ]
    if len(corpus.vocab) > RARE:
        rows.append(("rare", _rare(corpus)))
    if summary["newlines"] == "normalize" and (summary["crlf"] or summary["cr"]):
        cr = f" and {summary['cr']:,} CR" if summary["cr"] else ""
        rows.append(("newlines", f"{summary['crlf']:,} CRLF{cr} normalised to LF"))
    rows.append(("windows", f"{summary['windows_per_epoch']:,} of 100 x 100 characters an epoch"))
    advice = advise_on_size(summary["parameters"], len(corpus))
    rows.append(("advice", f"with the default model, {advice.message}"))
    rows.append(("wrote", summary["output"]))
    for label, text in rows:
        _line(label, text)


def _line(label: str, text: str) -> None:
    console.write_line(f"{label:<{console.LABEL_WIDTH}} {console.safe(text)}")


def _read_as(summary: dict[str, Any]) -> str:
    mark = " (its byte order mark says so)" if summary["byte_order_mark"] else ""
    return f"read as {summary['encoding']}{mark}"


def _dtype(vocabulary_size: int) -> str:
    return "u8" if vocabulary_size <= 1 << 8 else "u16" if vocabulary_size <= 1 << 16 else "u32"


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
        for index, character in ((int(index), corpus.vocab.characters[int(index)]) for index in order)
    )

"""`charrnn encode`: encode a text as integers and a vocabulary."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.corpus_output import describe_unusual, summary_lines
from charrnn_cli.cli.terminal.formats import format_scale
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.config import DATA, TextOptions
from charrnn_cli.errors import CharrnnError, ConfigError
from charrnn_cli.settings import option_names
from charrnn_cli.shell import path_word
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.documents import text_name
from charrnn_cli.training.presets import automatic_settings, from_preset
from charrnn_cli.training.recipe import completed

if TYPE_CHECKING:
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.text.vocab import Vocab

_DEFAULT = TextOptions()

FIRST_IDS = 20
NOTEBOOK_WINDOW = 100 * 100  # characters per step of the "Anna KaRNNa" notebook


def encode(
    context: typer.Context,
    texts: text_options.Texts = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=with_default("Encoded file to write.", "NAME.encoded.safetensors"),
            show_default=False,
        ),
    ] = None,
    encoding: text_options.Encoding = _DEFAULT.encoding,
    errors: text_options.Errors = _DEFAULT.errors,
    newlines: text_options.Newlines = _DEFAULT.newlines,
    normalize: text_options.Normalize = _DEFAULT.normalize,
    include: text_options.Include = _DEFAULT.include,
    keep_duplicates: text_options.KeepDuplicates = _DEFAULT.keep_duplicates,
    force_text: text_options.ForceText = _DEFAULT.force_text,
    separator: text_options.Separator = _DEFAULT.separator,
    documents: text_options.Documents = _DEFAULT.documents,
    column: text_options.Column = _DEFAULT.column,
    min_count: text_options.MinCount = _DEFAULT.min_count,
    vocab: Annotated[
        str | None,
        typer.Option(
            metavar="REF|FILE",
            help="Use the vocabulary of a checkpoint or encoded file.",
            show_default=False,
            autocompletion=complete_reference,
            rich_help_panel=DATA,
        ),
    ] = None,
    unknown: text_options.EncodeUnknown = "error",
    decode: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Decode FILE to text instead of encoding.", show_default=False
        ),
    ] = None,
    with_baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Also show the losses of simple models on the text."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
) -> None:
    """Encode a text as integers and a vocabulary.

    `train` does this automatically.

    Example: charrnn encode book.txt
    """
    if decode is not None and not texts:
        if as_json or with_baselines or vocab is not None:
            raise ConfigError(
                "--decode cannot be combined with --json, --baselines or --vocab",
                hint="leave them out, because --decode only writes the text",
            )
        if given := text_options.given_options(context):
            names = option_names(given)
            raise ConfigError(
                f"--decode cannot be combined with {names}", hint=f"leave out {names}"
            )
        _decode(decode, output)
        return
    if decode is not None or not texts:
        raise ConfigError("give either TEXT or --decode FILE", hint="charrnn encode book.txt")
    output = output or Path(f"{text_name(texts[0])}.encoded.safetensors")
    corpus = _encode(texts, output, context)
    for label, line in describe_unusual(corpus):
        console.say(label, line)
    model = _default_model(corpus)
    summary = {"output": str(output), **_summary(corpus, model)}
    lines = [] if as_json else summary_lines(corpus, model, summary)
    if with_baselines:
        from charrnn_cli.model.baselines import baselines

        scale = baselines(corpus)
        summary["baselines"] = dataclasses.asdict(scale)
        lines.append(("scale", ", ".join(format_scale(scale.labelled))))
    if as_json:
        console.write_json(summary)
        return
    write_fields(lines, console.LABEL_WIDTH)
    console.say("next", f"charrnn train {path_word(str(output))}")


def _encode(texts: list[Path], output: Path, context: typer.Context) -> "Corpus":
    params, given = context.params, text_options.given_options(context)
    unknown = text_options.check_unknown(params["unknown"], text_options.UNKNOWN_ENCODE)
    text_options.check_unknown_applies(unknown, params["vocab"], "--vocab")
    if output == STANDARD_INPUT:
        raise ConfigError(
            "cannot write an encoded file to standard output", hint="specify a file with --output"
        )
    from charrnn_cli.text.encoding import encode_text

    vocab, options = None, TextOptions().replaced(given)
    if params["vocab"] is not None:
        vocab, options = _load_vocabulary(params["vocab"], given)
    stop = StopRequest()
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        return encode_text(texts, output, options, vocab=vocab, unknown=unknown, progress=progress)


def _load_vocabulary(reference: str, given: Mapping[str, Any]) -> tuple["Vocab", TextOptions]:
    """Load the vocabulary of a checkpoint or an encoded file, and the options of its text.

    Options given by name replace the recorded ones.
    Raises NotFoundError, FileFormatError, ConfigError.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.reading import options_for, reading_options
    from charrnn_cli.storage.corpus_header import CORPUS_KIND
    from charrnn_cli.text.corpus import Corpus

    path = Path(reference)
    try:
        is_corpus = read_header(path, follow=True).kind == CORPUS_KIND
    except CharrnnError:
        is_corpus = False  # loading it as a checkpoint reports the problem
    if is_corpus:
        corpus = Corpus.open(path)
        return corpus.vocab, options_for(corpus.header.reading, corpus.vocab, given)
    checkpoint = load_checkpoint(Registry().resolve(reference))
    return checkpoint.vocab, reading_options(checkpoint, given)


def _decode(path: Path, output: Path | None) -> None:
    from charrnn_cli.storage.atomic import atomic_write
    from charrnn_cli.text.corpus import Corpus

    corpus = Corpus.open(path)
    if output is None or output == STANDARD_INPUT:
        for piece in corpus.text():
            console.write(piece)
        return
    stop = StopRequest()
    with stop.listening(), atomic_write(output) as file:
        for piece in corpus.text():
            stop.check()
            file.write(piece.encode("utf-8"))


def _default_model(corpus: "Corpus") -> ModelConfig:
    automatic = automatic_settings("default", {})
    return completed(from_preset("default", {})[0], automatic, len(corpus.vocab))


def _summary(corpus: "Corpus", model: ModelConfig) -> dict[str, Any]:
    facts = corpus.header
    return {
        "characters": corpus.num_characters,
        "vocabulary_size": len(corpus.vocab),
        "vocabulary": corpus.vocab.characters,
        "counts": corpus.counts_V.tolist(),
        "encoding": facts.encoding,
        "byte_order_mark": facts.byte_order_mark,
        "files_per_encoding": facts.files_per_encoding,
        "crlf": facts.crlf,
        "crcrlf": facts.crcrlf,
        "cr": facts.cr,
        "newlines": facts.reading.newlines,
        "documents": corpus.num_documents,
        "files": facts.files,
        "left_out": facts.left_out,
        "unseen": facts.unseen,
        "windows_per_epoch": (len(corpus) - 1) // NOTEBOOK_WINDOW,
        "first_ids": corpus.read(0, min(FIRST_IDS, len(corpus))).tolist(),
        "parameters": model.num_parameters,
        "sha256": corpus.sha256,
    }

"""`charrnn score`: measure how well models predict a text."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.threads import threads_option
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.scored_models import ScoredModel, scored_models
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.score_output import (
    HeatMap,
    ItemScores,
    LineScores,
    ScoreConsumer,
    TotalScore,
    show_lines,
    show_scores,
)
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.paths import check_working_directory
from charrnn_cli.storage.registry import Registry

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.scoring import Predictor
    from charrnn_cli.text.corpus import Corpus

_TEXT = TextOptions()

TORCH_FROM = 200_000  # characters; for a shorter text, importing torch takes longer than it saves


def score(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="REF... TEXT",
            help="One or more models, then a text; no text with --split.",
            autocompletion=complete_reference,
        ),
    ],
    split: text_options.Split = None,
    per_line: Annotated[
        bool, typer.Option("--per-line", help="Score each line or item of the text.")
    ] = False,
    encoding: text_options.Encoding = _TEXT.encoding,
    errors: text_options.Errors = _TEXT.errors,
    newlines: text_options.Newlines = _TEXT.newlines,
    normalize: text_options.Normalize = _TEXT.normalize,
    include: text_options.Include = _TEXT.include,
    separator: text_options.Separator = _TEXT.separator,
    documents: text_options.Documents = _TEXT.documents,
    column: text_options.Column = _TEXT.column,
    keep_duplicates: text_options.KeepDuplicates = False,
    force_text: text_options.ForceText = False,
    unknown: text_options.ScoreUnknown = "error",
    threads: Annotated[int | None, threads_option("1; all for a long text")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array with one object per model.")
    ] = False,
) -> None:
    """Measure how well models predict a text, in bits per character.

    Lower is better. The text is read as the training text of each model was, except for the options
    given here. It is scored in chunks of 20,000 characters. Before each chunk, the model starts
    from the zero state and reads the 1,000 characters that precede the chunk. For a model of items
    or of several files, each item or file is scored from its first character to its end.

    Example: charrnn score anna-lstm-2x512 chapter.txt
    """
    if split is not None:
        from charrnn_cli.cli.score_split import show_splits

        show_splits(context, split, names, threads, as_json=as_json)
        return
    if len(names) < 2:
        raise ConfigError(
            "at least one model and a text are required", hint="charrnn score latest book.txt"
        )
    choice = text_options.check_unknown(unknown, text_options.UNKNOWN_SCORE)
    given = text_options.given_options(context)
    *references, text = names
    paths = [Registry().resolve(reference) for reference in references]
    set_blas_threads(threads)  # of numpy, which scores short texts
    stop = StopRequest()
    with stop.listening():
        models = scored_models(paths, Path(text), given, choice, stop)
        heat_map = console.is_fancy(sys.stdout) and not as_json
        rows = [
            _score_model(
                model,
                stop,
                per_line=per_line,
                heat_map=heat_map,
                is_alone=len(paths) == 1,
                threads=threads,
            )
            if isinstance(model, ScoredModel)
            else model
            for model in models
        ]
    if as_json:
        console.write_json(rows)
    elif per_line:
        for row in rows:
            show_lines(row)
    else:
        show_scores(rows)


def _score_model(
    model: ScoredModel,
    stop: StopRequest,
    *,
    per_line: bool,
    heat_map: bool,
    is_alone: bool,
    threads: int | None,
) -> dict[str, Any]:
    """Score a text under one model, and show the heat map. Return an object for JSON."""
    text, predictor = model.text, _predictor(model.checkpoint, len(model.text), threads)
    first = "" if model.has_documents else text.vocab.decode(text.read(0, 1).tolist())
    lines: LineScores | ItemScores | None = None
    if per_line:
        lines = ItemScores() if model.has_documents and text.has_items else LineScores(first)
    shown = HeatMap(first) if heat_map and not per_line else None
    consumers = [consumer for consumer in (lines, shown) if consumer is not None]
    measure = _score_documents if model.has_documents else _score_text
    total = measure(text, predictor, stop, consumers)
    if shown is not None:
        if not is_alone:
            console.say("score", model.name)
        shown.show()
    row = {
        "checkpoint": model.name,
        **total.to_json(),
        "skipped": model.skipped,
        "replaced": model.replaced,
    }
    return row if lines is None else {**row, "lines": lines.finish()}


def _score_text(
    text: "Corpus", predictor: "Predictor", stop: StopRequest, consumers: Sequence[ScoreConsumer]
) -> TotalScore:
    """Score one text, and pass its characters on with their losses, except for the first."""
    from charrnn_cli.model.scoring import character_losses

    done, total = 1, TotalScore()
    with bytes_progress("scoring", stop) as progress:
        for losses_N in character_losses(predictor, text, progress):
            losses = losses_N.tolist()
            total.add(losses)
            if consumers:
                piece = text.vocab.decode(text.read(done, done + len(losses)).tolist())
                for consumer in consumers:
                    consumer.add(piece, losses)
            done += len(losses)
    return total


def _score_documents(
    text: "Corpus", predictor: "Predictor", stop: StopRequest, consumers: Sequence[ScoreConsumer]
) -> TotalScore:
    """Score documents, and pass each on with the losses of its characters and of its end."""
    from charrnn_cli.model.document_scoring import document_losses

    with bytes_progress("scoring", stop) as progress:
        found = document_losses(predictor, text, progress)
    between = text.header.reading.between
    for start, stop_at in found.spans.tolist() if consumers else []:
        document = text.vocab.decode(text.read(start, stop_at - 1).tolist())
        for consumer in consumers:
            consumer.add_document(document, between, found.losses[start:stop_at].tolist())
    return TotalScore(found.characters, found.nats)


def _predictor(checkpoint: "Checkpoint", characters: int, threads: int | None) -> "Predictor":
    """Return numpy's or torch's predictor; torch uses all cores unless `threads` limits them."""
    if characters < TORCH_FROM:
        from charrnn_cli.model.scoring import NumpyPredictor

        return NumpyPredictor(checkpoint)
    check_working_directory()
    console.say("charrnn", "loading torch, because the text is long")
    from charrnn_cli.training.device import choose_device, set_threads
    from charrnn_cli.training.evaluation import TorchPredictor

    if threads is not None:
        set_threads(threads)
    return TorchPredictor(checkpoint, choose_device("auto"))

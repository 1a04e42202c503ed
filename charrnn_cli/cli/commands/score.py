"""`charrnn score`: measure how well models predict a text."""

import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.threads import threads_option
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.corpus_output import describe_skipped
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.score_output import (
    HeatMap,
    LineScores,
    TotalScore,
    show_lines,
    show_scores,
    without_score,
)
from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.storage.paths import check_working_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT, is_read_once

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
        bool, typer.Option("--per-line", help="Score each line of the text.")
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
    from the zero state and reads the 1,000 characters that precede the chunk.

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
        models = _models(paths, Path(text), given, choice, stop)
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
            if isinstance(model, _Model)
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


@dataclass(frozen=True, slots=True)
class _Model:
    """A model, and the text as it reads it."""

    checkpoint: "Checkpoint"
    name: str
    """Reference of the checkpoint."""
    text: "Corpus"
    """In the ids of the model."""
    skipped: int
    """Characters left out, because a model does not know them."""
    replaced: int
    """Characters that became U+FFFD."""


def _models(
    paths: list[Path], text: Path, given: Mapping[str, Any], unknown: Unknown, stop: StopRequest
) -> list[_Model | dict[str, Any]]:
    """Load the models, and read the text for each as its training text was read.

    With `unknown="skip"`, characters that a model does not know are left out for all of them.
    Otherwise, a model that lacks characters is left out, as an object for JSON.
    Raises ConfigError, and UnknownCharacterError if all models lack characters.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.reading import in_model_vocabulary, reading_options
    from charrnn_cli.text.encoding import check_options_apply

    check_options_apply([text], given)
    checkpoints = [load_checkpoint(path) for path in paths]
    readings = [reading_options(checkpoint, given) for checkpoint in checkpoints]
    corpora = _corpora(text, readings, stop)
    models: list[_Model | dict[str, Any]] = []
    errors: list[UnknownCharacterError] = []
    for path, checkpoint, reading, corpus in zip(
        paths, checkpoints, readings, corpora, strict=True
    ):
        name = Registry().reference_of(path, checkpoint.step)
        skipped = [
            character
            for character in corpus.vocab.characters
            if unknown == "skip" and not all(character in each.vocab for each in checkpoints)
        ]
        try:
            known = in_model_vocabulary(corpus, checkpoint, skipped)
        except UnknownCharacterError as error:
            models.append(without_score(name, error.message))
            hint = _joining_hint(text, reading, checkpoint, stop) if not errors else None
            errors.append(UnknownCharacterError(error.message, hint=hint or error.hint))
            continue
        lacking = [
            int(count)
            for character, count in zip(corpus.vocab.characters, corpus.counts_V, strict=True)
            if character not in checkpoint.vocab and character not in skipped
        ]
        model = _Model(checkpoint, name, known, len(corpus) - len(known), sum(lacking))
        _report(model, is_alone=len(paths) == 1)
        models.append(model)
    if len(errors) == len(models):
        raise errors[0]
    return models


def _joining_hint(
    text: Path, reading: TextOptions, checkpoint: "Checkpoint", stop: StopRequest
) -> str | None:
    """Return a hint that names --normalize, if the model knows the text in that form."""
    from charrnn_cli.text.joining_form import JOINING_FORMS

    if _is_read_once(text):
        return None
    for form in JOINING_FORMS:
        if form != reading.normalize:
            (corpus,) = _corpora(text, [reading.replaced({"normalize": form})], stop)
            if all(character in checkpoint.vocab for character in corpus.vocab.characters):
                return f"read the text with --normalize {form}"
    return None


def _corpora(text: Path, readings: list[TextOptions], stop: StopRequest) -> list["Corpus"]:
    """Read the text once for each different reading. Raises ConfigError, TextError."""
    from charrnn_cli.text.cache import cached_corpus

    # A model's own rare characters are replaced, not those of this text.
    whole = [reading.replaced({"min_count": 1}) for reading in readings]
    if len(set(whole)) > 1 and _is_read_once(text):
        raise ConfigError(
            "the models read texts differently, and this text can be read only once",
            hint="save the text in a file, or score the models one by one",
        )
    found = {}
    with bytes_progress("encoding", stop) as progress:
        for reading in dict.fromkeys(whole):
            found[reading] = cached_corpus(text, reading, progress=progress)
    lines = itertools.chain.from_iterable(map(describe_skipped, found.values()))
    for label, line in dict.fromkeys(lines):
        console.say(label, line)
    return [found[reading] for reading in whole]


def _is_read_once(text: Path) -> bool:
    return text == STANDARD_INPUT or is_read_once(text)


def _report(model: _Model, *, is_alone: bool) -> None:
    """Report characters that a model does not know. Raises ConfigError if less than 2 are left."""
    from charrnn_cli.model.scoring import check_length

    check_length(len(model.text), f" that {model.name} knows" if model.skipped else "")
    if model.skipped:
        whose = f"{model.name} does not know" if is_alone else "not all models know"
        console.say("skipped", f"{format_count(model.skipped, 'character')} that {whose}")
    if model.replaced:
        replaced = format_count(model.replaced, "rare character")
        console.say("U+FFFD", f"{replaced}, as in the training text of {model.name}")
    if model.text.sha256 == model.checkpoint.data.counted:
        seen = f"the n-grams of {model.name} were counted in this text, so its loss is too low"
        console.say("note", seen)


def _score_model(
    model: _Model,
    stop: StopRequest,
    *,
    per_line: bool,
    heat_map: bool,
    is_alone: bool,
    threads: int | None,
) -> dict[str, Any]:
    """Score a text under one model, and show the heat map. Return an object for JSON."""
    from charrnn_cli.model.scoring import character_losses

    text = model.text
    characters = itertools.chain.from_iterable(text.text())
    first = next(characters)  # has no score
    total = TotalScore()
    lines = LineScores(first) if per_line else None
    shown = HeatMap(first) if heat_map and not per_line else None
    predictor = _predictor(model.checkpoint, len(text), threads)
    with bytes_progress("scoring", stop) as progress:
        for losses_N in character_losses(predictor, text, progress):
            losses = losses_N.tolist()
            total.add(losses)
            if lines is not None or shown is not None:
                piece = "".join(itertools.islice(characters, len(losses)))
                for consumer in (lines, shown):
                    if consumer is not None:
                        consumer.add(piece, losses)
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

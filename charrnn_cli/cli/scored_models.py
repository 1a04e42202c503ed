"""The models of `charrnn score`, and the text as each of them reads it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.corpus_output import describe_skipped
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.score_output import without_score
from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT, is_read_once

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.text.corpus import Corpus


@dataclass(frozen=True, slots=True)
class ScoredModel:
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

    @property
    def has_documents(self) -> bool:
        """Whether the text is read as documents with the end symbol of the model's."""
        from charrnn_cli.model.reading import end_symbol

        return self.text.end is not None and self.text.end == end_symbol(self.checkpoint)


def scored_models(
    paths: list[Path], text: Path, given: Mapping[str, Any], unknown: Unknown, stop: StopRequest
) -> list[ScoredModel | dict[str, Any]]:
    """Load the models, and read the text for each as its training text was read.

    With `unknown="skip"`, characters that a model does not know are left out for all of them.
    Otherwise, a model that lacks characters is left out, as an object for JSON.
    Raises ConfigError, and UnknownCharacterError if all models lack characters.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.reading import reading_options, without_unknown_end
    from charrnn_cli.text.encoding import check_options_apply

    check_options_apply([text], given)
    checkpoints = [load_checkpoint(path) for path in paths]
    readings = [
        without_unknown_end(reading_options(checkpoint, given), checkpoint, text)
        for checkpoint in checkpoints
    ]
    corpora = _corpora(text, readings, stop)
    models: list[ScoredModel | dict[str, Any]] = []
    errors: list[UnknownCharacterError] = []
    for path, checkpoint, reading, corpus in zip(
        paths, checkpoints, readings, corpora, strict=True
    ):
        name = Registry().reference_of(path, checkpoint.step)
        skipped = [
            character
            for character in corpus.vocab.characters
            if unknown == "skip"
            and character != corpus.end
            and not all(character in each.vocab for each in checkpoints)
        ]
        try:
            known = _known(corpus, checkpoint, skipped)
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
        num_skipped = corpus.num_characters - known.num_characters
        model = ScoredModel(checkpoint, name, known, num_skipped, sum(lacking))
        _report(model, is_alone=len(paths) == 1)
        models.append(model)
    if len(errors) == len(models):
        raise errors[0]
    return models


def _known(corpus: "Corpus", checkpoint: "Checkpoint", skipped: list[str]) -> "Corpus":
    """Return a text in the ids of a model of documents or of one text.

    A file alone is a document of a model of files. Raises UnknownCharacterError, TextError.
    """
    from charrnn_cli.model.reading import end_symbol, has_items, in_model_vocabulary
    from charrnn_cli.text.one_document import between_ends

    known, end = in_model_vocabulary(corpus, checkpoint, skipped), end_symbol(checkpoint)
    is_document = end is not None and known.end is None and not has_items(checkpoint)
    return between_ends(known, end) if is_document and end is not None else known


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


def _report(model: ScoredModel, *, is_alone: bool) -> None:
    """Report characters that a model does not know.

    Raises ConfigError if too few are left to score.
    """
    from charrnn_cli.model.scoring import check_length

    if not model.has_documents:
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

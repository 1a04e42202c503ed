"""The text of a job: where it is, and how it is read."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TextOptions, TrainConfig, Unknown
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.ngram_counts import MAX_COUNTED, counted_spans
from charrnn_cli.model.ngram_tables import count_tables, most_bytes
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.model.reading import options_for, reading_options
from charrnn_cli.settings import option_name
from charrnn_cli.storage.references import is_path
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_read_once
from charrnn_cli.storage.tensorfile import MAX_HEADER_BYTES
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.encoding import Accept, accept_any, check_options_apply, is_encoded
from charrnn_cli.text.held_out import HeldOut, JoinedCorpus
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.text.spans import read_spans
from charrnn_cli.text.splits import Split
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.checks import check_prime, new_hint
from charrnn_cli.training.phases import Announce, not_announced
from charrnn_cli.training.presets import with_own_validation

SECONDS_TO_COUNT = 1e-6  # per character, on a busy machine


def check_recordable(source: Source | Corpus) -> None:
    """Check that a resume file has room for the texts' paths. Raises TextError."""
    if isinstance(source, Source) and len(json.dumps(source.to_json())) > MAX_HEADER_BYTES // 2:
        raise TextError(
            f"{len(source.paths):,} paths are too many to record for --resume",
            hint="name a directory instead of its files",
        )


def resolve_initial(
    source: Source, reference: str, registry: Registry
) -> tuple[Source, Checkpoint]:
    """Load the checkpoint that a reference names; the source gets a reference that never moves.

    Raises NotFoundError, ConfigError, FileFormatError, StorageError.
    """
    path = registry.resolve(reference)
    initial = load_checkpoint(path)
    is_named = is_path(reference)
    fixed = str(path.absolute()) if is_named else registry.reference_of(path, initial.step)
    return dataclasses.replace(source, init_from=fixed), initial


def settings_of(text: Source | Path | Corpus, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of a run on a text, which may have a validation text of its own.

    Raises ConfigError if they do not go with it.
    """
    is_validated = isinstance(text, Source) and text.val is not None
    return with_own_validation(settings) if is_validated else settings


def check_reading_options(source: Source | Corpus, options: Mapping[str, Any]) -> None:
    """Raise ConfigError if options for reading a text are given for an encoded one."""
    if isinstance(source, Source):
        is_of_text = source.unknown != "error" and not source.held_out
        unknown = ["unknown"] if is_of_text else []
        check_options_apply(source.paths, [*options, *unknown])
    elif options:
        raise ConfigError("a text in memory is already encoded", hint="leave out its options")


def with_reading_options(
    source: Source, initial: Checkpoint | None, given: Mapping[str, Any]
) -> Source:
    """Complete the options for reading a text. Raises ConfigError, TextError."""
    if len(source.paths) == 1 and is_encoded(source.paths[0]):
        return dataclasses.replace(source, options=TextOptions())
    options = source.options
    if options is None and initial is not None:
        options = reading_options(initial)
    return dataclasses.replace(source, options=(options or TextOptions()).replaced(given))


def read_new(
    source: Source | Corpus,
    config: TrainConfig,
    initial: Checkpoint | None,
    progress: ProgressCallback,
) -> Corpus:
    """Read the text of a new run, in the vocabulary of its initial checkpoint, if any.

    Texts held out in files of their own are joined to it.
    """
    if initial is None:
        return with_held_out(read_source(source, None, progress), source, progress)
    if isinstance(source, Corpus) or source.unknown != "extend":
        check_prime(config, initial.data.reading, initial.vocab, is_model=True)
    hint = "add them with --unknown extend, or leave them out with --unknown skip"
    with new_hint(UnknownCharacterError, lambda: hint):
        corpus = read_source(source, initial.vocab, progress)
    return with_held_out(corpus, source, progress)


def read_source(
    source: Source | Corpus,
    vocab: Vocab | None,
    progress: ProgressCallback,
    accept: Accept = accept_any,
) -> Corpus:
    if isinstance(source, Corpus):
        accept(source.sha256, source.vocab)
        return source
    return cached_corpus(
        source.paths,
        source.options,
        vocab=vocab,
        unknown=source.unknown,
        progress=progress,
        accept=accept,
    )


def with_held_out(corpus: Corpus, source: Source | Corpus, progress: ProgressCallback) -> Corpus:
    """Join the texts that a source holds out in files of their own to its training text.

    They are read as the training text was, in its vocabulary. Raises ConfigError, TextError,
    UnknownCharacterError, FileFormatError, StorageError.
    """
    if isinstance(source, Corpus) or not source.held_out:
        return corpus
    texts = {
        name: _read_held_out(corpus, name, path, source.unknown, progress)
        for name, path in source.held_out.items()
    }
    return JoinedCorpus(corpus, HeldOut(**texts))


def _read_held_out(
    corpus: Corpus, name: str, path: Path, unknown: Unknown, progress: ProgressCallback
) -> Corpus:
    option = option_name(name)
    if path == STANDARD_INPUT or is_read_once(path):
        raise ConfigError(
            f"{option} must be a file that can be read again", hint="save the text in a file"
        )
    kept: Unknown = "skip" if unknown == "skip" else "error"
    try:
        text = cached_corpus(
            path,
            options_for(corpus.header.reading, corpus.vocab),
            vocab=corpus.vocab,
            unknown=kept,
            progress=progress,
        )
        lacking = [each for each in text.vocab.characters if each not in corpus.vocab]
        text = in_vocabulary(text, corpus.vocab, skipped=lacking if kept == "skip" else ())
    except UnknownCharacterError as error:
        hint = "remove these characters from the file" if unknown == "extend" else error.hint
        raise UnknownCharacterError(f"{option} {path}: {error.message}", hint=hint) from None
    if corpus.has_items != text.has_items:
        raise TextError(
            f"{option} {path} was encoded with other --documents than the training text",
            hint="use the original text",
        )
    return text


def count_ngrams(
    corpus: Corpus,
    split: Split,
    model: ModelConfig,
    progress: ProgressCallback = no_progress,
    announce: Announce = not_announced,
) -> NgramModel | None:
    """Count the n-grams of the training text, if the model has any; takes up to 15 s.

    Raises as `Corpus.read` does.
    """
    if not model.ngram:
        return None
    announce("counting n-grams", SECONDS_TO_COUNT * min(len(corpus), MAX_COUNTED))
    text, characters = read_spans(corpus, counted_spans(split.train)), len(corpus)
    limit = most_bytes(model.num_parameters)
    check = functools.partial(progress, characters, characters)
    return count_tables(text, model.vocabulary_size, model.ngram, limit, check)

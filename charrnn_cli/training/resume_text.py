"""The text with which a run resumes, and whether it is the run's own."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import MismatchError, TextError
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import is_encoded
from charrnn_cli.text.held_out import held_out_of
from charrnn_cli.text.vocab import Vocab, named_characters
from charrnn_cli.training.follow_up import command_for_new_run
from charrnn_cli.training.resume import ResumePoint


def resumed_source(
    point: ResumePoint, texts: Sequence[Path] = (), options: Mapping[str, Any] | None = None
) -> tuple[Source, Vocab | None]:
    """Return the text to continue with, and the vocabulary to use instead of its own, if any.

    `texts` and the reading options given by name replace the recorded ones. Raises TextError for a
    missing text, ConfigError.
    """
    name, reading = point.run.name, point.snapshot.checkpoint.data.reading
    hint = f"charrnn train TEXT --resume {name}"
    recorded = point.snapshot.source
    if recorded is None:
        if not texts:
            raise TextError(f"run {name!r} does not record where its text is", hint=hint)
        return Source(tuple(texts), TextOptions().replaced(options or {})), None
    source = dataclasses.replace(
        recorded,
        paths=tuple(texts) or recorded.paths,
        options=own_options(reading, recorded, texts).replaced(options or {}),
    )
    why_missing = None if texts else source.why_missing
    if why_missing is not None:
        raise TextError(f"the text of run {name!r} {why_missing}", hint=hint)
    if source.missing_held_out is not None:
        raise TextError(
            f"a held-out text of run {name!r} no longer exists: {source.missing_held_out}",
            hint="restore this file",
        )
    return source, point.snapshot.checkpoint.vocab if source.init_from else None


def own_options(reading: TextOptions, recorded: Source, texts: Sequence[Path] = ()) -> TextOptions:
    """Return the options for reading a run's text, or one that replaces it.

    `reading` are those that its checkpoint records.

    An encoded text is read without options. The text from which it was encoded is read as then.
    """
    paths = tuple(texts) or recorded.paths
    if len(paths) == 1 and is_encoded(paths[0]):
        return TextOptions()
    if recorded.options is None or recorded.options == TextOptions():
        return reading
    return recorded.options


def check_text(
    point: ResumePoint,
    sha256: str,
    vocab: Vocab,
    *,
    allow_new_data: bool,
    settings: Mapping[str, Any] | None = None,
    texts: Sequence[Path] = (),
) -> None:
    """Check that a text is the run's or, with `allow_new_data`, has the run's vocabulary.

    `sha256` is the digest of the encoded text. Raises MismatchError, whose hint is a command with
    `settings` and `texts`, as they were given.
    """
    checkpoint = point.snapshot.checkpoint
    if sha256 == checkpoint.data.sha256:
        return
    same_vocabulary = vocab == checkpoint.vocab
    if same_vocabulary and allow_new_data:
        return
    trained = f"run {point.run.name!r} was trained on {checkpoint.data.name!r}"
    if same_vocabulary:
        raise MismatchError(f"{trained}; this is a different text", hint="add --allow-new-data")
    new = [character for character in vocab.characters if character not in checkpoint.vocab]
    missing = [character for character in checkpoint.vocab.characters if character not in vocab]
    difference = "has its characters in another order"  # as an encoded file may
    if new or missing:
        what = "has new characters" if new else "lacks characters"
        difference = f"{what}: {named_characters(new or missing)}"
    raise MismatchError(
        f"{trained}; this text {difference}",
        hint=hint_for_new_run(point, settings or {}, texts, extend=bool(new)),
    )


def check_held_out(point: ResumePoint, corpus: Corpus, *, allow_new_data: bool) -> None:
    """Check that the texts held out in files of their own are the run's. Raises MismatchError."""
    held_out, recorded = held_out_of(corpus), point.snapshot.checkpoint.data
    for kind, found, known in (
        ("validation", held_out.val_sha256, recorded.val_sha256),
        ("test", held_out.test_sha256, recorded.test_sha256),
    ):
        if found != known and not allow_new_data:
            raise MismatchError(
                f"the {kind} text of run {point.run.name!r} has changed",
                hint="restore it, or add --allow-new-data",
            )


def hint_for_new_run(
    point: ResumePoint, settings: Mapping[str, Any], texts: Sequence[Path], *, extend: bool
) -> str:
    """Return the hint for a text that needs a new run."""
    command = command_for_new_run(point.run, point.snapshot, settings, texts=texts, extend=extend)
    return f"continue in a new run: {command}"

"""The training text of a checkpoint, read again from where its run recorded it."""

import dataclasses

from charrnn_cli.errors import MismatchError, TextError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus, ProgressCallback
from charrnn_cli.training.job_text import read_source
from charrnn_cli.training.resume_text import own_options


def read_own_text(
    run: Run, name: str, checkpoint: Checkpoint, progress: ProgressCallback, hint: str
) -> tuple[Source, Corpus]:
    """Return the source of a checkpoint's text and the text, which has not changed.

    `name` is the checkpoint's reference, and `hint` what to do without the text; both are for
    messages. Raises TextError if the text is gone or was never recorded, MismatchError if it has
    changed, FileFormatError, StorageError.
    """
    header = run.resume_header()
    source = None if header is None else header.source
    if source is None:
        raise TextError(f"nothing records where the text of {name} is", hint=hint)
    if source.why_missing is not None:
        raise TextError(f"the text of {name} {source.why_missing}", hint=hint)
    options = own_options(checkpoint.data.reading, source)
    source = dataclasses.replace(source, options=options)
    corpus = read_source(source, checkpoint.vocab if source.init_from else None, progress)
    if corpus.sha256 != checkpoint.data.sha256:
        raise MismatchError(f"the text of {name} has changed since it was trained", hint=hint)
    return source, corpus

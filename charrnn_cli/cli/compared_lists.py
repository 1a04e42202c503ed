"""The lists of `charrnn sample --novel` and `--novel-against`, as a model reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.cli.commands.copy_check import ComparedText
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import MismatchError, TextError
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import STANDARD_INPUT, Source, is_read_once

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.text.known_items import KnownItems

_HINT = "compare with a file: --novel-against FILE"


class ComparedLists:
    """Lists that are read once for each different reading."""

    def __init__(self, files: Sequence[Path], *, with_own: bool) -> None:
        """Take files and, with `with_own`, the training text of each model."""
        self._files, self._with_own = [ComparedText(file) for file in files], with_own
        self._known: dict[tuple[str, ...], KnownItems] = {}

    def known(self, path: Path, checkpoint: "Checkpoint", options: TextOptions) -> "KnownItems":
        """Return all items, as the model of the checkpoint at `path` reads them.

        Raises TextError, MismatchError, InterruptionError.
        """
        from charrnn_cli.text.known_items import KnownItems

        lists = [file.read(checkpoint, options) for file in self._files]
        if self._with_own:
            lists.append(_training_text(path, checkpoint))
        # Rare characters depend on the model's vocabulary.
        key = (*(each.sha256 for each in lists), checkpoint.vocab.characters)
        if key not in self._known:
            self._known[key] = KnownItems(lists)
        return self._known[key]


def _training_text(path: Path, checkpoint: "Checkpoint") -> "Corpus":
    """Read the text of a checkpoint's run again. Raises TextError, MismatchError."""
    from charrnn_cli.model.reading import in_model_vocabulary
    from charrnn_cli.text.cache import cached_corpus

    run = Run(path.parent.name, path.parent)
    header = run.resume_header()
    source = None if header is None else header.source
    if source is None:
        raise TextError(f"{path.name} has no record of its training text", hint=_HINT)
    _check_present(run, source)
    stop = StopRequest()
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        corpus = cached_corpus(
            source.paths,
            source.options or checkpoint.data.reading,
            vocab=checkpoint.vocab if source.init_from else None,
            unknown=source.unknown if source.init_from else "error",
            progress=progress,
        )
    if corpus.sha256 != checkpoint.data.sha256:
        raise MismatchError(
            f"the training text of run {run.name!r} has changed since it was trained", hint=_HINT
        )
    return in_model_vocabulary(corpus, checkpoint)


def _check_present(run: Run, source: Source) -> None:
    missing = source.missing
    if missing is None:
        return
    if missing == STANDARD_INPUT:
        where = "came from standard input"
    elif is_read_once(missing):
        where = "came from a pipe"
    else:
        where = f"no longer exists: {missing}"
    raise TextError(f"the training text of run {run.name!r} {where}", hint=_HINT)

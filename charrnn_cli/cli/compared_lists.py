"""The lists of `charrnn sample --novel` and `--novel-against`, as a model reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.cli.commands.copy_check import ComparedText
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.config import TextOptions
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run

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
    from charrnn_cli.training.own_text import read_own_text

    run, stop = Run(path.parent.name, path.parent), StopRequest()
    name = Registry().reference_of(path, checkpoint.step)
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        _, corpus = read_own_text(run, name, checkpoint, progress, _HINT)
    return in_model_vocabulary(corpus, checkpoint)

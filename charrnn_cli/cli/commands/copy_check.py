"""`charrnn sample --check-copy`: report how much of each sample is copied from a text."""

from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.corpus_output import describe_skipped
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.sample_output import WholeSamples
from charrnn_cli.config import TextOptions
from charrnn_cli.model.samples import Sample

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.memorization import Memorized
    from charrnn_cli.text.corpus import Corpus

MAX_SPAN_SHOWN = 60  # characters


class ComparedText:
    """The text of --check-copy, which is read once for each different reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._corpora: dict[TextOptions, Corpus] = {}

    def read(self, checkpoint: "Checkpoint", options: TextOptions) -> "Corpus":
        """Return the text as a model reads it. Raises TextError, InterruptionError."""
        from charrnn_cli.model.reading import (
            in_model_vocabulary,
            replaces_rare,
            without_unknown_end,
        )

        options = without_unknown_end(options, checkpoint, self._path)
        whole = options.replaced({"min_count": 1})
        if whole not in self._corpora:
            self._corpora[whole] = self._encoded(whole)
        corpus = self._corpora[whole]
        return in_model_vocabulary(corpus, checkpoint) if replaces_rare(checkpoint) else corpus

    def _encoded(self, options: TextOptions) -> "Corpus":
        from charrnn_cli.text.cache import cached_corpus

        stop = StopRequest()
        with stop.listening(), bytes_progress("encoding", stop) as progress:
            corpus = cached_corpus(self._path, options, progress=progress)
        for label, line in describe_skipped(corpus):
            console.say(label, line)
        return corpus


class CopyCheck(WholeSamples):
    """Collect samples, and compare them with a text when all are complete."""

    def __init__(self, corpus: "Corpus", label: str = "") -> None:
        """Take a text as the model of the samples reads it; a label stands before each result."""
        self._samples: list[Sample] = []
        super().__init__(self._samples.append)
        self._corpus, self._label = corpus, label

    def show(self) -> None:
        """Print how much of each sample is copied from the text. Raises InterruptionError."""
        from charrnn_cli.model.memorization import find_memorized

        stop = StopRequest()
        with stop.listening():
            for sample in self._samples:
                self._show_sample(sample, find_memorized(sample.text, self._corpus, stop.check))

    def _show_sample(self, sample: Sample, found: "Memorized") -> None:
        from charrnn_cli.model.memorization import SPAN

        parts = [self._label] if self._label else []
        parts += [f"sample {sample.number}"] if len(self._samples) > 1 else []
        which = f"{', '.join(parts)}: " if parts else ""
        share = f"{found.share:.1%} in spans of {SPAN} or more characters"
        console.say("copied", which + share)
        longest = format_count(found.longest, "character")
        if found.longest:
            span = sample.text[found.sample_start : found.sample_start + found.longest]
            shown = span if len(span) <= MAX_SPAN_SHOWN else span[: MAX_SPAN_SHOWN - 3] + "..."
            longest += f" at character {found.text_start:,} of {self._corpus.name}: {shown!r}"
        console.say("longest", which + longest)

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

MAX_SPAN_SHOWN = 60  # characters


class CopyCheck(WholeSamples):
    """Collect samples, and compare them with a text when all are complete."""

    def __init__(self, text: Path, checkpoint: "Checkpoint", options: TextOptions) -> None:
        """Read the text as the model of the samples does. Raises TextError, InterruptionError."""
        from charrnn_cli.model.reading import in_model_vocabulary, replaces_rare
        from charrnn_cli.text.cache import cached_corpus

        self._samples: list[Sample] = []
        super().__init__(self._samples.append)
        stop = StopRequest()
        with stop.listening(), bytes_progress("encoding", stop) as progress:
            corpus = cached_corpus(text, options.replaced({"min_count": 1}), progress=progress)
        for label, line in describe_skipped(corpus):
            console.say(label, line)
        is_replaced = replaces_rare(checkpoint)
        self._corpus = in_model_vocabulary(corpus, checkpoint) if is_replaced else corpus

    def show(self) -> None:
        """Print how much of each sample is copied from the text. Raises InterruptionError."""
        from charrnn_cli.model.memorization import find_memorized

        stop = StopRequest()
        with stop.listening():
            for sample in self._samples:
                self._show_sample(sample, find_memorized(sample.text, self._corpus, stop.check))

    def _show_sample(self, sample: Sample, found: "Memorized") -> None:
        from charrnn_cli.model.memorization import SPAN

        which = f"sample {sample.number}: " if len(self._samples) > 1 else ""
        share = f"{found.share:.1%} in spans of {SPAN} or more characters"
        console.say("copied", which + share)
        longest = format_count(found.longest, "character")
        if found.longest:
            span = sample.text[found.sample_start : found.sample_start + found.longest]
            shown = span if len(span) <= MAX_SPAN_SHOWN else span[: MAX_SPAN_SHOWN - 3] + "..."
            longest += f" at character {found.text_start:,} of {self._corpus.name}: {shown!r}"
        console.say("longest", which + longest)

"""Whether a text is so much like the built-in model's that a run should start from it.

It should if that model, as it is, predicts the held-out text better than n-grams do that are
counted in the training text.
"""

from dataclasses import dataclass

import numpy as np

from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.ngram_counts import contexts_and_targets
from charrnn_cli.model.warm_start import grown_model, grown_weights
from charrnn_cli.storage.built_in import NAME, is_built_in
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span, row_windows
from charrnn_cli.text.spans import read_spans
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.evaluation_plan import evenly_spread
from charrnn_cli.training.job import TrainingJob

# T time · R rows · N characters that are predicted

COVERED = 0.99  # of the text's characters, which the built-in model must know
ENOUGH = 200  # characters held out; fewer do not decide
ROWS, ROW = 20, 1_000  # characters of the held-out text that are compared: half a second


@dataclass(frozen=True, slots=True)
class Comparison:
    """Losses on the same part of the held-out text, in nats per character."""

    reference: str
    """The built-in model."""
    built_in: float
    """The built-in model before the first step."""
    counted: float
    """N-grams of the training text."""

    @property
    def is_better(self) -> bool:
        """Whether a run should start from the built-in model."""
        return self.built_in < self.counted


def compare_with_built_in(job: TrainingJob) -> Comparison | None:
    """Compare the built-in model with counting; None for a text that it cannot read.

    A run of the built-in model's name hides it, and then there is none. Raises as `Corpus.read`
    does, FileFormatError, StorageError.
    """
    run = Registry().run(NAME)
    return compare_starts(job, load_checkpoint(NAME)) if is_built_in(run) else None


def compare_starts(job: TrainingJob, built_in: Checkpoint) -> Comparison | None:
    """Measure both losses; None for a text that the built-in model cannot read.

    Raises as `Corpus.read` does.
    """
    if job.ngrams is None or job.split.val_characters < ENOUGH:
        return None
    if not is_covered(job.corpus, built_in.vocab):
        return None
    rows = [(start, min(stop, start + ROW)) for start, stop in evenly_spread(job.split.val, ROWS)]
    before = [(max(0, start - 1), stop) for start, stop in rows]
    contexts_NK, targets_N = contexts_and_targets(read_spans(job.corpus, before), job.ngrams.order)
    q_N = job.ngrams.distributions(contexts_NK)[np.arange(len(targets_N)), targets_N]
    return Comparison(
        reference=f"{NAME}@{built_in.step}",
        built_in=loss_of(built_in, job.corpus, rows),
        counted=float(-np.log(q_N).mean()),
    )


def is_covered(corpus: Corpus, vocab: Vocab) -> bool:
    """Return whether nearly all characters of a text are in a vocabulary."""
    known = [character in vocab for character in corpus.vocab.characters]
    return bool(corpus.counts_V[known].sum() >= COVERED * len(corpus))


def loss_of(checkpoint: Checkpoint, corpus: Corpus, rows: list[Span]) -> float:
    """Return the loss on rows of a text of a run that starts from a checkpoint."""
    new = "".join(each for each in corpus.vocab.characters if each not in checkpoint.vocab)
    vocab = Vocab(checkpoint.vocab.characters + new)
    model = grown_model(checkpoint, vocab, ngram=0)
    engine = Engine(model, grown_weights(checkpoint, model)).repeat(len(rows))
    longest = max(stop - start for start, stop in rows)
    windows_TR = row_windows(corpus, rows, 0, longest)
    ids_V = np.array(vocab.encode(corpus.vocab.characters))
    inputs_TR, targets_TR = np.where(windows_TR < 0, IGNORED, ids_V[np.maximum(windows_TR, 0)])
    total, count = 0.0, 0
    for logits_RV, targets_R in zip(engine.read(inputs_TR), targets_TR, strict=True):
        inside = np.flatnonzero(targets_R >= 0)
        total -= float(log_softmax(logits_RV)[inside, targets_R[inside]].sum())
        count += len(inside)
    return total / count

"""The loss of a checkpoint on a part of its run's texts, as the run's evaluations measure it."""

from collections.abc import Callable

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.ngram_counts import counted_spans
from charrnn_cli.training.device import choose_device
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.ngram_inputs import NgramText
from charrnn_cli.training.run_parts import PartText


def score_part(
    checkpoint: Checkpoint, text: PartText, should_stop: Callable[[], bool]
) -> float | None:
    """Return the mean nats per character in float32, or None once `should_stop` returns True."""
    model = CharRNN(checkpoint.model)
    model.load(checkpoint.weights)
    model.to(choose_device("auto"))
    ngrams = None
    if checkpoint.ngrams is not None:
        is_own = checkpoint.data.counted == text.corpus.sha256
        counted = counted_spans(text.split.train) if is_own else ()
        ngrams = NgramText(checkpoint.ngrams, text.corpus, counted)
    return evaluate(model, text.corpus, text.rows, "fp32", should_stop, ngrams)

"""The score of a text in memory."""

import math
from dataclasses import dataclass

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.document_scoring import document_losses, no_character_error
from charrnn_cli.model.reading import as_read, end_symbol, has_items
from charrnn_cli.model.scoring import NumpyPredictor, character_losses, check_length
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.items import end_error, separate_items
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.units import bits_per_character


@dataclass(frozen=True, slots=True)
class Score:
    """How well a model predicts a text; lower is better."""

    bits_per_character: float
    characters: int
    """Number of characters that were scored: all but the first, or all and the end of each
    document."""


def score(checkpoint: Checkpoint, text: str) -> Score:
    """Score a text under a model, with numpy alone.

    Line ends and Unicode of the text are normalized as those of the training text were. A model of
    items reads it as items; a model of several documents reads it as one of them. Each is scored
    from its first character to its end, so the order of items changes nothing.
    Raises ConfigError for a text of less than two characters, or without items; TextError for one
    with the end symbol of documents in it; UnknownCharacterError for one with a character outside
    the vocabulary; FileFormatError if the model's numbers overflow.
    """
    read = as_read(text, checkpoint.data.reading, checkpoint.vocab)
    end, predictor = end_symbol(checkpoint), NumpyPredictor(checkpoint)
    if end is None:
        check_length(len(read))
        corpus = in_vocabulary(Corpus.from_text(read), checkpoint.vocab)
        pieces = character_losses(predictor, corpus)
        nats = math.fsum(math.fsum(losses_N.tolist()) for losses_N in pieces)
        return Score(bits_per_character(nats / (len(read) - 1)), len(read) - 1)
    if has_items(checkpoint):
        documents = separate_items(read, checkpoint.data.reading)
    elif end in read:
        raise end_error("the text", "a document")
    else:
        documents = [read] if read else []
    if not documents:
        raise no_character_error()
    corpus = in_vocabulary(
        Corpus.from_documents(documents, checkpoint.data.reading, "text"), checkpoint.vocab
    )
    losses = document_losses(predictor, corpus)
    return Score(bits_per_character(losses.nats / losses.characters), losses.characters)

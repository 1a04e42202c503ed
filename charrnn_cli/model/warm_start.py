"""Starting a run from a checkpoint's weights, with the same or a larger vocabulary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import ModelConfig, automatic_ngram, longest_order
from charrnn_cli.errors import MismatchError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.settings import option_name, trained_with
from charrnn_cli.text.vocab import Vocab

# V old vocabulary · N new characters · E embedding · H hidden size · G gates times H

Array = npt.NDArray[np.float32]

_NGRAM_WEIGHTS = ("ngram_input.weight", "ngram_output.weight")


def grown_model(checkpoint: Checkpoint, vocab: Vocab, ngram: int | None = None) -> ModelConfig:
    """Return the checkpoint's architecture for a larger vocabulary, with n-grams of its text.

    The order of the n-grams is automatic, that of the checkpoint or of new models, if it is None.
    Raises MismatchError if `vocab` does not start with the checkpoint's characters.
    """
    if not vocab.characters.startswith(checkpoint.vocab.characters):
        raise MismatchError(
            f"the text's vocabulary does not match that of {checkpoint.run}@{checkpoint.step}",
            hint="use the original text, not an encoded file",
        )
    old, size = checkpoint.model, len(vocab)
    if ngram is None:
        ngram = longest_order(size, old.ngram) if old.ngram else automatic_ngram(size)
    return ModelConfig.from_json({**old.to_json(), "vocabulary_size": size, "ngram": ngram})


def check_architecture(checkpoint: Checkpoint, given: Mapping[str, Any]) -> None:
    """Raise MismatchError if a given setting of the model differs from the checkpoint's."""
    for name, value in checkpoint.model.to_json().items():
        if name != "ngram" and given.get(name, value) != value:
            raise MismatchError(
                f"{checkpoint.run}@{checkpoint.step} {trained_with(name, value, given[name])}",
                hint=f"leave out {option_name(name)}; --init-from sets the architecture",
            )


def grown_weights(checkpoint: Checkpoint, model: ModelConfig) -> dict[str, Array]:
    """Return the checkpoint's weights, with rows for new characters.

    The logits of known characters do not change. A new character gets the mean input weights of the
    known characters, and the output weights of the rarest one. What n-grams predict for it has no
    effect at first; nor has anything that they predict if the checkpoint was trained without them.
    """
    weights = {name: array.copy() for name, array in checkpoint.weights.items()}
    new = model.vocabulary_size - checkpoint.model.vocabulary_size
    rarest = int(weights["output.bias"].argmin())
    _grow_ngrams(weights, model, rarest)
    if not new:
        return weights
    if model.embed:
        table_VE = weights["embedding.weight"]
        weights["embedding.weight"] = np.concatenate(
            [table_VE, np.tile(table_VE.mean(axis=0), (new, 1))]
        )
    else:
        table_GV = weights["layers.0.weight_ih_l0"]
        mean_G1 = table_GV.mean(axis=1, keepdims=True)
        weights["layers.0.weight_ih_l0"] = np.concatenate(
            [table_GV, np.tile(mean_G1, (1, new))], axis=1
        )
    output_VH, bias_V = weights["output.weight"], weights["output.bias"]
    weights["output.weight"] = np.concatenate([output_VH, np.tile(output_VH[rarest], (new, 1))])
    weights["output.bias"] = np.concatenate([bias_V, np.full(new, bias_V[rarest], np.float32)])
    return weights


def _grow_ngrams(weights: dict[str, Array], model: ModelConfig, rarest: int) -> None:
    """Give the weights of n-grams the shapes of a model; those that it does not have are removed.

    What predicts the character `rarest` also predicts each new character.
    """
    old = {name: weights.pop(name) for name in _NGRAM_WEIGHTS if name in weights}
    shapes = model.tensor_shapes()
    for name in shapes.keys() & _NGRAM_WEIGHTS:
        weights[name] = np.zeros(shapes[name], np.float32)
        if name in old:
            rows, columns = old[name].shape
            weights[name][:rows, :columns] = old[name]
    if "ngram_output.weight" in weights and "ngram_output.weight" in old:
        known = len(old["ngram_output.weight"])
        weights["ngram_output.weight"][known:, :known] = old["ngram_output.weight"][rarest]

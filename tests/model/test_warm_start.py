"""Runs that start from another run's checkpoint."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.errors import MismatchError
from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.warm_start import check_architecture, grown_model, grown_weights
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from tests.helpers import STORY, make_checkpoint

TINY = {
    "batch_size": 4,
    "seq_len": 16,
    "max_steps": 20,
    "seed": 1,
    "threads": 1,
    "precision": "fp32",
}


@pytest.mark.parametrize("embed", [0, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_old_logits_stay(cell: Cell, embed: int) -> None:
    """Known characters keep weights and logits; a new one is read as their mean, and predicted
    like the rarest of them.
    """
    old = make_checkpoint(ModelConfig(vocabulary_size=10, cell=cell, layers=2, size=8, embed=embed))
    vocab = Vocab(old.vocab.characters + "xyz")
    model = grown_model(old, vocab)
    weights = grown_weights(old, model)
    assert {name: array.shape for name, array in weights.items()} == model.tensor_shapes()
    for name, array in old.weights.items():
        kept = tuple(slice(length) for length in array.shape)
        assert np.array_equal(weights[name][kept], array)  # to the bit
    before, after = Engine(old.model, old.weights), Engine(model, weights)
    read_V = weights["embedding.weight"] if embed else weights["layers.0.weight_ih_l0"].T
    assert read_V[10:] == pytest.approx(np.tile(read_V[:10].mean(axis=0), (3, 1)), abs=1e-6)
    rarest = int(old.weights["output.bias"].argmin())
    for index in [3, 1, 4, 1, 5, 9, 2, 6]:
        old_V, new_V = before.step([index])[0], after.step([index])[0]
        assert new_V[:10] == pytest.approx(old_V, abs=1e-6)
        assert new_V[10:] == pytest.approx(np.full(3, old_V[rarest]), abs=1e-6)
    assert np.isfinite(after.step([12])).all()


def test_nothing_new_is_nothing_changed() -> None:
    """Without new characters, architecture and weights stay as they are."""
    old = make_checkpoint()
    assert grown_model(old, old.vocab, ngram=0) == old.model
    for name, array in grown_weights(old, old.model).items():
        assert (array == old.weights[name]).all()


def test_ngrams_of_another_text() -> None:
    """What n-grams predict keeps its weights; it has no effect where it was not trained."""
    without = make_checkpoint()
    grown = grown_model(without, Vocab(without.vocab.characters + "xyz"))
    assert grown.ngram == 9
    weights = grown_weights(without, grown)
    assert weights["ngram_input.weight"].shape == (without.model.embed, 13)
    assert weights["ngram_output.weight"].shape == (13, 13)
    assert not weights["ngram_input.weight"].any()
    assert not weights["ngram_output.weight"].any()
    trained = make_checkpoint(replace(without.model, ngram=5))
    grown = grown_model(trained, Vocab(trained.vocab.characters + "xyz"))
    assert grown.ngram == 5
    weights = grown_weights(trained, grown)
    weights_EV, weights_VV = weights["ngram_input.weight"], weights["ngram_output.weight"]
    assert (weights_EV[:, :10] == trained.weights["ngram_input.weight"]).all()
    assert not weights_EV[:, 10:].any()
    assert (weights_VV[:10, :10] == trained.weights["ngram_output.weight"]).all()
    assert not weights_VV[:, 10:].any()
    assert (weights_VV[10:] == weights_VV[int(trained.weights["output.bias"].argmin())]).all()
    off = grown_model(trained, trained.vocab, ngram=0)
    assert off.ngram == 0
    assert grown_weights(trained, off).keys() == off.tensor_shapes().keys()
    huge = make_checkpoint(
        replace(without.model, ngram=20, vocabulary_size=8), characters="a8bcdefg"
    )
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 1_000)))
    assert grown_model(huge, Vocab(huge.vocab.characters + characters)).ngram == 6


def test_what_does_not_fit() -> None:
    """Another vocabulary and another architecture are refused."""
    old = make_checkpoint()
    with pytest.raises(MismatchError) as caught:
        grown_model(old, Vocab("abc"))
    assert caught.value.message == "the text's vocabulary does not match that of tiny@100"
    assert caught.value.hint == "use the original text, not an encoded file"
    with pytest.raises(MismatchError) as caught:
        check_architecture(old, {"size": 8, "lr": 0.1})
    assert caught.value.message == "tiny@100 was trained with --size 4, not 8"
    assert caught.value.hint == "leave out --size; --init-from sets the architecture"
    check_architecture(old, {"size": 4})


def trained(
    corpus: Corpus, name: str, initial: Checkpoint | None = None, **changes: object
) -> list[Evaluated]:
    settings = {"layers": 1, "size": 12, "embed": 4, **TINY, **changes}
    job = TrainingJob.new(corpus, settings, name=name, initial=initial)
    return [event for event in train(job) if isinstance(event, Evaluated)]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_loss_starts_where_it_ended(corpus: Corpus, ema: float) -> None:
    """On the same text, the loss before the first step is the old one, and is never the best."""
    ended = trained(corpus, "one", ema=ema)[-1]
    started = trained(corpus, "two", load_checkpoint("one@latest"), ema=ema, max_steps=4)
    assert started[0].step == 0
    assert started[0].val_loss == pytest.approx(ended.val_loss, abs=1e-6)
    assert not started[0].best
    checkpoint = load_checkpoint("two@latest")
    assert checkpoint.data.init_from == "one@20"
    assert load_checkpoint("two@best").step > 0


def test_a_text_with_new_characters(corpus: Corpus, tmp_path: Path, home: Path) -> None:
    """New characters are learned, and the checkpoint has the larger vocabulary."""
    trained(corpus, "one")
    initial = load_checkpoint("one")
    path = tmp_path / "new.txt"
    path.write_text(STORY.replace("cat", "ÇÄT"))
    grown = cached_corpus(path, vocab=initial.vocab, unknown="extend")
    assert grown.vocab.characters == initial.vocab.characters + "TÄÇ"
    evaluations = trained(grown, "two", initial, max_steps=60)
    assert evaluations[-1].val_loss < evaluations[0].val_loss
    assert load_checkpoint("two").vocab == grown.vocab

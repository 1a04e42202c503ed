"""One training step, whole and in parts."""

from dataclasses import replace

import pytest
import torch

from charrnn_cli.batches import TrainWindows
from charrnn_cli.config import Cell, ModelConfig, TrainConfig
from charrnn_cli.corpus import Corpus
from charrnn_cli.errors import MemoryShortageError
from charrnn_cli.trainer import Trainer, resume_tensor_shapes

CONFIG = TrainConfig(batch_size=6, seq_len=8, seed=1, dropout=0.25, precision="fp32", device="cpu")


def make_trainer(corpus: Corpus, cell: Cell = "lstm", config: TrainConfig = CONFIG) -> Trainer:
    model = ModelConfig(vocabulary_size=len(corpus.vocab), cell=cell, layers=2, size=8, embed=4)
    return Trainer(model, config, TrainWindows(corpus, [(0, len(corpus))], config), total_steps=100)


@pytest.mark.parametrize("parts", [2, 4, 6])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_batch_in_parts_is_the_same_batch(corpus: Corpus, cell: Cell, parts: int) -> None:
    """Weights, state and loss after ten steps, dropout included, but for rounding."""
    whole, divided = make_trainer(corpus, cell), make_trainer(corpus, cell)
    divided.parts = parts
    for _ in range(10):
        assert whole.update()
        assert divided.update()
    assert divided.train_loss == pytest.approx(whole.train_loss, abs=1e-5)
    for name, array in whole.model.export().items():
        assert divided.model.export()[name] == pytest.approx(array, abs=1e-3)
    for name, array in whole.snapshot().items():
        assert divided.snapshot()[name] == pytest.approx(array, abs=1e-3)


def test_short_memory_divides_the_batch(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it fits; the step is then done, and later ones stay divided. One row that does not fit is the end."""
    trainer = make_trainer(corpus)
    forward = type(trainer.model).forward
    limit = [2]

    def short(model: object, ids_TB: torch.Tensor, *arguments: object) -> object:
        if ids_TB.shape[1] > limit[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(model, ids_TB, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(trainer.model), "forward", short)
    assert trainer.update()
    assert (trainer.step, trainer.parts) == (1, 4)
    limit[0] = 0
    with pytest.raises(MemoryShortageError, match="not even one row"):
        trainer.update()


@pytest.mark.parametrize("ema", [0.0, 0.99])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_snapshot_has_its_documented_tensors(corpus: Corpus, cell: Cell, ema: float) -> None:
    config = replace(CONFIG, ema=ema)
    trainer = make_trainer(corpus, cell, config)
    trainer.update()
    shapes = {name: array.shape for name, array in trainer.snapshot().items()}
    assert shapes == resume_tensor_shapes(trainer.model.config, config)


def test_the_state_starts_at_zero_each_epoch(corpus: Corpus) -> None:
    """The first step of an epoch does not know the end of the one before."""
    trainer, other = make_trainer(corpus), make_trainer(corpus)
    for _ in range(trainer.windows.per_epoch):
        trainer.update()
        other.update()
    other.restore(other.model.export(), {**other.snapshot(), "state.0.0": other.snapshot()["state.0.0"] + 1})
    trainer.update()
    other.update()
    assert all(
        (a == b).all() for a, b in zip(trainer.model.export().values(), other.model.export().values(), strict=True)
    )

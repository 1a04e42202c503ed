"""One training step, whole and in parts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from charrnn_cli.config import Cell, ModelConfig, TrainConfig
from charrnn_cli.errors import MemoryShortageError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import batch_loader as feed
from charrnn_cli.training.batch_loader import BatchLoader
from charrnn_cli.training.trainer import CHECK_EVERY, Trainer, resume_tensor_shapes
from charrnn_cli.training.windows import DocumentWindows, TrainWindows

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
    other.restore(
        other.model.export(), {**other.snapshot(), "state.0.0": other.snapshot()["state.0.0"] + 1}
    )
    trainer.update()
    other.update()
    assert all(
        (a == b).all()
        for a, b in zip(trainer.model.export().values(), other.model.export().values(), strict=True)
    )


@pytest.mark.parametrize("spans", [[(0, 4000)], [(0, 900), (1000, 1900), (2000, 2900)]])
def test_a_resident_text_gives_the_same_windows(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, spans: list[tuple[int, int]]
) -> None:
    """Whether a window is read from the file or picked on the device, its ids are the same."""
    monkeypatch.setattr(feed, "CHUNK", 700)
    windows = TrainWindows(corpus, spans, CONFIG)
    device = torch.device("cpu")
    copied, resident = (
        BatchLoader(windows, device, resident=False),
        BatchLoader(windows, device, resident=True),
    )
    for step in range(2 * windows.per_epoch):
        one, other = copied.batch(step), resident.batch(step)
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        assert (one.reset_rows is None) == (other.reset_rows is None)
        assert (
            one.reset_rows is None
            or other.reset_rows is None
            or torch.equal(one.reset_rows, other.reset_rows)
        )
        assert one.count == other.count


@pytest.mark.parametrize("bad", ["loss", "gradient", "absurd"])
def test_what_is_not_finite_is_seen_at_once_or_later_but_never_missed(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """The CPU refuses the update; an accelerator, which looks seldom, shows it at any later look."""
    trainer = make_trainer(corpus)
    monkeypatch.setitem(CHECK_EVERY, "cpu", 5)
    later = make_trainer(corpus)
    for one in (trainer, later):
        assert one.update()
        if bad == "loss":
            one.model.output.bias.data[0] = math.nan
        elif bad == "absurd":
            one.model.output.bias.data[0] = 1e6
        else:
            one.model.output.weight.register_hook(lambda gradient: gradient * math.inf)  # type: ignore[no-untyped-call]
    before = trainer.model.export()
    assert not trainer.update()
    assert all(
        np.array_equal(before[name], array, equal_nan=True)
        for name, array in trainer.model.export().items()
    )
    assert trainer.step == 1
    assert later.update()
    assert later.step == 2
    assert not later.is_healthy()
    while later.update():
        assert not later.is_healthy()
    assert later.step == 5
    later.restore(make_trainer(corpus).model.export(), trainer.snapshot())
    assert later.is_healthy()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_document_does_not_know_the_one_before(cell: Cell) -> None:
    """Its losses are what they would be alone; and one that is ignored where it has ended counts for nothing."""
    corpus = Corpus.from_text("abcabcabc" + "cbacba" + "aabbccaab")
    spans = [(0, 9), (9, 15), (15, 24)]
    config = replace(CONFIG, batch_size=1, seq_len=4, dropout=0.0, lr=1e-9, weight_decay=0.0)
    model = ModelConfig(vocabulary_size=3, cell=cell, layers=2, size=8, embed=4)
    trainer = Trainer(model, config, DocumentWindows(corpus, spans, config), total_steps=100)
    losses = []
    for _ in range(trainer.windows.per_epoch):
        losses.append(trainer._gradients()[0].item())
        assert trainer.update()
    alone = []
    for start, stop in spans:
        ids = torch.from_numpy(corpus.read(start, stop).astype(np.int64))[:, None]
        logits, _ = trainer.model(ids[:-1])
        each = torch.nn.functional.cross_entropy(logits[:, 0], ids[1:, 0], reduction="none")
        alone += [each[first : first + 4].mean().item() for first in range(0, len(each), 4)]
    assert losses == pytest.approx(alone, abs=1e-4)
    assert trainer.characters == sum(stop - start - 1 for start, stop in spans)

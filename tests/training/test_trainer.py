"""One training step, whole and in parts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import MemoryShortageError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import batch_loader
from charrnn_cli.training.batch_loader import BatchLoader
from charrnn_cli.training.loss_scale import LOSS_SCALE, loss_scale
from charrnn_cli.training.recurrent_state import snapshot_shapes
from charrnn_cli.training.trainer import CHECK_EVERY, Trainer
from charrnn_cli.training.windows import DocumentWindows, TrainWindows
from tests.helpers import tiny_decisions

CONFIG = TrainConfig(batch_size=6, seq_len=8)
DECISIONS = tiny_decisions()


def make_trainer(corpus: Corpus, cell: Cell = "lstm", config: TrainConfig = CONFIG) -> Trainer:
    model = ModelConfig(vocabulary_size=len(corpus.vocab), cell=cell, layers=2, size=8, embed=4)
    windows = TrainWindows(corpus, [(0, len(corpus))], config, seed=1)
    return Trainer(model, config, DECISIONS, windows)


def restore(trainer: Trainer, weights_of: Trainer, tensors: dict[str, np.ndarray]) -> None:
    """Restore a trainer to another one's weights, and these tensors, at its own position."""
    trainer.restore(
        weights_of.model.export(),
        tensors,
        step=trainer.step,
        running_loss=trainer.running_loss,
        lr_scale=1.0,
    )


@pytest.mark.parametrize("parts", [2, 4, 6])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_batch_in_parts_is_the_same_batch(corpus: Corpus, cell: Cell, parts: int) -> None:
    """A batch in parts gives the same weights, state and loss up to rounding, dropout included."""
    whole, divided = make_trainer(corpus, cell), make_trainer(corpus, cell)
    divided.parts = parts
    for _ in range(10):
        assert whole.update()
        assert divided.update()
    assert divided.running_loss == pytest.approx(whole.running_loss, abs=1e-5)
    for name, array in whole.model.export().items():
        assert divided.model.export()[name] == pytest.approx(array, abs=1e-3)
    for name, array in whole.snapshot().items():
        assert divided.snapshot()[name] == pytest.approx(array, abs=1e-3)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_scale_of_the_loss_changes_nothing(corpus: Corpus, cell: Cell, parts: int) -> None:
    """In float32, a scaled loss gives the same weights, state and reported loss, bit for bit."""
    plain, scaled = make_trainer(corpus, cell), make_trainer(corpus, cell)
    scaled.loss_scale = LOSS_SCALE
    for trainer in (plain, scaled):
        trainer.parts = parts
        for _ in range(10):
            assert trainer.update()
    assert scaled.running_loss == plain.running_loss
    for one, other in (
        (plain.model.export(), scaled.model.export()),
        (plain.snapshot(), scaled.snapshot()),
    ):
        assert all(np.array_equal(array, other[name]) for name, array in one.items())


def test_a_scaled_loss_that_overflows_is_a_divergence(corpus: Corpus) -> None:
    """A gradient that is infinite only when scaled changes no weight."""
    trainer = make_trainer(corpus)
    trainer.loss_scale = 2.0**128
    before = trainer.model.export()
    assert not trainer.update()
    assert all(
        np.array_equal(before[name], array) for name, array in trainer.model.export().items()
    )


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_float16_has_a_scaled_loss(device: str, precision: str) -> None:
    """The loss is scaled in bf16 on a GPU, where recurrent layers are computed in float16."""
    scale = loss_scale(torch.device(device), precision)
    assert scale == (LOSS_SCALE if (device, precision) == ("cuda", "bf16") else 1.0)


def test_short_memory_divides_the_batch(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch too large for the memory is split until it fits; a row too large is an error."""
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
    """A snapshot holds exactly the tensors of `snapshot_shapes`."""
    config = replace(CONFIG, ema=ema)
    trainer = make_trainer(corpus, cell, config)
    trainer.update()
    shapes = {name: array.shape for name, array in trainer.snapshot().items()}
    assert shapes == snapshot_shapes(trainer.model.config, config, config.batch_size)


def test_the_state_starts_at_zero_each_epoch(corpus: Corpus) -> None:
    """An epoch's first step does not depend on the state at the end of the previous epoch."""
    trainer, other = make_trainer(corpus), make_trainer(corpus)
    for _ in range(trainer.windows.per_epoch):
        trainer.update()
        other.update()
    tensors = other.snapshot()
    restore(other, other, {**tensors, "state.0.0": tensors["state.0.0"] + 1})
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
    """A window has the same ids whether it is copied or read from a text on the device."""
    monkeypatch.setattr(batch_loader, "CHARACTERS_PER_COPY", 700)
    windows = TrainWindows(corpus, spans, CONFIG, seed=1)
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
    """A CPU refuses the update at once; rare checks, as on a GPU, see it at any later check."""
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
    restore(later, make_trainer(corpus), trainer.snapshot())
    assert later.is_healthy()


def test_a_divergence_is_remembered(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where checks are rare, a bad loss that good ones follow is still seen, until a restore."""
    monkeypatch.setitem(CHECK_EVERY, "cpu", 32)
    trainer = make_trainer(corpus)
    assert trainer.update()
    good, tensors = trainer.model.export(), trainer.snapshot()
    trainer.model.output.bias.data[0] = 1e6
    assert trainer.update()
    trainer.model.load(good)
    for _ in range(3):
        assert trainer.update()
        assert not trainer.is_healthy()
    trainer.restore(good, tensors, step=1, running_loss=1.0, lr_scale=1.0)
    assert trainer.update()
    assert trainer.is_healthy()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_document_does_not_know_the_one_before(cell: Cell) -> None:
    """A document's losses are those it has alone, and padding after its end does not count."""
    corpus = Corpus.from_text("abcabcabc" + "cbacba" + "aabbccaab")
    spans = [(0, 9), (9, 15), (15, 24)]
    config = replace(CONFIG, batch_size=1, seq_len=4, lr=1e-9, weight_decay=0.0)
    model = ModelConfig(vocabulary_size=3, cell=cell, layers=2, size=8, embed=4)
    windows = DocumentWindows(corpus, spans, config, seed=1)
    trainer = Trainer(model, config, replace(DECISIONS, dropout=0.0), windows)
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

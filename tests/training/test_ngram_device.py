"""N-grams on a device give the numbers of numpy."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.config import TrainConfig
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import read_spans
from charrnn_cli.training import ngram_device, ngram_smoothing
from charrnn_cli.training.batch_loader import BatchLoader
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.item_windows import ItemWindows
from charrnn_cli.training.ngram_device import DeviceNgramInputs, DeviceNgrams, has_room
from charrnn_cli.training.ngram_inputs import NgramInputs, NgramText, ngram_text
from charrnn_cli.training.trainer import Trainer
from charrnn_cli.training.window import Windows
from charrnn_cli.training.windows import DocumentWindows, TrainWindows, make_windows
from tests.helpers import count_ngrams, tiny_decisions, tiny_job
from tests.training.test_ngram_inputs import (
    CHARACTERS,
    ORDER,
    SIZE,
    TextWithResets,
    corpus_of,
    texts_with_resets,
)

CPU = torch.device("cpu")


def check_same(
    corpus: Corpus,
    windows: Windows,
    spans: Sequence[Span],
    counted: Sequence[Span],
    order: int = ORDER,
) -> None:
    """Compare all inputs of two epochs with those of numpy, and how they come into a batch."""
    model = count_ngrams(read_spans(corpus, counted), SIZE, order)
    text = NgramText(model, corpus, counted)
    expected = NgramInputs(text, windows, spans, ahead=False)
    inputs = DeviceNgramInputs(DeviceNgrams(text, CPU), windows, spans)
    loaders = [BatchLoader(windows, CPU, resident=each, ngrams=inputs) for each in (False, True)]
    for step in range(2 * windows.per_epoch):
        is_target_TB = windows.positions(step) >= 0
        expected_NV = expected.at(step)[is_target_TB]
        for loader in loaders:
            batch = loader.batch(step)
            assert batch.ngrams is not None
            inputs_NV = batch.ngrams.numpy()[is_target_TB]
            np.testing.assert_allclose(inputs_NV, expected_NV, rtol=0, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(texts_with_resets(), st.sampled_from(["all", "sample", "nothing"]))
def test_a_text_with_resets(text: TextWithResets, which: str) -> None:
    """The inputs are those of numpy, across spans and resets, with all or a sample counted."""
    counted = {"all": text.spans, "sample": text.sample, "nothing": [(0, 1)]}[which]
    check_same(text.corpus, text.windows, text.spans, counted)


@settings(max_examples=15, deadline=None)
@given(CHARACTERS, st.integers(1, 3), st.integers(1, 7), st.booleans())
def test_documents(ids: list[int], batch_size: int, seq_len: int, shuffle: bool) -> None:
    """The inputs of separate documents are those of numpy."""
    spans = [(0, 7), (7, 9), (9, 25), (27, len(ids))]
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, shuffle_documents=shuffle)
    corpus = corpus_of(ids)
    check_same(corpus, DocumentWindows(corpus, spans, config, seed=3), spans, spans)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text("bcd", min_size=1, max_size=9), min_size=3, max_size=20), st.integers(1, 9))
def test_items(items: list[str], seq_len: int) -> None:
    """The inputs of items, which share their end symbols, are those of numpy."""
    corpus = Corpus.from_items([*items, "bcd"])
    kept = [(start, stop) for start, stop in corpus.document_spans().tolist()][::2]
    config = TrainConfig(batch_size=2, seq_len=seq_len)
    check_same(corpus, ItemWindows(corpus, kept, config, seed=3), kept, kept)


@pytest.mark.parametrize("order", [1, 2, 32])
def test_every_order(order: int) -> None:
    """The inputs are those of numpy for the lowest orders, and where keys have all 64 bits."""
    raw = np.random.PCG64(7).random_raw(300)
    corpus = corpus_of([*(raw % 3).tolist(), *([3] * 40), *(raw % 4).tolist()])
    spans = [(0, len(corpus))]
    config = TrainConfig(batch_size=2, seq_len=9)
    check_same(corpus, TrainWindows(corpus, spans, config, 1), spans, spans, order)


def test_a_tiny_probability_is_exact() -> None:
    """Where nothing is left of a count, no rest of rounding is left either."""
    ids = ([0] * 25 + [1, 2]) * 60
    corpus = corpus_of([3, *ids[1:]])
    spans = [(start, start + 27) for start in range(0, len(ids), 27)]
    text = NgramText(count_ngrams(read_spans(corpus, spans), SIZE, 20), corpus, spans)
    positions_TB = np.arange(len(ids))[:, None]
    limits_TB = positions_TB % 27
    inputs = DeviceNgrams(text, CPU).inputs(*map(torch.from_numpy, (positions_TB, limits_TB)))
    np.testing.assert_allclose(inputs, text.inputs(positions_TB, limits_TB), rtol=0, atol=1e-5)


def test_parts_change_nothing(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs are equal bit for bit however many positions are computed at a time."""
    text = ngram_text(tiny_job(corpus))
    assert text is not None
    positions_TB = torch.arange(100, 400).view(60, 5)
    both = positions_TB, torch.full_like(positions_TB, 4)
    whole_TBV = DeviceNgrams(text, CPU).inputs(*both)
    monkeypatch.setattr(ngram_smoothing, "MAX_NUMBERS", 5_000)
    monkeypatch.setattr(ngram_device, "CHUNK_CHARACTERS", 700)
    parted = DeviceNgrams(text, CPU)
    assert torch.equal(parted.inputs(*both), whole_TBV)


def test_another_text_has_nothing_to_leave_out(corpus: Corpus) -> None:
    """Of a text that was not counted, nothing is left out."""
    job = replace(tiny_job(corpus), counted="1" * 64)
    windows, text = make_windows(corpus, job.split, job.config, seed=1), ngram_text(job)
    assert text is not None
    inputs = DeviceNgramInputs(DeviceNgrams(text, CPU), windows, job.split.train).at(1)
    expected = NgramInputs(text, windows, job.split.train, ahead=False).at(1)
    np.testing.assert_allclose(inputs, expected, rtol=0, atol=1e-5)


def test_training_and_evaluation(corpus: Corpus) -> None:
    """Losses while training and in evaluations hardly differ between numpy and a device."""
    job = tiny_job(corpus)
    windows, text = make_windows(corpus, job.split, job.config, seed=1), ngram_text(job)
    assert text is not None
    spans, rows = job.split.train, [*job.split.val, (300, 420)]
    both = (
        NgramInputs(text, windows, spans, ahead=False),
        DeviceNgramInputs(DeviceNgrams(text, CPU), windows, spans),
    )
    losses: list[list[float]] = []
    for inputs in both:
        trainer = Trainer(job.model, job.config, tiny_decisions(), windows, None, inputs)
        for _ in range(8):
            assert trainer.update()
        loss = evaluate(trainer.model, corpus, rows, "fp32", never_stop, trainer.ngrams)
        assert loss is not None
        losses.append([trainer.running_loss, loss])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_a_cpu_has_no_room(corpus: Corpus) -> None:
    """The CPU keeps to numpy, which is as fast there."""
    text = ngram_text(tiny_job(corpus))
    assert text is not None
    assert not has_room(text, CPU)

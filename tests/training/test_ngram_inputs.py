"""What the network sees of the n-grams, and above all what it does not see."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.events import StepLogged, TrainingFinished
from charrnn_cli.model.ngrams import LeftOut
from charrnn_cli.storage.corpus_header import CorpusHeader
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span
from charrnn_cli.text.spans import read_spans
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.item_windows import ItemWindows
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.ngram_inputs import NgramInputs, NgramText, ngram_inputs, ngram_text
from charrnn_cli.training.window import Windows
from charrnn_cli.training.windows import DocumentWindows, TrainWindows, make_windows
from tests.helpers import TINY, count_ngrams, of_type, run_training, tiny_job
from tests.model.slow_ngrams import Occurrence, occurrences, slow_model

SIZE, ORDER = 4, 4
CHARACTERS = st.lists(st.integers(0, SIZE - 2), min_size=40, max_size=90)


def corpus_of(ids: Sequence[int]) -> Corpus:
    """A text of few different characters; its last possible one is not in it."""
    ids_N = np.array(ids, np.uint8)
    counts_V = np.bincount(ids_N, minlength=SIZE).astype(np.uint64)
    facts = CorpusHeader(name="ids", characters=len(ids), vocabulary_size=SIZE)
    return Corpus(Vocab("abcd"), counts_V, lambda a, b: ids_N[a:b], facts, "0" * 64)


def what_rows_read(windows: Windows, steps: int) -> Iterator[tuple[int, int, int, list[int], int]]:
    """Yield each target: its step, place in the step, all that the state has read, and itself."""
    pasts: dict[int, list[int]] = {}
    for step in range(steps):
        window = windows.at(step)
        for row in range(window.inputs.shape[1]):
            if window.reset_rows[row]:
                pasts[row] = []
            for time in range(len(window.inputs)):
                target = int(window.targets[time, row])
                if target == IGNORED:
                    continue
                pasts[row].append(int(window.inputs[time, row]))
                yield step, time, row, list(pasts[row]), target


def check_inputs(
    corpus: Corpus, windows: Windows, spans: Sequence[Span], counted: Sequence[Span]
) -> None:
    """Compare with dictionaries that count the text anew without each single position."""
    model = count_ngrams(read_spans(corpus, counted), SIZE, ORDER)
    inputs = NgramInputs(NgramText(model, corpus, counted), windows, spans, ahead=False)
    texts = [corpus.read(start, stop).tolist() for start, stop in counted]
    found = occurrences(texts)
    where = [at for start, stop in counted for at in range(start + 1, stop)]
    discounts = slow_model(found, ORDER, SIZE).discounts
    edges = [range(start, stop) for start, stop in spans]
    for step, time, row, past, _ in what_rows_read(windows, 2 * windows.per_epoch):
        position = int(windows.positions(step)[time, row])
        span = next(edge for edge in edges if position in edge)  # items share their end symbols
        shown = past[len(past) - min(len(past), position - span.start) :]
        rest: list[Occurrence] = found
        if position in where:
            index = where.index(position)
            rest = [*found[:index], *found[index + 1 :]]
        slow = slow_model(rest, ORDER, SIZE, discounts)
        q = np.array([slow.probability(tuple(shown[-ORDER + 1 :]), x) for x in range(SIZE)])
        expected = np.log(q) - np.log(q).mean()
        np.testing.assert_allclose(inputs.at(step)[time, row], expected, rtol=1e-4, atol=1e-5)


class TextWithResets(NamedTuple):
    """A text of two spans, and windows that read them and reset rows."""

    corpus: Corpus
    windows: TrainWindows
    spans: list[Span]
    sample: list[Span]
    """Parts of the spans."""


@st.composite
def texts_with_resets(draw: st.DrawFn) -> TextWithResets:
    ids, cut = draw(CHARACTERS), draw(st.integers(15, 25))
    corpus = corpus_of(ids)
    config = TrainConfig(
        batch_size=draw(st.integers(1, 3)),
        seq_len=draw(st.integers(1, 7)),
        reset=draw(st.sampled_from([0.0, 0.4])),
    )
    spans = [(0, cut), (cut + 3, len(ids))]
    windows = TrainWindows(corpus, spans, config, draw(st.integers(0, 99)))
    return TextWithResets(corpus, windows, spans, [(4, 12), (cut + 5, 35)])


@settings(max_examples=15, deadline=None)
@given(texts_with_resets(), st.booleans())
def test_each_target_is_left_out(text: TextWithResets, is_sample: bool) -> None:
    """The inputs are those of all other positions, after what the state has read of the span."""
    counted = text.sample if is_sample else text.spans
    check_inputs(text.corpus, text.windows, text.spans, counted)


@settings(max_examples=15, deadline=None)
@given(CHARACTERS, st.integers(1, 3), st.integers(1, 7), st.booleans())
def test_documents_are_texts_of_their_own(
    ids: list[int], batch_size: int, seq_len: int, shuffle: bool
) -> None:
    """The inputs in a document come from nothing before it, and from all other documents."""
    spans = [(0, 7), (7, 9), (9, 25), (27, len(ids))]
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, shuffle_documents=shuffle)
    corpus = corpus_of(ids)
    check_inputs(corpus, DocumentWindows(corpus, spans, config, seed=3), spans, spans)


@settings(max_examples=15, deadline=None)
@example(["bbb", "b", "bbb"], 3)
@given(st.lists(st.text("bcd", min_size=1, max_size=9), min_size=3, max_size=20), st.integers(1, 9))
@example(["b", "b", "bbbbbbbbb"], 9)  # the second window of the long item has one character
def test_items_are_texts_of_their_own(items: list[str], seq_len: int) -> None:
    """The inputs in an item come from its beginning, and from all other items."""
    corpus = Corpus.from_items([*items, "bcd"])
    spans = [(start, stop) for start, stop in corpus.document_spans().tolist()]
    kept = spans[::2]
    config = TrainConfig(batch_size=2, seq_len=seq_len)
    check_inputs(corpus, ItemWindows(corpus, kept, config, seed=3), kept, kept)


def test_any_step_at_any_time(corpus: Corpus) -> None:
    """The inputs of a step depend on no other step, ahead or not."""
    job = tiny_job(corpus)
    windows = make_windows(corpus, job.split, job.config, seed=1)
    forward = ngram_inputs(job, windows)
    jumping = ngram_inputs(job, windows, ahead=True)
    assert forward is not None
    assert jumping is not None
    found = [forward.at(step) for step in range(6)]
    for step in (3, 4, 0, 5, 5, 1, 2):
        np.testing.assert_array_equal(jumping.at(step), found[step])


def random_text(symbols: int, characters: int) -> Corpus:
    """Independent characters of equal probability: nothing about one can be known from others."""
    raw = np.random.PCG64(1).random_raw(characters)
    alphabet = "abcdefghijklmnop"[:symbols]
    return Corpus.from_text("".join(alphabet[index] for index in (raw % symbols).tolist()))


def losses_on(corpus: Corpus, *, left_out: bool = True) -> tuple[float, float]:
    """Train for an epoch; return the training loss in it, and the loss on other text after."""
    config = replace(
        TINY,
        batch_size=1,
        seq_len=8,
        max_steps=None,
        epochs=1,
        eval_every=None,
        lr=0.01,
        schedule="constant",
        dropout=0.0,
        log_every=1,
    )
    model = {"layers": 1, "size": 32, "embed": 16, "ngram": 6}
    job = TrainingJob.new(corpus, {**config.to_json(), **model})
    if not left_out:
        job = replace(job, counted=None)  # as if n-grams of another text were used
    events = list(train(job))
    finished = of_type(events, TrainingFinished)[0]
    logged = of_type(events, StepLogged)
    assert finished.val_loss is not None
    return logged[-1].running_loss, finished.val_loss


@pytest.mark.parametrize("symbols", [4, 16])
def test_the_network_cannot_see_the_target(symbols: int) -> None:
    """Nothing can be learned from random characters, though each stands in a text that was counted.

    The losses would fall under the entropy if the inputs said which character follows.
    """
    while_training, val_loss = losses_on(random_text(symbols, 8_000))
    assert while_training > math.log(symbols) - 0.01
    assert val_loss > math.log(symbols) - 0.01


@pytest.mark.parametrize("symbols", [4, 16])
def test_that_test_can_fail(symbols: int) -> None:
    """With its own occurrence counted, each target is visible."""
    while_training, val_loss = losses_on(random_text(symbols, 8_000), left_out=False)
    assert while_training < math.log(symbols) - 0.1
    assert val_loss > math.log(symbols) + 0.05  # what is learned is wrong for other text


def test_the_gap_does_not_come_from_counting(corpus: Corpus) -> None:
    """Losses on training text, too, come from counts without their own occurrence."""
    job = tiny_job(corpus)
    text = ngram_text(job)
    assert text is not None
    positions = np.arange(100, 400)[:, None]
    targets = corpus.read(100, 400).astype(np.int64)
    inputs = text.inputs(positions, np.full_like(positions, 8))[:, 0]
    assert job.ngrams is not None
    contexts = np.array([[*corpus.read(at - 8, at)[::-1]] for at in range(100, 400)], np.int32)
    left_out = LeftOut(targets, np.full(300, 99))
    q = job.ngrams.distributions(contexts, left_out=left_out)
    expected = np.log(q) - np.log(q).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(inputs, expected, rtol=1e-4, atol=1e-5)


def test_documents_that_begin_alike_can_be_trained_on() -> None:
    """However small a probability is, the network gets a finite number."""
    ids = ([0] * 25 + [1, 2]) * 1_500
    starts = range(0, len(ids), 27)
    corpus = corpus_of([3, *ids[1:]])
    spans = [(start, start + 27) for start in starts]
    model = count_ngrams(read_spans(corpus, spans), SIZE, 20)
    positions = np.arange(27 * 700 + 1, 27 * 701)[:, None]
    text = NgramText(model, corpus, spans)
    assert np.isfinite(text.inputs(positions, np.arange(1, 27)[:, None])).all()


def test_another_text_has_nothing_to_leave_out(corpus: Corpus) -> None:
    """Of a text that was not counted, such as that of `--allow-new-data`, nothing is left out."""
    job = tiny_job(corpus)
    other = replace(job, counted="1" * 64)
    windows = make_windows(corpus, job.split, job.config, seed=1)
    own, foreign = ngram_inputs(job, windows), ngram_inputs(other, windows)
    assert own is not None
    assert foreign is not None
    assert not np.array_equal(own.at(0), foreign.at(0))
    assert ngram_inputs(replace(job, ngrams=None), windows) is None


def test_the_model_says_what_was_counted(corpus: Corpus) -> None:
    """The order follows the alphabet, and the checkpoint names the text."""
    job = tiny_job(corpus)
    assert job.ngrams is not None
    assert job.model == ModelConfig(
        vocabulary_size=len(corpus.vocab), layers=2, size=12, embed=6, ngram=9
    )
    assert job.counted == corpus.sha256
    run_training(corpus)
    resumed = TrainingJob.resumed("run", {"max_steps": 40}, texts=corpus)
    assert resumed.ngrams is not None
    assert resumed.counted == corpus.sha256

"""Whole items: the same as if each were drawn alone, however many are drawn together."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import END_OF_DOCUMENT, SampleConfig, TextOptions
from charrnn_cli.errors import ConfigError, FileFormatError, UnknownCharacterError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import draw, filter_logits, log_softmax
from charrnn_cli.model.items import Item, ItemWriter, default_length, generate_items
from charrnn_cli.model.sampling import generate, uniforms
from tests.helpers import make_checkpoint, make_item_checkpoint


def model(cell: Cell = "lstm", ngram: int = 0, documents: str = "lines") -> Checkpoint:
    size = 10 + (documents != "lines")
    config = ModelConfig(vocabulary_size=size, cell=cell, layers=2, size=8, embed=4, ngram=ngram)
    return make_item_checkpoint(documents, config=config, scale=1.0)


def drawn_alone(checkpoint: Checkpoint, prime: str, config: SampleConfig, number: int) -> Item:
    """Draw an item with an engine of one row."""
    end = checkpoint.data.end or ""
    engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
    vocab, stream = checkpoint.vocab, uniforms(config.seed or 0, number)
    (end_id,) = vocab.encode(end)
    text, nats, logits_1V = prime, 0.0, engine.step([end_id])
    for index in vocab.encode(prime):
        nats -= log_softmax(logits_1V)[0, index]
        logits_1V = engine.step([index])
    while True:
        possible_1V = logits_1V.copy()
        if not text:
            possible_1V[0, end_id] = -np.inf
        kept_1K, ids_1K = filter_logits(possible_1V, config)
        (index,) = draw(kept_1K, [next(stream)], ids_1K)
        if index != end_id and len(text) - len(prime) == config.length:
            return Item(number, text, ended=False, bits=nats / math.log(2))
        nats -= log_softmax(logits_1V)[0, index]
        if index == end_id:
            return Item(number, text, ended=True, bits=nats / math.log(2))
        text += vocab.characters[index]
        logits_1V = engine.step([index])


@pytest.mark.parametrize("prime", ["", "ab"])
@pytest.mark.parametrize(
    ("cell", "ngram", "documents"),
    [("lstm", 0, "lines"), ("gru", 3, "blank-lines"), ("rnn", 0, "--"), ("lstm", 4, "lines")],
)
def test_an_item_is_what_is_drawn_alone(cell: Cell, ngram: int, documents: str, prime: str) -> None:
    """Items of a full batch, whose rows begin again and again, equal items that are drawn alone."""
    checkpoint = model(cell, ngram, documents)
    config = SampleConfig(length=5, seed=7, top_k=4, temperature=1.3)
    items = list(ItemWriter(checkpoint, prime, config, scored=True, rows=20).draw(100))
    alone = [drawn_alone(checkpoint, prime, config, number) for number in range(100)]
    assert [replace(item, bits=None) for item in items] == [
        replace(item, bits=None) for item in alone
    ]
    assert [item.bits for item in items] == pytest.approx([item.bits for item in alone], abs=1e-4)


@given(
    rows=st.integers(1, 40),
    count=st.integers(1, 80),
    seed=st.integers(0, 99),
    length=st.integers(1, 9),
)
@settings(max_examples=40)
def test_items_depend_on_seed_and_number_alone(
    rows: int, count: int, seed: int, length: int
) -> None:
    """More items begin with the same ones; none is empty, has an end in it, or is too long."""
    config = SampleConfig(length=length, seed=seed)
    few = list(ItemWriter(model(), "", config, rows=rows).draw(count))
    many = list(islice(ItemWriter(model(), "", config).draw(200), count))
    assert few == many
    assert [item.number for item in few] == list(range(count))
    assert all(0 < len(item.text) <= length and "\n" not in item.text for item in few)


def test_a_limit_cuts_items_off() -> None:
    """Items of the same seed are the same up to the limit, and say whether they ended."""
    whole, cut = (list(generate_items(model(), seed=5, count=200, length=n)) for n in (500, 3))
    assert [item.text[:3] for item in whole] == [item.text for item in cut]
    assert [len(item.text) <= 3 for item in whole] == [item.ended for item in cut]
    assert {item.ended for item in cut} == {True, False}


def test_the_public_generator() -> None:
    """By default, it yields ten items with bits, of up to four times the longest item."""
    checkpoint = model()
    items = list(generate_items(checkpoint, "b", seed=1))
    assert items == list(
        ItemWriter(checkpoint, "b", SampleConfig(length=20, seed=1), scored=True).draw(10)
    )
    assert all(item.text.startswith("b") and item.bits is not None for item in items)
    assert default_length(checkpoint) == 20
    assert [item.bits for item in generate_items(checkpoint, count=2, scored=False)] == [None] * 2
    assert len(list(generate_items(checkpoint, seed=2))) == 10


def test_without_randomness_all_items_are_equal() -> None:
    """Temperature 0 takes the likeliest characters, but the end only after a character."""
    items = list(generate_items(model(), temperature=0, count=30, length=6))
    assert len({item.text for item in items}) == 1
    assert items[0].text


def test_a_stop_ends_the_items() -> None:
    """No item follows once a stop was requested."""
    asked = iter([False] * 4)
    writer = ItemWriter(model(), "", SampleConfig(length=20, seed=1))
    whole = list(writer.draw(1000))
    some = list(writer.draw(1000, lambda: next(asked, True)))
    assert some == whole[: len(some)]
    assert len(some) < 1000


def test_end_symbols_around_a_prime_change_nothing() -> None:
    """A prime may be typed with the line end before or after it."""
    expected = list(generate_items(model(), "ab", seed=1))
    assert list(generate_items(model(), "\nab\n", seed=1)) == expected


@pytest.mark.parametrize(
    ("checkpoint", "settings", "kind", "message"),
    [
        (make_checkpoint(), {}, ConfigError, "the model was trained on one text, not on items"),
        (model(), {"prime": "a\nb"}, ConfigError, "the prime is more than one item"),
        (model(), {"prime": "z"}, UnknownCharacterError, "the vocabulary lacks 'z' (U+007A)"),
        (
            model(),
            {"length": 0},
            ConfigError,
            "an item has at least one character, so length must be above 0",
        ),
        (
            replace(
                model(),
                weights={name: np.full_like(each, 3e38) for name, each in model().weights.items()},
            ),
            {},
            FileFormatError,
            "the model's weights are so large that its predictions overflow",
        ),
    ],
)
def test_errors(
    checkpoint: Checkpoint, settings: dict[str, object], kind: type[Exception], message: str
) -> None:
    """Items need a model of items, a prime that begins one, and numbers that do not overflow."""
    with pytest.raises(kind) as raised:
        list(generate_items(checkpoint, **settings))  # type: ignore[arg-type]
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("documents", "between"), [("lines", "\n"), ("blank-lines", "\n\n"), (" -- ", " -- ")]
)
@pytest.mark.parametrize("prime", [None, "ab"])
def test_generated_text_is_whole_items(documents: str, between: str, prime: str | None) -> None:
    """`generate` yields as many items as fit; the prime begins each, and is echoed on request."""
    checkpoint = make_item_checkpoint(documents, scale=1.0)
    items = [
        item.text for item in generate_items(checkpoint, prime or "", length=60, count=60, seed=3)
    ]
    known = len(prime or "")
    for length in (*range(len(items[0]) - known, 40), 60):
        text = "".join(generate(checkpoint, prime, length=length, seed=3, echo=True))
        assert len(text) - known <= length
        number = next(n for n in range(60, 0, -1) if len(between.join(items[:n])) <= length + known)
        assert text == between.join(items[:number])
        assert "".join(generate(checkpoint, prime, length=length, seed=3)) == text[known:]


def test_an_item_that_does_not_fit_is_cut() -> None:
    """The first item is cut off at the length, so that there is some text."""
    (whole, *_) = generate_items(model(), length=60, seed=3)
    for length in range(1, len(whole.text)):
        assert "".join(generate(model(), length=length, seed=3)) == whole.text[:length]
    assert "".join(generate(model(), length=0, seed=3)) == ""


def test_a_model_of_files_begins_a_file() -> None:
    """The end symbol stands before a prime, and becomes a newline where it is drawn."""
    checkpoint = make_item_checkpoint("files", scale=1.0)
    text = "".join(generate(checkpoint, "ab", length=300, seed=1, top_k=0))
    explicit = replace(checkpoint, data=replace(checkpoint.data, end=None))
    raw = "".join(generate(explicit, "\x03ab", length=300, seed=1, top_k=0))
    assert "\x03" in raw
    assert text == raw.replace("\x03", "\n")
    assert "".join(generate(checkpoint, length=9, seed=1)) == "".join(
        generate(explicit, "\x03", length=9, seed=1)
    )


def test_a_model_that_lacks_its_end_symbol_reads_one_text() -> None:
    """A header may name an end symbol that the vocabulary does not have."""
    checkpoint = make_checkpoint(reading=TextOptions(documents="blank-lines"))
    checkpoint = replace(checkpoint, data=replace(checkpoint.data, end="\x03", longest_item=3))
    assert len("".join(generate(checkpoint, length=50))) == 50


def test_an_end_symbol_of_other_documents_is_never_written() -> None:
    """A model of lines, or of one text, with U+0003 in its vocabulary never draws it."""
    checkpoint = make_checkpoint(characters=f"\n{END_OF_DOCUMENT}abcdefgh")
    checkpoint = replace(checkpoint, data=replace(checkpoint.data, init_from="files@100"))
    lines = replace(
        checkpoint,
        data=replace(
            checkpoint.data, end="\n", longest_item=9, reading=TextOptions(documents="lines")
        ),
    )
    flat = SampleConfig(length=3_000, top_k=0, temperature=5.0, seed=1)
    texts = [item.text for item in ItemWriter(lines, "", replace(flat, length=30)).draw(300)]
    assert END_OF_DOCUMENT not in "".join(texts)
    assert END_OF_DOCUMENT not in "".join(generate(checkpoint, "a", flat))
    ended = replace(checkpoint, data=replace(checkpoint.data, end=END_OF_DOCUMENT))
    assert "\n" in "".join(generate(ended, "a", flat))

"""What a model does while it reads: surprise, guesses, and units that follow features."""

import math
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.inspection import trace as tracing
from charrnn_cli.model.inspection.bit_shares import (
    beyond_fivegrams,
    bits_by_kind,
    bits_by_place,
    mean_bits,
)
from charrnn_cli.model.inspection.counted_bits import ngram_bits
from charrnn_cli.model.inspection.features import compiled_patterns, text_features
from charrnn_cli.model.inspection.trace import Trace, trace
from charrnn_cli.model.inspection.units import find_units, slowest_units
from charrnn_cli.model.ngram_reader import NgramReader
from charrnn_cli.model.reading import end_symbol, in_model_vocabulary
from charrnn_cli.model.text_score import score
from charrnn_cli.text.corpus import Corpus
from tests.helpers import make_checkpoint, make_item_checkpoint

QUOTING = '\n "ab'
UNIT = 7


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def random_text(characters: str, length: int, seed: int = 1) -> str:
    ids = generator(seed).integers(0, len(characters), length)
    return "".join(characters[each] for each in ids)


def traced(checkpoint: Checkpoint, text: str, length: int = 20_000) -> Trace:
    return trace(checkpoint, in_model_vocabulary(Corpus.from_text(text), checkpoint), length)


def alice(checkpoint: Checkpoint, length: int) -> str:
    """Return the beginning of the bundled book, in characters that the model knows."""
    path = resources.files("charrnn_cli") / "data" / "alice.txt"
    text = path.read_text("utf-8")[: length + 1000]
    return "".join(each for each in text if each in checkpoint.vocab)[:length]


@pytest.fixture(scope="module")
def english() -> Trace:
    """The built-in model, reading the beginning of the bundled book."""
    checkpoint = load_checkpoint("english")
    return traced(checkpoint, alice(checkpoint, 8_000))


@pytest.mark.parametrize(("cell", "ngram"), [("lstm", 0), ("lstm", 3), ("gru", 3), ("rnn", 0)])
def test_the_mean_surprise_is_the_score(cell: Cell, ngram: int) -> None:
    """The mean bits of a trace equal those of `score`, for a text of several chunks."""
    config = ModelConfig(vocabulary_size=10, cell=cell, layers=2, size=8, embed=3, ngram=ngram)
    checkpoint = make_checkpoint(config, scale=0.2)
    text = random_text("abcdefgh \n", 4_321)
    found = traced(checkpoint, text)
    assert found.text == text
    assert found.bits_per_character == pytest.approx(
        score(checkpoint, text).bits_per_character, abs=1e-6
    )
    assert np.flatnonzero(~found.is_scored).tolist() == [0]


def test_a_trained_model_forgets_within_the_warm_up(english: Trace) -> None:
    """The mean bits of the built-in model equal those of `score`, too."""
    expected = score(load_checkpoint("english"), english.text).bits_per_character
    assert english.bits_per_character == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("documents", ["lines", "files"])
def test_documents_are_read_one_by_one(documents: str) -> None:
    """Items and files have the bits of `score`; empty ones have none."""
    checkpoint = make_item_checkpoint(documents)
    reading = TextOptions(documents=documents)
    texts = ["abc", "", "hh", "abcdefgh" * 200, "c"]
    corpus = in_model_vocabulary(Corpus.from_documents(texts, reading, "texts"), checkpoint)
    found = trace(checkpoint, corpus)
    scores = [score(checkpoint, text) for text in texts if text]
    bits = math.fsum(each.bits_per_character * each.characters for each in scores)
    assert found.is_scored.sum() == sum(each.characters for each in scores)
    assert found.bits_per_character * found.is_scored.sum() == pytest.approx(bits, rel=1e-6)
    end = end_symbol(checkpoint)
    assert [group.characters for group in bits_by_kind(found, end) if group.name == "end"] == [4]


def test_a_text_in_which_nothing_is_predicted_is_refused() -> None:
    """A text of one character cannot be inspected."""
    with pytest.raises(ConfigError) as error:
        traced(make_checkpoint(), "a")
    assert error.value.message == "scoring needs at least one character; this text has none"


def test_guesses_are_the_likeliest_characters() -> None:
    """The guesses are in order, and the share of the character itself is its surprise."""
    found = traced(make_checkpoint(), random_text("abcdefgh", 300))
    shares, guesses = found.shares[1:], found.guesses[1:]
    assert (np.diff(shares, axis=1) <= 0).all()
    is_itself = guesses == found.ids[1:, None]
    places = np.flatnonzero(is_itself.any(axis=1))
    assert len(places) > 100
    own = shares[places, is_itself[places].argmax(axis=1)]
    np.testing.assert_allclose(-np.log2(own), found.bits[1:][places], rtol=1e-4, atol=1e-5)
    missed = np.flatnonzero(~is_itself.any(axis=1))
    assert (2.0 ** -found.bits[1:][missed] <= shares[missed, -1] + 1e-6).all()


def test_ngrams_alone_have_their_own_surprise() -> None:
    """The bits of n-grams are those that the network's inputs come from."""
    config = ModelConfig(vocabulary_size=10, layers=1, size=4, embed=3, ngram=4)
    checkpoint = make_checkpoint(config)
    assert checkpoint.ngrams is not None
    found = traced(checkpoint, random_text("abcdefgh", 300))
    bits = ngram_bits(found, checkpoint.ngrams)
    inputs_TV = NgramReader(checkpoint.ngrams).read(found.ids[:-1, None])[:, 0]
    q_TV = np.exp(inputs_TV) / np.exp(inputs_TV).sum(axis=1, keepdims=True)
    expected = -np.log2(q_TV[np.arange(299), found.ids[1:]])
    np.testing.assert_allclose(bits[1:], expected, rtol=1e-4)
    assert np.isnan(bits[0])
    unigrams = ngram_bits(found, checkpoint.ngrams, 1)
    by_character = {int(each): set(unigrams[1:][found.ids[1:] == each]) for each in found.ids}
    assert {len(bits) for bits in by_character.values()} == {1}


def latching_checkpoint() -> Checkpoint:
    """An LSTM of weak random weights, whose unit 7 changes its sign at each quotation mark.

    A new line ends a quotation.
    """
    size, config = 8, ModelConfig(vocabulary_size=5, layers=1, size=8, embed=0)
    checkpoint = make_checkpoint(config, characters=QUOTING, scale=0.1)
    weights = {name: array.copy() for name, array in checkpoint.weights.items()}
    inputs, hidden, bias = (
        weights[f"layers.0.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih")
    )
    i, f, g, o = (gate * size + UNIT for gate in range(4))
    for row in (i, f, g, o):
        inputs[row], hidden[row] = 0, 0
    mark, new_line = QUOTING.index('"'), QUOTING.index("\n")
    inputs[i, [mark, new_line]], bias[i] = 40, -20  # closed, except at these
    inputs[f, [mark, new_line]], bias[f] = -40, 20
    hidden[g, UNIT], bias[g] = -20, 10  # 1 after 0 and after -1, and -1 after 1
    inputs[g, new_line] = -60
    bias[o] = 20
    return replace(checkpoint, weights=weights)


def test_a_unit_that_latches_on_quotation_marks_is_found() -> None:
    """The unit that is on inside quotations is found, and no other is reported for them."""
    random = generator(3)
    pieces = []
    for _ in range(400):
        words = ["ab ba a "[: random.integers(2, 8)] for _ in range(random.integers(1, 5))]
        pieces.append("".join(words) + f'"{"ab" * random.integers(3, 12)}" \n')
    found = traced(latching_checkpoint(), "".join(pieces))
    units = find_units(found.activations, text_features(found))
    (quotes,) = [unit for unit in units if unit.feature == 'inside "…"']
    assert (quotes.layer, quotes.unit) == (0, UNIT)
    assert abs(quotes.r) > 0.99
    assert abs(quotes.r_held_out) > 0.99
    assert quotes.r_chance < 0.5


def test_a_trained_model_has_units_for_words_and_lines(english: Trace) -> None:
    """In the built-in model, held-out stretches confirm units for words and lines."""
    features = text_features(english)
    found = {each.feature: each for each in find_units(english.activations, features)}
    assert abs(found["place in the word"].r_held_out) > 0.6
    assert abs(found["space"].r_held_out) > 0.6
    assert abs(found["place in the line"].r_held_out) > 0.5
    for each in found.values():
        assert abs(each.r_held_out) > max(0.2, each.r_chance)


def test_features_of_another_text_are_not_found(english: Trace) -> None:
    """No unit is reported for the features of a text that the model did not read."""
    characters = np.array(list(english.text))
    found = []
    for seed in range(5):
        shuffled = "".join(generator(seed).permutation(characters))
        other = replace(english, text=shuffled)
        features = text_features(other)
        assert len(features) > 8
        found += find_units(english.activations, features)
    assert found == []


def test_slow_units_are_those_that_remember() -> None:
    """A unit that holds its value for about 100 characters is the slowest one."""
    values = generator().standard_normal((5_000, 6)).astype(np.float16)
    values[:, 4] = np.repeat(generator(2).standard_normal(50), 100)
    values[:, 5] = 0.5
    activations = [tracing.Activations(1, "h", values)]
    slowest = slowest_units(activations)[0]
    assert (slowest.layer, slowest.unit, slowest.part) == (1, 4, "h")
    assert 40 < slowest.characters < 100
    assert all(each.unit != 5 for each in slowest_units(activations))


def feature_of(text: str, name: str, patterns: dict[str, str] | None = None) -> str:
    """Return a feature of a text, a digit for each character."""
    ids, numbers, guesses = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int32)
    one_text = Trace(text, np.zeros(1, np.int64), ids, numbers, guesses, numbers, [])
    (values,) = [
        feature.values
        for feature in text_features(one_text, compiled_patterns(patterns or {}))
        if feature.name == name
    ]
    return "".join(f"{value:.0f}" for value in values)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("place in the word", "ab, Éa b", "12001201"),
        ("capital", "ab, Éa b", "00001000"),
        ("vowel", "ab, Éa b", "10001100"),
        ("place in the line", "a\nbc\nd", "001201"),
        ('inside "…"', '"a" b\n"c\n\n"d" e', "110000" + "1110" + "11000"),
        ("inside “…”", "a“b”c“d\n\ne”", "0110011" + "1000"),
        ("inside `…'", "`it's' a `b", "111110000" + "11"),
        ("inside (…)", "(a) b (c", "11000011"),
        ("depth of brackets", ")a(b[c])d", "001122100"),
        ("indentation", "a\n  b c\n\t d\n", "0012222" + "01220"),
        ("rings", "ab1c1d", "001110"),
    ],
)
def test_features_follow_the_text(name: str, text: str, expected: str) -> None:
    """Each feature has the values that counting by hand gives."""
    assert feature_of(text, name, {"rings": "1.*?1"}) == expected


def test_an_invalid_pattern_is_refused() -> None:
    """A pattern that is not a regular expression is an error with its name."""
    with pytest.raises(ConfigError) as error:
        compiled_patterns({"x": "("})
    assert error.value.message.startswith("the pattern of 'x' is not valid: ")


def test_bits_are_shared_out_once(english: Trace) -> None:
    """Kinds share out all characters and all bits; places share out the letters."""
    kinds = bits_by_kind(english, None)
    assert sum(group.characters for group in kinds) == english.is_scored.sum()
    assert sum(group.share for group in kinds) == pytest.approx(1)
    total = sum(group.bits * group.characters for group in kinds)
    assert total == pytest.approx(mean_bits(english.bits) * english.is_scored.sum())
    letters = sum(each.isalpha() for each in english.text[1:])
    places = bits_by_place(english)
    assert sum(group.characters for group in places) == letters
    assert places[0].bits > places[-1].bits  # the beginning of a word is the hardest


def test_what_fivegrams_do_not_know_is_shown(english: Trace) -> None:
    """The share of characters with a gain of more than 2 bits is counted, with the best of them."""
    fivegram_bits = english.bits.copy()
    gained = generator().choice(np.arange(1, 8_000), 80, replace=False)
    fivegram_bits[gained] += 3
    fivegram_bits[gained[:3]] += 5
    share, examples = beyond_fivegrams(english, fivegram_bits)
    assert share == 80 / 7_999
    best = [english.text[place] for place in sorted(gained[:3])]
    shown = [each.character for each in examples if each.fivegram_bits - each.bits > 7]
    assert shown == best
    assert len(examples) == 8

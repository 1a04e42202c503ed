"""Texts, primes and stop strings, as a model reads them."""

import numpy as np
import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.reading import as_read, in_model_vocabulary, num_replaced, reading_options
from charrnn_cli.model.sampling import generate
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from tests.helpers import forge, make_checkpoint, save

RARE = "\n abcdefg\ufffd"  # the characters of a model whose rare characters became U+FFFD
NFC = TextOptions(normalize="nfc")
MIN_COUNT = TextOptions(min_count=5)


def test_the_reading_is_recorded() -> None:
    """Options for reading a text survive in the checkpoint's header."""
    options = TextOptions(encoding="cp1252", newlines="keep", normalize="nfkc", separator="\n\n")
    assert load_checkpoint(save(make_checkpoint(reading=options))).data.reading == options


def test_a_header_of_another_version() -> None:
    """Without a recorded reading, the defaults apply; unknown options of a reading are ignored."""
    path = save(make_checkpoint(reading=NFC))
    data = {"name": "story", "sha256": "0" * 64, "characters": 1000, "commonest": " "}
    forge(path, data=data)
    assert load_checkpoint(path).data.reading == TextOptions()
    forge(path, data={**data, "reading": {**NFC.to_json(), "later": 1}})
    assert load_checkpoint(path).data.reading == NFC


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        (TextOptions(), {}, TextOptions()),
        (NFC, {}, NFC),
        (NFC, {"normalize": "none"}, TextOptions()),
        (NFC, {"newlines": "keep"}, TextOptions(normalize="nfc", newlines="keep")),
        # A recorded encoding is only for files that are not UTF-8; a given one is as it is.
        (TextOptions(encoding="cp1252"), {}, TextOptions(encoding="utf-8,cp1252")),
        (TextOptions(encoding="utf-8,cp1252"), {}, TextOptions(encoding="utf-8,cp1252")),
        (TextOptions(encoding="cp1252"), {"encoding": "latin-1"}, TextOptions(encoding="latin-1")),
        # A model that never saw U+FFFD cannot read rare characters as U+FFFD.
        (MIN_COUNT, {}, TextOptions()),
    ],
)
def test_given_options_replace_recorded_ones(
    recorded: TextOptions, given: dict[str, object], expected: TextOptions
) -> None:
    """Options that are not given are those of the model's own text."""
    assert reading_options(make_checkpoint(reading=recorded), given) == expected


def test_invalid_options_are_refused() -> None:
    """An option that is unknown or has a wrong value is an error."""
    with pytest.raises(ConfigError, match="unknown setting 'colour'"):
        reading_options(make_checkpoint(), {"colour": 1})
    with pytest.raises(TextError, match="unknown encoding 'utf-9'"):
        reading_options(make_checkpoint(), {"encoding": "utf-8,utf-9"})


def test_rare_characters_are_replaced() -> None:
    """A model that has learned U+FFFD for rare characters reads every other character as U+FFFD."""
    model = make_checkpoint(characters=RARE, reading=MIN_COUNT)
    assert reading_options(model) == MIN_COUNT
    assert as_read("a漢bß", MIN_COUNT, model.vocab) == "a\ufffdb\ufffd"
    assert num_replaced("a漢\ufffd", "a\ufffd\ufffd") == 1
    corpus = in_model_vocabulary(Corpus.from_text("a漢bß漢"), model)
    assert "".join(corpus.text()) == "a\ufffdb\ufffd\ufffd"
    assert corpus.counts_V.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 3]
    assert len(list(generate(model, "a漢", length=5, seed=1))) == 5


def test_other_characters_are_refused_or_skipped() -> None:
    """Without a replacement, a character that the model lacks is an error unless it is skipped."""
    model = make_checkpoint()
    with pytest.raises(UnknownCharacterError):
        in_model_vocabulary(Corpus.from_text("a漢b"), model)
    skipped = in_model_vocabulary(Corpus.from_text("a漢bca"), model, skipped="漢a")
    assert "".join(skipped.text()) == "bc"


def test_primes_are_normalized() -> None:
    """A prime has the line ends and the Unicode form of the training text."""
    vocab = Vocab("\n\raé")
    decomposed = "e\u0301\r\na"
    assert as_read(decomposed, NFC, vocab) == "é\na"
    assert as_read(decomposed, TextOptions(newlines="keep"), vocab) == decomposed
    composed = make_checkpoint(characters="\naé", reading=NFC)
    same = [
        list(generate(composed, prime, length=20, seed=1)) for prime in ("é\na", "e\u0301\r\na")
    ]
    assert same[0] == same[1]


def test_a_text_with_another_order_of_characters() -> None:
    """A text is read in the ids of the model, not in its own."""
    model = make_checkpoint(characters="cba")
    ids = in_model_vocabulary(Corpus.from_text("abc"), model).read(0, 3)
    assert np.array_equal(ids, [2, 1, 0])

"""Several samples, drawn side by side and yielded in pieces."""

import itertools
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_cli.config import SampleConfig
from charrnn_cli.model import samples
from charrnn_cli.model.samples import Piece, Sample, SampleEnd, draw_samples
from charrnn_cli.model.sampling import Writer, generate
from tests.helpers import make_checkpoint

CHECKPOINT = make_checkpoint(scale=0.1)
LENGTH = 30  # products of several rows are rounded differently, so long texts may part


def writer(seed: int = 3, *, scored: bool = False) -> Writer:
    """A writer that has read a prime."""
    result = Writer(CHECKPOINT, SampleConfig(seed=seed, top_k=0), scored=scored)
    result.read("abc")
    return result


def alone(number: int, seed: int = 3, length: int = LENGTH) -> str:
    """Sample `number`, drawn without the others."""
    return "".join(drawn.characters[0] for drawn in writer(seed).repeat([number]).write(length))


def joined(pieces: Iterable[Piece]) -> list[Sample]:
    """The whole samples, in the order in which they came."""
    groups = [list(group) for _, group in itertools.groupby(pieces, lambda piece: piece.sample)]
    ends = [group[-1].end for group in groups]
    return [
        Sample.from_pieces(group, end)
        for group, end in zip(groups, ends, strict=True)
        if end is not None
    ]


def requested_at(number: int) -> Callable[[], bool]:
    """A request to stop that is made while the given character, counted from 1, is drawn."""
    calls = itertools.count(1)
    return lambda: next(calls) >= number


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ROWS", 3)


def test_joined_pieces_are_the_generated_text() -> None:
    """One sample arrives character by character and equals the text of `generate`."""
    pieces = list(draw_samples(writer(), LENGTH))
    assert [len(piece.text) for piece in pieces] == [1] * LENGTH + [0]
    assert [piece.end for piece in pieces] == [None] * LENGTH + [SampleEnd(LENGTH, stopped=False)]
    expected = "".join(generate(CHECKPOINT, "abc", SampleConfig(seed=3, top_k=0, length=LENGTH)))
    assert joined(pieces) == [Sample(0, expected, [], SampleEnd(LENGTH, stopped=False))]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_a_sample_does_not_depend_on_the_others(count: int) -> None:
    """Samples come in order, and sample k of several equals sample k drawn alone."""
    found = joined(draw_samples(writer(), LENGTH, count))
    assert [sample.number for sample in found] == list(range(count))
    assert [sample.text for sample in found] == [alone(number) for number in range(count)]


@hypothesis_settings(max_examples=25)
@given(
    seed=st.integers(0, 99), count=st.integers(1, 5), stops=st.lists(st.text("abcd"), max_size=2)
)
def test_each_sample_ends_before_its_first_stop_string(
    seed: int, count: int, stops: list[str]
) -> None:
    """A sample is its text alone up to the stop string that is complete first."""
    for sample in joined(draw_samples(writer(seed), LENGTH, count, stops)):
        whole = alone(sample.number, seed)
        ends = [
            (whole.find(stop) + len(stop), -len(stop)) for stop in stops if stop and stop in whole
        ]
        stop, negative_length = min(ends, default=(LENGTH, 0))
        assert sample.text == whole[: stop + negative_length]
        assert sample.end == SampleEnd(drawn=stop, stopped=bool(ends))


@pytest.mark.usefixtures("small_batches")
def test_the_first_sample_of_a_batch_does_not_wait() -> None:
    """Pieces of the first sample precede the drawing of its last character; others come whole."""
    drawn = 0

    def count_characters() -> bool:
        nonlocal drawn
        drawn += 1
        return False

    arrivals = [
        (piece.sample, drawn) for piece in draw_samples(writer(), 4, 5, (), count_characters)
    ]
    first = [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 4), (2, 4)]
    second = [(3, 4), (3, 5), (3, 6), (3, 7), (3, 8), (4, 8)]
    assert arrivals == first + second


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("number", [1, 4, LENGTH, LENGTH + 2])
def test_an_interruption_ends_after_the_current_character(number: int) -> None:
    """Every sample of the current batch keeps what was drawn; no other batch begins."""
    found = joined(draw_samples(writer(), LENGTH, 9, (), requested_at(number)))
    batches, last = divmod(number - 1, LENGTH)
    lengths = [LENGTH] * (3 * batches) + [last + 1] * 3
    assert [len(sample.text) for sample in found] == lengths
    assert [sample.text for sample in found] == [
        alone(sample)[:length] for sample, length in enumerate(lengths)
    ]
    assert not any(sample.end.stopped for sample in found)


def test_a_request_is_asked_for_once_per_character() -> None:
    """A request that reports itself only once is not lost."""
    asked = iter([False, False, True])
    (sample,) = joined(draw_samples(writer(), LENGTH, 1, (), lambda: next(asked)))
    assert len(sample.text) == 3


def test_a_single_sample_moves_the_writer_on() -> None:
    """A single sample moves the writer on; several samples leave it where it was."""
    one = writer()
    texts = [joined(draw_samples(one, 10))[0].text for _ in range(2)]
    assert "".join(texts) == alone(0, length=20)
    several = writer()
    assert joined(draw_samples(several, 10, 2)) == joined(draw_samples(several, 10, 2))


@pytest.mark.parametrize("count", [1, 3])
def test_log_probabilities_belong_to_the_text(count: int) -> None:
    """Each character of the text has its log-probability; those of a stop string are left out."""
    stop = alone(0)[10:12]
    found = joined(draw_samples(writer(scored=True), LENGTH, count, [stop]))
    expected = [
        drawn.log_probabilities for drawn in writer(scored=True).repeat(range(count)).write(LENGTH)
    ]
    for row, sample in enumerate(found):
        scores = [scores[row] for scores in expected if scores is not None]
        assert sample.log_probabilities == pytest.approx(scores[: len(sample.text)], abs=1e-5)


def test_samples_of_no_length() -> None:
    """Each sample of length 0 is one empty piece."""
    pieces = list(draw_samples(writer(), 0, 2))
    end = SampleEnd(0, stopped=False)
    assert pieces == [Piece(0, "", [], end), Piece(1, "", [], end)]

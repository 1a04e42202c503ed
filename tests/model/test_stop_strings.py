"""Stop strings."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model.stop_strings import StopMatcher, StopStrings

AB = st.text("ab", max_size=30)


def passed(text: str, stops: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(StopStrings(stops))
    return "".join(matcher.push(character) for character in text) + matcher.rest(), matcher.stopped


@given(AB, st.lists(AB, max_size=3))
def test_all_before_the_first_stop_string_passes(text: str, stops: list[str]) -> None:
    """The first complete stop string ends the text; of two that end together, the longer one."""
    wanted = [stop for stop in stops if stop]
    ends = [(text.find(stop) + len(stop), -len(stop)) for stop in wanted if stop in text]
    expected = text[: sum(min(ends))] if ends else text
    assert passed(text, stops) == (expected, bool(ends))


def test_only_what_may_begin_a_stop_string_waits() -> None:
    """Characters are held back only while they may be part of a stop string."""
    matcher = StopMatcher(StopStrings(["end."]))
    assert [matcher.push(character) for character in "the en"] == ["t", "h", "", "e ", "", ""]
    assert matcher.push("x") == "enx"
    assert [matcher.push(character) for character in "end.more"] == [""] * 8
    assert matcher.stopped


def test_the_work_does_not_grow_with_the_stop_strings() -> None:
    """A text passes through thousands of stop strings, and through one of 100,000 characters."""
    many = [f"{number:05}" for number in range(20_000)]
    assert passed("ab1234x" * 2000, many) == ("ab1234x" * 2000, False)
    assert passed("a" * 150_000, ["a" * 100_000 + "b"]) == ("a" * 150_000, False)
    assert passed("a" * 150_000 + "bc", ["a" * 100_000 + "b"]) == ("a" * 50_000, True)

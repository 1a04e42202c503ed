"""Stop strings."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model.stop_strings import StopMatcher

AB = st.text("ab", max_size=30)


def passed(text: str, stops: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
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
    matcher = StopMatcher(["end."])
    assert [matcher.push(character) for character in "the en"] == ["t", "h", "", "e ", "", ""]
    assert matcher.push("x") == "enx"
    assert [matcher.push(character) for character in "end.more"] == [""] * 8
    assert matcher.stopped

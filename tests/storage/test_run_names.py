"""Names of runs that are made from names of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.run_names import MAX_LENGTH, check_new_run_name, run_name, slug
from charrnn_cli.storage.runs import check_run_name


@given(st.text(), st.sampled_from(["rnn-1x8", "lstm-64x65536"]))
def test_any_text_gives_a_valid_name(text: str, model: str) -> None:
    """`slug` and `run_name` make valid names of any text, and a run's name ends with its model."""
    assert check_run_name(slug(text)) == slug(text)
    name = run_name(text, model)
    assert check_run_name(name).endswith(f"-{model}")
    assert len(name) <= MAX_LENGTH
    assert slug(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("anna", "anna-gru-2x8"),
        ("Crème Brûlée", "creme-brulee-gru-2x8"),
        ("Łódź", "lodz-gru-2x8"),
        ("Straße", "strasse-gru-2x8"),
        ("Færøerne", "faeroerne-gru-2x8"),
        ("Đorđe", "dorde-gru-2x8"),
        ("Dərbənd", "derbend-gru-2x8"),
        ("诗歌", "text-gru-2x8"),
        ("قصائد", "text-gru-2x8"),
        ("Война и мир", "text-gru-2x8"),
        ("война 1869", "1869-gru-2x8"),
        ("...", "text-gru-2x8"),
        ("", "text-gru-2x8"),
        ("x" * 100, "x" * 48 + "-gru-2x8"),
    ],
)
def test_letters_without_marks(text: str, name: str) -> None:
    """Latin letters lose their marks, other scripts become `text`, and long names are cut."""
    assert run_name(text, "gru-2x8") == name


@pytest.mark.parametrize(
    ("name", "valid"), [("My Book", "my-book"), ("../up", "up"), ("best", "run-best"), ("", "run")]
)
def test_an_invalid_name_is_answered_with_a_valid_one(name: str, valid: str) -> None:
    """The name that the hint proposes for a new run is valid."""
    with pytest.raises(ConfigError) as caught:
        check_new_run_name(name)
    assert caught.value.message == f"{name!r} is not a valid run name"
    assert caught.value.hint == f"use, for example, --run {valid}"
    assert check_new_run_name(valid) == valid

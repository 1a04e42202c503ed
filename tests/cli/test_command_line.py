"""Values that the program reads from a command line, and writes out for the user."""

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.options.parsers import parse_duration
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.training.command_line import train_command


def test_numbers_are_written_as_a_person_types_them() -> None:
    """A duration has units, and no number has an exponent, because a person would not type one."""
    settings = {**TrainConfig().to_json(), "epochs": None, "max_time": 1_000_000.0, "lr": 0.0015}
    command = train_command(ModelConfig(vocabulary_size=1).to_json(), settings)
    assert "--max-time 11d13h46m40s " in f"{command} "
    assert "--lr 0.0015 " in f"{command} "
    assert parse_duration("11d13h46m40s") == parse_duration("1000000") == 1_000_000


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("90", 90),
        (90, 90),
        (0.5, 0.5),
        ("90s", 90),
        ("20m", 1200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1H 30M", 5400),
        ("1m30s", 90),
        ("1d", 86_400),
        ("1d12h", 129_600),
        ("2d1h1m1s", 176_461),
        ("1:30:00", 5400),
        ("0:00:45", 45),
        ("48:00:00.5", 172_800.5),
    ],
)
def test_durations(typed: str | float, seconds: float) -> None:
    """A duration is a number of seconds, numbers with units from large to small, or h:mm:ss."""
    assert parse_duration(typed) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "1h30", "30m1h", "1:2:3:4", "1:99:00", "h", "1w"])
def test_texts_that_are_no_duration(typed: str) -> None:
    """Any other text is refused with examples."""
    with pytest.raises(ConfigError) as caught:
        parse_duration(typed)
    assert caught.value.message == f"{typed!r} is not a duration"
    assert caught.value.hint == "use a form such as 90s, 20m, 1h30m, 1d12h or 1:30:00"


def test_two_numbers_of_a_clock_are_unclear() -> None:
    """`1:30` is refused with both of its meanings, which are durations."""
    with pytest.raises(ConfigError) as caught:
        parse_duration("1:30")
    assert caught.value.message == ("'1:30' may mean hours and minutes, or minutes and seconds")
    assert caught.value.hint == "use 1h30m or 1m30s"
    assert (parse_duration("1h30m"), parse_duration("1m30s")) == (5400, 90)

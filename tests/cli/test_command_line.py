"""Commands that the program writes out for the user."""

from charrnn_cli.cli.options.command_line import train_command
from charrnn_cli.cli.options.parsers import parse_duration
from charrnn_cli.config import ModelConfig, TrainConfig


def test_numbers_are_written_as_a_person_types_them() -> None:
    """A long duration has no exponent, because the option would not accept one."""
    settings = {**TrainConfig().to_json(), "epochs": None, "max_time": 1_000_000.0, "lr": 0.0015}
    command = train_command(ModelConfig(vocabulary_size=1).to_json(), settings)
    assert "--max-time 1000000 " in f"{command} "
    assert "--lr 0.0015 " in f"{command} "
    assert parse_duration("1000000") == 1_000_000

"""Settings are checked when they are made, and described where they are declared."""

import dataclasses
import re
from typing import Any, Literal

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.options.setting_options import setting_option
from charrnn_cli.config import SampleConfig, TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import Settings, about, choices, fields_of, option_name, setting
from charrnn_cli.training.presets import PRESETS, from_preset


def test_the_notebook_has_its_published_parameter_count() -> None:
    """2 x 512, one-hot, 83 symbols, two bias vectors per layer: 3,366,483."""
    assert ModelConfig(vocabulary_size=83, layers=2, size=512, embed=0).num_parameters == 3_366_483


# Settings that are refused, and the whole message.
IMPOSSIBLE: list[tuple[type[Settings], dict[str, Any], str]] = [
    (ModelConfig, {"vocabulary_size": 0}, "vocabulary size must be from 1 to 1,114,112; got 0"),
    (ModelConfig, {"layers": 0}, "layers must be from 1 to 64; got 0"),
    (ModelConfig, {"layers": 65}, "layers must be from 1 to 64; got 65"),
    (ModelConfig, {"layers": 1.5}, "layers must be an integer; got 1.5"),
    (ModelConfig, {"layers": True}, "layers must be an integer; got True"),
    (ModelConfig, {"size": 0}, "size must be from 1 to 65,536; got 0"),
    (ModelConfig, {"size": 10**9}, "size must be from 1 to 65,536; got 1000000000"),
    (ModelConfig, {"embed": -1}, "embed must be from 0 to 65,536; got -1"),
    (ModelConfig, {"cell": "tree"}, "cell must be one of lstm, gru, rnn; got 'tree'"),
    (ModelConfig, {"cell": 1}, "cell must be one of lstm, gru, rnn; got 1"),
    (TrainConfig, {"batch_size": 0}, "batch size must be from 1 to 65,536; got 0"),
    (TrainConfig, {"seq_len": 0}, "seq len must be from 1 to 65,536; got 0"),
    (TrainConfig, {"epochs": 0}, "epochs must be at least 1; got 0"),
    (TrainConfig, {"epochs": None}, "at least one of epochs, max steps and max time must be set"),
    (TrainConfig, {"max_time": 0.5}, "max time must be at least 1; got 0.5"),
    (TrainConfig, {"lr": 0}, "learning rate must be above 0 and at most 100; got 0.0"),
    (TrainConfig, {"lr": -1.0}, "learning rate must be above 0 and at most 100; got -1.0"),
    (TrainConfig, {"lr": float("nan")}, "learning rate must be a finite number; got nan"),
    (TrainConfig, {"lr": float("inf")}, "learning rate must be a finite number; got inf"),
    (TrainConfig, {"lr": "fast"}, "learning rate must be a number; got 'fast'"),
    (TrainConfig, {"shuffle_documents": 1}, "shuffle documents must be true or false; got 1"),
    (TrainConfig, {"device": None}, "device must be a string; got None"),
    (TrainConfig, {"dropout": 1.0}, "dropout must be at least 0 and below 1; got 1.0"),
    (TrainConfig, {"dropout": -0.1}, "dropout must be at least 0 and below 1; got -0.1"),
    (TrainConfig, {"val_fraction": 1.0}, "val fraction must be from 0 to 0.9; got 1.0"),
    (TrainConfig, {"val_split": "odd"}, "val split must be one of tail, spread; got 'odd'"),
    (TrainConfig, {"warmup": 2.0}, "warmup must be from 0 to 1; got 2.0"),
    (TrainConfig, {"seed": -1}, "seed must be from 0 to 9,223,372,036,854,775,807; got -1"),
    (
        TrainConfig,
        {"seed": 2**63},
        "seed must be from 0 to 9,223,372,036,854,775,807; got 9223372036854775808",
    ),
    (TrainConfig, {"beta1": 1}, "beta1 must be at least 0 and below 1; got 1.0"),
    (TrainConfig, {"beta2": 1.0}, "beta2 must be at least 0 and below 1; got 1.0"),
    (TrainConfig, {"precision": "fp8"}, "precision must be one of auto, fp32, bf16; got 'fp8'"),
    (
        TrainConfig,
        {"keep": 0, "reset": 2},
        "reset must be from 0 to 1; got 2.0; keep must be at least 1; got 0",
    ),
    (SampleConfig, {"length": -1}, "length must be at least 0; got -1"),
    (SampleConfig, {"temperature": -1}, "temperature must be at least 0; got -1.0"),
    (SampleConfig, {"top_k": -1}, "top-k must be at least 0; got -1"),
    (
        SampleConfig,
        {"top_p": 0},
        "top-p must be above 0; use temperature 0 to take the most likely character",
    ),
    (SampleConfig, {"min_p": 2}, "min-p must be from 0 to 1; got 2.0"),
    (TextOptions, {"min_count": 0}, "min count must be at least 1; got 0"),
]


@pytest.mark.parametrize(("cls", "settings", "message"), IMPOSSIBLE, ids=str)
def test_impossible_settings(cls: type[Settings], settings: dict[str, Any], message: str) -> None:
    """A value out of range or of a wrong type is refused by a message with its name and value."""
    needed = {"vocabulary_size": 10} if cls is ModelConfig else {}
    with pytest.raises(ConfigError) as caught:
        cls(**{**needed, **settings})
    assert caught.value.message == message


@pytest.mark.parametrize("cls", [ModelConfig, TrainConfig, SampleConfig, TextOptions])
def test_every_setting_has_a_sentence(cls: type[Settings]) -> None:
    """The help of a setting is a capital letter, 2 to 11 words, and a period."""
    for name, field in fields_of(cls).items():
        words = about(field).help.split()
        assert re.fullmatch(r"[A-Z].*[^.]\.", about(field).help), name
        assert 2 <= len(words) <= 11, name


@pytest.mark.parametrize("cls", [TrainConfig, SampleConfig, TextOptions])
def test_the_bounds_hold_to_the_last_value(cls: type[Settings]) -> None:
    """A setting takes its lowest and highest value, and refuses the next beyond them."""
    for name, field in fields_of(cls).items():
        low, high = about(field).low, about(field).high
        step = 1 if int in choices(field.type) else 1e-9
        for bound, beyond in ((low, low - step), (high, high + step)):
            if abs(bound) == float("inf") or (name, bound) == ("top_p", 0):
                continue
            assert getattr(cls(**{name: bound}), name) == bound
            with pytest.raises(ConfigError, match="must be "):
                cls(**{name: beyond})


def test_an_option_is_named_after_its_setting() -> None:
    """Underscores become hyphens."""
    assert option_name("max_steps") == "--max-steps"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Example(Settings):
    """Settings with every kind of declaration."""

    reset: float = setting(0.5, "Probability of a reset.", "Optimization", above=0, below=1)
    name: str | None = setting(None, "Name of it.", metavar="NAME", shown="random")
    kind: Literal["one", "two"] = setting("one", "Kind of it.")


def test_an_option_takes_all_from_its_setting() -> None:
    """The option has the setting's name, help, default, panel, and metavar or choices."""
    reset = setting_option(Example, "reset", "-r", envvar="RESET")
    assert (reset.param_decls, reset.default) == (("-r",), "--reset")
    assert (reset.help, reset.rich_help_panel, reset.envvar, reset.metavar) == (
        "Probability of a reset.  [default: 0.5]",
        "Optimization",
        "RESET",
        None,
    )
    name, kind = setting_option(Example, "name"), setting_option(Example, "kind")
    assert (name.help, name.metavar) == ("Name of it.  [default: random]", "NAME")
    assert (kind.help, kind.metavar) == ("Kind of it.  [default: one]", "one|two")


def test_exclusive_bounds() -> None:
    """A bound of `above` or `below` is itself refused."""
    assert Example(reset=0.999).reset == 0.999
    for value in (0, 1):
        with pytest.raises(ConfigError) as caught:
            Example(reset=value)
        expected = f"reset must be above 0 and below 1; got {float(value)}"
        assert caught.value.message == expected


def test_whole_numbers_are_taken_for_shares() -> None:
    """A whole number becomes a float, so that JSON and TOML need no decimal point."""
    assert TrainConfig(lr=1).lr == 1.0
    assert type(TrainConfig(lr=1).lr) is float


def test_json_round_trip() -> None:
    """A configuration survives the way to plain values and back."""
    config = TrainConfig(dropout=0.5, seed=3, max_steps=10)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"vocabulary_size": 83, "lairs": 2}, "unknown setting 'lairs'"),
        ({}, "missing setting 'vocabulary_size'"),
        ({"vocabulary_size": "83"}, "vocabulary size must be an integer; got '83'"),
    ],
    ids=str,
)
def test_damaged_json(raw: dict[str, Any], message: str) -> None:
    """An unknown, missing or mistyped field is an error that names it."""
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_json(raw)
    assert caught.value.message == message


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    """Every preset passes the checks of its settings."""
    from_preset(name, {})


def test_the_notebook_preset() -> None:
    """The preset has the settings of the published notebook."""
    model, config = from_preset("notebook", {}, vocabulary_size=83)
    assert (model.cell, model.layers, model.size, model.embed) == ("lstm", 2, 512, 0)
    assert (config.batch_size, config.seq_len, config.epochs, config.lr) == (100, 100, 20, 0.001)
    assert (config.dropout, config.clip, config.weight_decay, config.schedule) == (
        0.5,
        5.0,
        0.0,
        "constant",
    )
    assert (config.beta1, config.beta2, config.val_fraction, config.save_every) == (
        0.9,
        0.999,
        0.0,
        200,
    )


def test_settings_override_a_preset() -> None:
    """A given setting replaces the preset's; the others stay."""
    model, config = from_preset("notebook", {"layers": 3, "lr": 0.1})
    assert (model.layers, config.lr, config.batch_size) == (3, 0.1, 100)


def test_a_limit_replaces_the_presets_epochs() -> None:
    """A limit on steps replaces the preset's epochs, unless both are given."""
    assert from_preset("default", {"max_steps": 5000})[1].epochs is None
    assert from_preset("default", {"max_steps": 5000, "epochs": 3})[1].epochs == 3


def test_unknown_preset() -> None:
    """An unknown preset is an error that suggests the nearest and lists all."""
    with pytest.raises(ConfigError) as caught:
        from_preset("deflaut", {})
    assert caught.value.message == "no preset 'deflaut'"
    assert caught.value.hint == "did you mean default? the presets are default and notebook"

"""Settings refuse nonsense when they are made."""

from typing import Any

import pytest

from charrnn_cli.config import PRESETS, ModelConfig, SampleConfig, TrainConfig, from_preset
from charrnn_cli.errors import ConfigError


def test_the_notebook_has_its_published_parameter_count() -> None:
    """2 x 512, one-hot, 83 symbols, two bias vectors a layer: 3,366,483."""
    assert ModelConfig(vocabulary_size=83, layers=2, size=512, embed=0).num_parameters == 3_366_483


@pytest.mark.parametrize(
    "settings",
    [
        {"layers": 0},
        {"layers": 65},
        {"size": 0},
        {"size": 10**9},
        {"embed": -1},
        {"cell": "transformer"},
        {"cell": 1},
        {"layers": 1.5},
        {"layers": True},
        {"vocabulary_size": 0},
    ],
    ids=str,
)
def test_impossible_models(settings: dict[str, Any]) -> None:
    """Out of range, of the wrong type, or unknown: each is an error that names the setting."""
    with pytest.raises(ConfigError, match=next(iter(settings)).split("_")[0]):
        ModelConfig(**{"vocabulary_size": 10, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0},
        {"seq_len": 0},
        {"epochs": 0},
        {"epochs": None},
        {"max_time": 0.5},
        {"lr": 0},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"lr": -1.0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"val_fraction": 1.0},
        {"val_split": "random"},
        {"warmup": 2.0},
        {"seed": -1},
        {"seed": 2**63},
        {"precision": "fp8"},
    ],
    ids=str,
)
def test_impossible_recipes(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"length": -1},
        {"temperature": -1},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0},
        {"min_p": 2},
    ],
    ids=str,
)
def test_impossible_sampling(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SampleConfig(**settings)


def test_whole_numbers_are_taken_for_shares() -> None:
    """`lr=1` is 1.0, so that JSON and TOML need no decimal point."""
    assert TrainConfig(lr=1).lr == 1.0
    assert type(TrainConfig(lr=1).lr) is float


def test_json_round_trip() -> None:
    config = TrainConfig(dropout=0.5, seed=3, max_steps=10)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("raw", [{"lairs": 2}, {}, {"vocabulary_size": "83"}], ids=str)
def test_damaged_json(raw: dict[str, Any]) -> None:
    """Unknown, missing and mistyped fields are errors."""
    with pytest.raises(ConfigError):
        ModelConfig.from_json(raw)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    from_preset(name, {})


def test_the_notebook_preset() -> None:
    """As the origin has it."""
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
    model, config = from_preset("notebook", {"layers": 3, "lr": 0.1})
    assert (model.layers, config.lr, config.batch_size) == (3, 0.1, 100)


def test_a_limit_replaces_the_presets_epochs() -> None:
    """`--max-steps 5000` means 5,000, also beyond the preset's epochs; given both, the first to end counts."""
    assert from_preset("default", {"max_steps": 5000})[1].epochs is None
    assert from_preset("default", {"max_steps": 5000, "epochs": 3})[1].epochs == 3


def test_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="deflaut") as caught:
        from_preset("deflaut", {})
    assert "notebook" in str(caught.value.hint)

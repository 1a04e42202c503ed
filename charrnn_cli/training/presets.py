"""Presets: named sets of settings."""

from collections.abc import Mapping
from typing import Any

from charrnn_cli.architecture import NGRAM_ORDER, ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import fields_of, option_name
from charrnn_cli.storage.near_names import near_names

PRESETS: dict[str, dict[str, Any]] = {
    "default": {"ngram": None},  # depends on the text
    # The 2x512 "Anna KaRNNa" notebook: one-hot input, Adam at a constant rate, no validation.
    "notebook": {
        "embed": 0,
        "dropout": 0.5,
        "batch_size": 100,
        "seq_len": 100,
        "beta2": 0.999,
        "weight_decay": 0.0,
        "lr": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": 5.0,
        "reset": 0.0,
        "epochs": 20,
        "val_fraction": 0.0,
        "save_every": 200,
        "initialization": "glorot",
    },
}

HOLD_OUT = ("val_fraction", "val_split")
"""Settings that hold out a part of the training text."""


def preset_settings(preset: str) -> dict[str, Any]:
    """Return what a preset sets in every run, whatever its text and its limit of steps or time.

    Raises ConfigError.
    """
    _check_preset(preset)
    return {
        name: value
        for name, value in PRESETS[preset].items()
        if name != "epochs" and value is not None
    }


def from_preset(
    preset: str, settings: Mapping[str, Any], vocabulary_size: int = 1
) -> tuple[ModelConfig, TrainConfig]:
    """Return the configurations of a preset, with some settings replaced. Raises ConfigError.

    A limit on steps or time replaces the preset's number of epochs unless `epochs` is given too.
    The order of the n-grams is that of most texts if it is None, automatic.
    """
    _check_preset(preset)
    merged = {**PRESETS[preset], **settings}
    if merged.get("ngram", 0) is None:
        merged["ngram"] = NGRAM_ORDER
    if "epochs" not in settings and not settings.keys().isdisjoint(("max_steps", "max_time")):
        merged["epochs"] = None
    of_model = {name: merged.pop(name) for name in fields_of(ModelConfig) if name in merged}
    problems = []
    try:
        model = ModelConfig.from_json({"vocabulary_size": vocabulary_size, **of_model})
    except ConfigError as error:
        problems.append(error.message)
    try:
        train = TrainConfig.from_json(merged)
    except ConfigError as error:
        problems.append(error.message)
    if problems:
        raise ConfigError("; ".join(problems))
    if train.val_fraction == 0 and (useless := needs_validation(settings)):
        is_typed = "val_fraction" in settings
        cause = "--val-fraction is 0" if is_typed else f"--preset {preset} sets --val-fraction 0"
        raise ConfigError(
            f"{useless} requires a validation text, but {cause}",
            hint=f"use --val-fraction {TrainConfig().val_fraction}, or leave out {useless}",
        )
    return model, train


def with_own_validation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run whose validation text has files of its own.

    Raises ConfigError for settings that hold out a part of the training text.
    """
    default = TrainConfig()
    for name in HOLD_OUT:
        if settings.get(name) not in (None, getattr(default, name)):
            raise val_conflict(name)
    return {**settings, "val_fraction": default.val_fraction}


def val_conflict(name: str) -> ConfigError:
    """Return the error for a setting that holds out a part of the text, beside --val."""
    option = option_name(name)
    return ConfigError(f"{option} cannot be combined with --val", hint=f"leave out {option}")


def automatic_settings(preset: str, settings: Mapping[str, Any]) -> set[str]:
    """Return the settings of the model that the text determines, not the preset or a setting."""
    merged = {**PRESETS[preset], **settings}
    found = {"embed"} if "embed" not in merged else set()
    return found | ({"ngram"} if merged.get("ngram", 0) is None else set())


def needs_validation(settings: Mapping[str, Any]) -> str | None:
    """Return the option of a setting that has no effect without a validation text, if any."""
    without = {"patience": None, "eval_every": 0, "val_split": TrainConfig().val_split}
    for name, value in without.items():
        if settings.get(name) not in (None, value):
            return option_name(name)
    return None


def _check_preset(preset: str) -> None:
    if preset not in PRESETS:
        near = "".join(f"did you mean {name}? " for name in near_names(preset, PRESETS, 1))
        hint = f"{near}the presets are {' and '.join(PRESETS)}"
        raise ConfigError(f"no preset {preset!r}", hint=hint)

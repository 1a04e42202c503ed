"""Command lines to suggest to the user."""

from collections.abc import Mapping
from typing import Any

from charrnn_cli.config import UNMARKED, TextOptions, TrainConfig
from charrnn_cli.settings import about, fields_of, option_name
from charrnn_cli.shell import path_word, shell_word
from charrnn_cli.storage.source import Source, is_read_once
from charrnn_cli.text.escapes import escape
from charrnn_cli.training.presets import HOLD_OUT, PRESETS, from_preset
from charrnn_cli.training.recipe import warm_settings

_PRESET_ONLY = ("initialization", "beta1", "beta2")  # settings without an option
_DECIDED = ("val_rows", "replanned_at", "replanned_from")  # while a run is planned or trained
_ESCAPED = {
    name
    for settings in (TextOptions, TrainConfig)
    for name, field in fields_of(settings).items()
    if about(field).escapes
}
_NOT_TYPED = ("vocabulary_size", *_DECIDED, *_PRESET_ONLY)


def source_words(source: Source) -> str:
    """Return a text's paths and the options for reading it that differ from the defaults."""
    words = ["TEXT" if is_read_once(path) else path_word(str(path)) for path in source.paths]
    words += reading_words(source.options or TextOptions())
    if source.init_from is not None:
        words += [option_name("init_from"), shell_word(source.init_from)]
    for name, path in source.held_out.items():
        words += [option_name(name), path_word(str(path))]
    if source.unknown != "error" and (source.init_from is not None or source.held_out):
        words += [option_name("unknown"), source.unknown]
    return " ".join(words)


def reading_words(options: TextOptions) -> list[str]:
    """Return the options for reading a text that differ from the defaults, as words."""
    default, words = TextOptions().to_json(), []
    for name, value in options.to_json().items():
        if value not in (default[name], UNMARKED):
            is_flag = isinstance(value, bool)
            typed = shell_word(str(typed_value(name, value)))
            words += [option_name(name)] if is_flag else [option_name(name), typed]
    return words


def train_command(model: Mapping[str, Any], train: Mapping[str, Any], source: str = "TEXT") -> str:
    """Return the shortest command that trains with these settings, among those of all presets.

    The settings may come from a stranger's file: every value becomes one word of the command.
    """
    wanted = {**model, **train}
    # From weights, these have other defaults, which depend on the text.
    open_settings = warm_settings((), 0) if option_name("init_from") in source.split() else ()
    implied = HOLD_OUT if option_name("val") in source.split() else ()
    commands = []
    for preset in PRESETS:
        default_model, default_train = from_preset(preset, {})
        defaults = {**default_model.to_json(), **default_train.to_json()}
        if any(wanted.get(name, defaults[name]) != defaults[name] for name in _PRESET_ONLY):
            continue
        words = ["charrnn train", source]
        words += [f"{option_name('preset')} {preset}"] if preset != "default" else []
        words += [
            _typed(name, value, is_flag=isinstance(defaults[name], bool))
            for name, value in wanted.items()
            if name in defaults and name not in (*_NOT_TYPED, *implied) and value is not None
            if value != defaults[name] or name in open_settings
        ]
        commands.append(" ".join(words))
    return min(commands, key=len, default="")


def _typed(name: str, value: Any, *, is_flag: bool) -> str:
    """Return an option in its shortest form: `--lr 1` for 1.0, and `--max-time 5m` for 300.0."""
    if is_flag and value is True:
        return option_name(name)
    if name == "max_time" and value == int(value):
        return f"{option_name(name)} {_duration(int(value))}"
    short = int(value) if isinstance(value, float) and value.is_integer() else value
    return f"{option_name(name)} {shell_word(str(typed_value(name, short)))}"


def typed_value(name: str, value: Any) -> Any:
    """Return the value of a setting as it is typed: a text that is read with escapes has them."""
    return escape(str(value)) if name in _ESCAPED else value


def _duration(seconds: int) -> str:
    """Return whole seconds as a person types them: `1h30m`."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    parts = {"d": days, "h": hours % 24, "m": minutes % 60, "s": seconds % 60}
    return "".join(f"{count}{unit}" for unit, count in parts.items() if count)

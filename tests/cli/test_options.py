"""Every option has its effect: a setting arrives in its field, other options change the outcome."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.architecture import NGRAM_ORDER, ModelConfig
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.settings import option_name
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.training.candidates import leaves_model_open
from charrnn_cli.training.presets import PRESETS, automatic_settings, from_preset
from tests.cli.test_help import TREE
from tests.helpers import Inside

Received = Callable[..., dict[str, Any]]

NO_OPTION = {
    "vocabulary_size",
    "beta1",
    "beta2",
    "initialization",
    "val_rows",
    "replanned_at",
    "replanned_from",
}

# What `charrnn train text.txt` hands to a new run where nothing else is typed.
DEFAULTS: dict[str, Any] = {
    **ModelConfig(vocabulary_size=1).to_json(),
    **TrainConfig().to_json(),
    **TextOptions().to_json(),
    "texts": [Path("text.txt")],
    "init_from": None,
    "val": None,
    "test": None,
    "unknown": "error",
    "run": None,
    "fixed_batch": False,
    "ngram": NGRAM_ORDER,
    "automatic": {"embed", "ngram"},
    "dry_run": False,
    "quiet": False,
    "as_json": False,
    "tensorboard": None,
}

# What is typed after `charrnn train text.txt`, and the fields that differ from the defaults by it.
SETTINGS: dict[str, dict[str, Any]] = {
    "--preset notebook": {**PRESETS["notebook"], "ngram": 0, "automatic": set()},
    "--cell gru": {"cell": "gru"},
    "--layers 3": {"layers": 3},
    "--size 7": {"size": 7},
    "--embed 0": {"embed": 0, "automatic": {"ngram"}},
    "--ngram 5": {"ngram": 5, "automatic": {"embed"}},
    "--ngram 0": {"ngram": 0, "automatic": {"embed"}},
    "--embed 7 --ngram auto": {"embed": 7, "automatic": {"ngram"}},
    "--dropout 0.25": {"dropout": 0.25},
    "--preset notebook --dropout auto": {
        **PRESETS["notebook"],
        "ngram": 0,
        "automatic": set(),
        "dropout": None,
    },
    "--keep-prob 0.75": {"dropout": 0.25},
    "--keep-prob 0.7": {"dropout": 0.3},
    "--keep-prob 1": {"dropout": 0.0},
    "--batch-size 3": {"batch_size": 3, "fixed_batch": True},
    "--seq-len 5": {"seq_len": 5},
    "--epochs 2": {"epochs": 2},
    "--max-steps 9": {"max_steps": 9, "epochs": None},
    "--max-time 9m": {"max_time": 540.0, "epochs": None},
    "--lr 0.01": {"lr": 0.01},
    "--schedule cosine": {"schedule": "cosine"},
    "--warmup 0.5": {"warmup": 0.5},
    "--clip 2": {"clip": 2.0},
    "--weight-decay 0.5": {"weight_decay": 0.5},
    "--reset 0.5": {"reset": 0.5},
    "--ema 0.9": {"ema": 0.9},
    "--val-fraction 0.2": {"val_fraction": 0.2},
    "--val-split spread": {"val_split": "spread"},
    "--val v.txt": {"val": Path("v.txt")},
    "--test t.txt": {"test": Path("t.txt")},
    "--val v.txt --preset notebook": {
        **PRESETS["notebook"],
        "val": Path("v.txt"),
        "val_fraction": 0.1,
        "ngram": 0,
        "automatic": set(),
    },
    "--val v.txt --unknown skip": {"val": Path("v.txt"), "unknown": "skip"},
    "--eval-every 3": {"eval_every": 3},
    "--patience 2": {"patience": 2},
    "--run named": {"run": "named"},
    "--save-every 4": {"save_every": 4},
    "--keep 5": {"keep": 5},
    "--init-from other": {"init_from": "other"},
    "--init-from other --unknown extend": {"init_from": "other", "unknown": "extend"},
    "--encoding latin-1": {"encoding": "latin-1"},
    "--errors replace": {"errors": "replace"},
    "--newlines keep": {"newlines": "keep"},
    "--normalize nfc": {"normalize": "nfc"},
    "--include *.md": {"include": "*.md"},
    "--keep-duplicates": {"keep_duplicates": True},
    "--force-text": {"force_text": True},
    r"--separator \n|\t": {"separator": "\n|\t"},
    r"--documents \n%\n": {"documents": "\n%\n"},
    "--column 1": {"column": "1", "documents": "lines"},
    "--min-count 2": {"min_count": 2},
    "--shuffle-documents": {"shuffle_documents": True},
    "--device cpu": {"device": "cpu"},
    "--precision fp32": {"precision": "fp32"},
    "--threads 1": {"threads": 1},
    "--seed 5": {"seed": 5},
    "--config settings.toml": {"layers": 4, "seed": 6},
    "--config settings.toml --layers 3": {"layers": 3, "seed": 6},
    "--dry-run": {"dry_run": True},
    "--sample-every 6": {"sample_every": 6},
    "--sample-prime x": {"sample_prime": "x"},
    "--log-every 7": {"log_every": 7},
    "--tensorboard logs": {"tensorboard": Path("logs")},
    "--quiet": {"quiet": True},
    "--json": {"as_json": True},
}
RESUMING = {"--resume", "--resume-if-exists", "--allow-new-data"}
WRITING = {"--print-config"}
SEVERAL = {"--seeds"}  # tested in test_seed_runs.py


@pytest.fixture
def left_open() -> list[object]:
    """For each run that would start, what the text and the time may still decide."""
    return []


@pytest.fixture
def received(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left_open: list[object]
) -> Received:
    """Run `charrnn train` up to the point where a run would start; return what the run receives."""
    found: dict[str, Any] = {}
    for name in ("CHARRNN_PRECISION", "CHARRNN_THREADS"):
        monkeypatch.delenv(name)

    def new(
        training: TrainingRun,
        source: Source,
        settings: dict[str, Any],
        *,
        options: dict[str, Any],
        preset: str | None,
        name: str | None,
        dry_run: bool,
    ) -> None:
        is_open = preset is None and leaves_model_open(settings) and source.init_from is None
        preset = preset or "default"
        model, config = from_preset(preset, settings)
        found.update(
            model.to_json(), **config.to_json(), **TextOptions().replaced(options).to_json()
        )
        found.update(texts=[*source.paths], init_from=source.init_from, unknown=source.unknown)
        found.update(val=source.val, test=source.test)
        found.update(run=name, dry_run=dry_run, fixed_batch="batch_size" in settings)
        open_recipe = {"lr", "dropout", "epochs", "weight_decay"} - settings.keys()
        left_open.append((is_open, open_recipe if is_open else None))
        found.update(automatic=automatic_settings(preset, settings))
        found.update(quiet=training.only_reference, as_json=training.as_json)
        found.update(tensorboard=training.tensorboard)

    def resume(
        training: TrainingRun, reference: str, settings: dict[str, Any], **others: Any
    ) -> None:
        found.update(reference=reference, given=settings, **others)

    monkeypatch.setattr(TrainingRun, "new", new)
    monkeypatch.setattr(TrainingRun, "resume", resume)
    monkeypatch.setattr("charrnn_cli.cli.training_run.check_tensorboard", lambda: None)
    (tmp_path / "settings.toml").write_text("layers = 4\nseed = 6\n")

    def run(*arguments: str) -> dict[str, Any]:
        found.clear()
        assert inside("train", *arguments) == (0, "", "")
        return dict(found)

    return run


def options_of(*words: str) -> set[str]:
    """The first name of each option of a command."""
    (command,) = (command for name, command in TREE if name == words)
    return {
        max(parameter.opts, key=len)
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name != "help"
    }


def test_the_defaults_reach_a_run(received: Received) -> None:
    """Without options a run receives the defaults of the configurations."""
    assert received("text.txt") == DEFAULTS


@pytest.mark.parametrize("typed", SETTINGS)
def test_an_option_reaches_its_field(received: Received, typed: str) -> None:
    """An option changes its own fields of what a run receives, and no other field."""
    assert received("text.txt", *typed.split(" ")) == {**DEFAULTS, **SETTINGS[typed]}


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("CHARRNN_SEED", "7", "seed", 7),
        ("CHARRNN_DEVICE", "cpu", "device", "cpu"),
        ("CHARRNN_PRECISION", "bf16", "precision", "bf16"),
        ("CHARRNN_THREADS", "2", "threads", 2),
    ],
)
def test_the_environment_reaches_its_field(
    received: Received,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    field: str,
    expected: object,
) -> None:
    """A variable sets its field for new runs; a resumed run ignores it."""
    monkeypatch.setenv(variable, value)
    assert received("text.txt") == {**DEFAULTS, field: expected}
    assert received("--resume", "old")["given"] == {}


def test_options_reach_a_resumed_run(received: Received) -> None:
    """Resuming hands over the reference, typed settings, and typed text options."""
    plain: dict[str, Any] = {
        "reference": "old",
        "texts": [],
        "options": {},
        "given": {},
        "allow_new_data": False,
        "goes_on": False,
    }
    assert received("--resume", "old") == plain
    assert received("--resume", "old", "--max-steps", "9") == {**plain, "given": {"max_steps": 9}}
    typed = received("new.txt", "--resume", "old", "--allow-new-data", "--newlines", "keep")
    assert typed == {
        **plain,
        "texts": [Path("new.txt")],
        "options": {"newlines": "keep"},
        "allow_new_data": True,
    }


def test_a_run_is_started_or_goes_on(received: Received, tiny_run: Run) -> None:
    """With --resume-if-exists, a run that exists is resumed; another one is new."""
    words = ("text.txt", "--resume-if-exists", "--run")
    assert received(*words, "named") == {**DEFAULTS, "run": "named"}
    found = received(*words, tiny_run.name, "--max-steps", "9")
    assert (found["reference"], found["goes_on"]) == ("tiny", True)
    assert (found["given"], found["texts"]) == ({"max_steps": 9}, [Path("text.txt")])


@pytest.mark.parametrize("typed", [typed for typed in SETTINGS if "--config" not in typed])
def test_a_printed_configuration_trains_the_same_run(
    received: Received, inside: Inside, tmp_path: Path, typed: str, left_open: list[object]
) -> None:
    """The file of --print-config, read by --config, hands over what the options handed over."""
    words = ["text.txt", *typed.split(" "), *([] if "--seed" in typed else ["--seed", "1"])]
    code, out, err = inside("train", *words, "--print-config")
    assert (code, err) == (0, "")
    (tmp_path / "printed.toml").write_text(out, "utf-8")
    written = tomllib.loads(out)
    # These belong to one command line, and are not part of the recipe.
    passing = {"dry_run", "quiet", "as_json", "tensorboard"}
    again, direct = received("--config", "printed.toml"), received(*words)
    assert {k: v for k, v in again.items() if k not in passing} == {
        k: v for k, v in direct.items() if k not in passing
    }
    assert written["texts"] == ["text.txt"]
    first, second = left_open
    assert first == second


def test_every_setting_of_train_is_tested() -> None:
    """Every setting has an option, and every option of train is in a table of this module."""
    tested = {word for typed in SETTINGS for word in typed.split(" ") if word.startswith("--")}
    settings = {*ModelConfig(vocabulary_size=1).to_json(), *TrainConfig().to_json()} - NO_OPTION
    assert {option_name(name) for name in settings} <= tested
    assert options_of("train") == tested | RESUMING | WRITING | SEVERAL

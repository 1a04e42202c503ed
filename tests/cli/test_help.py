"""Every command explains itself, and every option does something."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from charrnn_cli.cli.main import app
from tests.helpers import Inside

TESTS = Path(__file__).parent.parent


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree, by its words."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        waiting += [
            ((*words, name), child) for name, child in getattr(command, "commands", {}).items()
        ]


TREE = sorted(commands(), key=lambda item: item[0])


@pytest.mark.parametrize(
    ("words", "command"), TREE, ids=[" ".join(words) or "charrnn" for words, _ in TREE]
)
def test_a_command_explains_itself(inside: Inside, words: tuple[str, ...], command: Any) -> None:
    """-h is --help; every option has a line; and there is an example, of this very command."""
    short, long = inside(*words, "-h"), inside(*words, "--help")
    assert short == long
    assert (short[0], short[2]) == (0, "")
    for parameter in command.params:
        assert parameter.name == "help" or parameter.help, parameter.name
    if not hasattr(command, "commands"):
        assert f"Example: charrnn {' '.join(words)}".replace(" ls", " list") in re.sub(
            r"\s+", " ", short[1]
        )


def test_examples_can_be_typed() -> None:
    """Every example's words are a command and options that it takes."""
    by_words = dict(TREE)
    seen = 0
    for words, command in TREE:
        for example in re.findall(r"Example: charrnn (.*)", command.help or ""):
            typed = example.split()
            assert tuple(typed[: len(words)]) == words or words == ("checkpoints", "ls")
            name = tuple(typed[: len(words)])
            by_words[name].make_context("charrnn", typed[len(words) :])
            seen += 1
    assert seen > 12


# A value for each option of train that its configuration has; it must show in what --print-config prints.
CONFIGURED = {
    "--preset": "notebook",
    "--cell": "gru",
    "--layers": "3",
    "--size": "7",
    "--embed": "0",
    "--dropout": "0.3",
    "--keep-prob": "0.7",
    "--batch-size": "3",
    "--seq-len": "5",
    "--epochs": "2",
    "--max-steps": "9",
    "--max-time": "9m",
    "--lr": "0.01",
    "--schedule": "cosine",
    "--warmup": "0.5",
    "--clip": "2",
    "--weight-decay": "0.5",
    "--reset": "0.5",
    "--ema": "0.9",
    "--val-fraction": "0.2",
    "--val-split": "spread",
    "--eval-every": "3",
    "--patience": "2",
    "--run": "named",
    "--save-every": "4",
    "--keep": "5",
    "--init-from": "other",
    "--encoding": "latin-1",
    "--errors": "replace",
    "--newlines": "keep",
    "--normalize": "nfc",
    "--include": "*.md",
    "--separator": "|",
    "--min-count": "2",
    "--device": "cpu",
    "--precision": "fp32",
    "--threads": "1",
    "--seed": "5",
    "--sample-every": "6",
    "--sample-prime": "x",
    "--log-every": "7",
}


@pytest.mark.parametrize(("option", "value"), CONFIGURED.items(), ids=CONFIGURED)
def test_an_option_reaches_the_configuration(inside: Inside, option: str, value: str) -> None:
    """What a run is made of changes with it; that its settings have effects is tested where they have them."""
    base = ["train", "text.txt", "--print-config"]
    if option != "--seed":
        base += ["--seed", "1"]
    code, out, err = inside(*base, option, value)
    assert (code, err) == (0, "")
    assert out != inside(*base)[1]


# Where each other option is shown to do what it says: the file and the test.
SHOWN = {
    "--debug": "cli/test_errors.py::test_debug_shows_the_traceback",
    "--version": "cli/test_help.py::test_the_version",
    "--install-completion": "cli/test_completion.py::test_completion",
    "--show-completion": "cli/test_completion.py::test_completion",
    "encode --output": "cli/test_encode.py::test_json",
    "encode --encoding": "cli/test_hostile_texts.py::test_hostile_contents",
    "encode --errors": "cli/test_hostile_texts.py::test_hostile_contents",
    "encode --newlines": "cli/test_hostile_texts.py::test_hostile_contents",
    "encode --normalize": "cli/test_hostile_texts.py::test_hostile_contents",
    "encode --min-count": "cli/test_hostile_texts.py::test_hostile_contents",
    "encode --include": "cli/test_encode.py::test_directories",
    "encode --separator": "cli/test_encode.py::test_directories",
    "encode --vocab": "cli/test_encode.py::test_a_given_vocabulary",
    "encode --unknown": "cli/test_encode.py::test_a_given_vocabulary",
    "encode --decode": "cli/test_encode.py::test_decode_is_byte_exact",
    "encode --baselines": "cli/test_encode.py::test_baselines",
    "encode --json": "cli/test_encode.py::test_json",
    "train --resume": "cli/test_train.py::test_a_signal_saves_and_leaves",
    "train --allow-new-data": "cli/test_train.py::test_another_text_is_refused",
    "train --unknown": "cli/test_train.py::test_a_run_begins_with_another",
    "train --shuffle-documents": "cli/test_train.py::test_documents",
    "train --config": "cli/test_train.py::test_a_file_of_settings_trains_the_same_model",
    "train --print-config": "cli/test_train.py::test_a_file_of_settings_trains_the_same_model",
    "train --dry-run": "cli/test_train.py::test_a_dry_run_leaves_nothing",
    "train --tensorboard": "cli/test_train.py::test_tensorboard",
    "train --quiet": "cli/test_train.py::test_a_quiet_resume_of_a_finished_run_prints_its_reference",
    "train --json": "cli/test_train.py::test_json_lines",
    "sample --prime": "cli/test_sample.py::test_options_change_the_text",
    "sample --prime-file": "cli/test_sample.py::test_a_prime_from_a_file",
    "sample --length": "cli/test_sample.py::test_options_change_the_text",
    "sample --temperature": "cli/test_sample.py::test_options_change_the_text",
    "sample --top-k": "cli/test_sample.py::test_options_change_the_text",
    "sample --top-p": "cli/test_sample.py::test_options_change_the_text",
    "sample --min-p": "cli/test_sample.py::test_options_change_the_text",
    "sample --seed": "cli/test_sample.py::test_options_change_the_text",
    "sample --count": "cli/test_sample.py::test_several_samples",
    "sample --stop": "cli/test_sample.py::test_stop_strings_end_the_text",
    "sample --echo": "cli/test_sample.py::test_options_change_the_text",
    "sample --unknown": "cli/test_sample.py::test_unknown_characters",
    "sample --encoding": "cli/test_sample.py::test_a_prime_from_a_file",
    "score --unknown": "cli/test_score.py::test_unknown_characters_are_skipped",
    "score --encoding": "cli/test_score.py::test_another_encoding",
    "sample --color": "cli/test_sample.py::test_surprise_is_a_color",
    "sample --interactive": "cli/test_sample.py::test_a_conversation_on_a_terminal",
    "sample --check-copy": "cli/test_sample.py::test_stats_and_copies_are_reported",
    "sample --output": "cli/test_sample.py::test_a_file_of_samples",
    "sample --json": "cli/test_sample.py::test_json_is_enough_to_draw_again",
    "sample --stats": "cli/test_sample.py::test_stats_and_copies_are_reported",
    "sample --quiet": "cli/test_sample.py::test_options_change_the_text",
    "score --per-line": "cli/test_score.py::test_lines",
    "score --json": "cli/test_score.py::test_models_side_by_side",
    "doctor --json": "cli/test_doctor_and_demo.py::test_doctor",
    "checkpoints list --run": "cli/test_checkpoints.py::test_checkpoints_of_a_run_are_listed_one_per_row",
    "checkpoints list --sort": "cli/test_checkpoints.py::test_rows_are_sorted_and_limited",
    "checkpoints list --limit": "cli/test_checkpoints.py::test_rows_are_sorted_and_limited",
    "checkpoints list --json": "cli/test_checkpoints.py::test_runs_are_listed_one_per_row",
    "checkpoints list --quiet": "cli/test_checkpoints.py::test_rows_are_sorted_and_limited",
    "checkpoints show --json": "cli/test_checkpoints_show.py::test_the_command_shown_trains_the_same_weights",
    "checkpoints show --plot": "cli/test_checkpoints_show.py::test_several_runs_are_shown_and_plotted",
    "checkpoints rm --yes": "cli/test_checkpoints_delete.py::test_rm_deletes_checkpoints_and_runs",
    "checkpoints rm --dry-run": "cli/test_checkpoints_delete.py::test_rm_lists_the_files_and_needs_a_confirmation",
    "checkpoints prune --keep": "cli/test_checkpoints_delete.py::test_prune_keeps_the_best_and_the_latest",
    "checkpoints prune --yes": "cli/test_checkpoints_delete.py::test_prune_keeps_the_best_and_the_latest",
    "checkpoints prune --dry-run": "cli/test_checkpoints_delete.py::test_prune_keeps_the_best_and_the_latest",
    "checkpoints export --output": "cli/test_checkpoints_transfer.py::test_an_exported_file_can_be_sampled_and_imported",
    "checkpoints import --run": "cli/test_checkpoints_transfer.py::test_an_exported_file_can_be_sampled_and_imported",
}


def test_every_option_has_a_test_that_shows_it() -> None:
    """The tables above are complete, and the tests that they name exist."""
    options = {
        " ".join((*words, parameter.opts[0]))
        for words, command in TREE
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name != "help"
    }
    options = {option.replace("checkpoints ls ", "checkpoints list ") for option in options}
    assert options == set(SHOWN) | {f"train {option}" for option in CONFIGURED}
    for place in SHOWN.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (TESTS / file).read_text("utf-8"), place


def test_the_version(inside: Inside) -> None:
    code, out, _ = inside("--version")
    assert (code, out.split()[0]) == (0, "charrnn")


QUIET_TERMINALS = [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "20"}, {"FORCE_COLOR": "1"}]
SHOWING = [
    "--help",
    "train --help",
    "checkpoints list",
    "checkpoints list --run tiny",
    "checkpoints list --json",
    "checkpoints show tiny",
    "checkpoints verify tiny",
    "sample tiny -n 50 --seed 1",
    "sample tiny -n 20 --json",
    "score tiny text.txt",
    "score tiny text.txt --per-line",
    "encode text.txt --json",
    "sample nowhere",
    "train --layers 0 text.txt",
]


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("environment", QUIET_TERMINALS, ids=lambda value: "".join(value))
def test_plain_where_nobody_looks(tmp_path: Path, environment: dict[str, str]) -> None:
    """Piped: no escape byte, no traceback, nothing cut, at any width; colour may be forced on help alone."""
    import os

    (tmp_path / "text.txt").write_text("head bad cab\nface\n")
    script = "\n".join(
        f"rm -f *.safetensors; echo '=== {line}'; {sys.executable} -m charrnn_cli {line} 2>&1"
        for line in SHOWING
    )
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    parts = dict(part.split("\n", 1) for part in result.stdout.split("=== ")[1:])
    assert list(parts) == SHOWING
    assert "Traceback" not in result.stdout
    for line, shown in parts.items():
        if not ("--help" in line and "FORCE_COLOR" in environment):
            assert "\x1b" not in shown, line
        assert "…" not in shown, line
    assert "lstm 1x4" in parts["checkpoints list"]

"""Options of `charrnn train`: presets, files of settings, samples, TensorBoard, the environment."""

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from tests.helpers import FAST, Inside, error_of, make_checkpoint, save

SMALL = ("--layers", "1", "--size", "8", "--max-steps", "6", "--seed", "1")


def test_the_notebook_preset_plans_as_the_notebook_did(inside: Inside, tmp_path: Path) -> None:
    """The preset has the notebook's 3,366,483 parameters for 83 symbols, its batch and dropout."""
    alphabet = "".join(chr(33 + index) for index in range(83))
    (tmp_path / "book.txt").write_text((alphabet * 1000)[:80_001], "utf-8")
    result = inside("train", "book.txt", "--preset", "notebook", "--max-steps", "1")
    assert "lstm 2x512, one-hot, 3,366,483 parameters" in result.stderr
    assert "1 step of 100 x 100 characters" in result.stderr
    assert "dropout 0.5" in result.stderr


def test_the_command_to_try_can_be_typed(inside: Inside, story: Path) -> None:
    """The suggested command repeats what was typed, with one change, and is valid."""
    typed = ("--max-steps", "60", "--dropout", "0.9", "--newlines", "keep", "--val-fraction", "0.5")
    result = inside("train", story, *FAST, *typed, "--sample-prime", "the ")
    advice, line, _ = result.stderr.splitlines()[-3:]
    assert "dropout 0.9 is too much" in advice
    program, *words = shlex.split(line)[1:]
    assert (program, words[0]) == ("charrnn", "train")
    assert {"--newlines", "--max-steps", "--size", "--batch-size"} <= set(words)
    assert words[words.index("--sample-prime") + 1] == "the "
    assert not {"--seed", "--dropout"} & set(words)
    assert inside(*words, "--dry-run").returncode == 0


def test_a_file_of_settings_trains_the_same_model(
    inside: Inside, story: Path, tmp_path: Path
) -> None:
    """The output of --print-config, given to --config, trains the same weights."""
    options = [str(story), "--layers", "1", "--size", "8", "--max-steps", "6", "--dropout", "0.25"]
    printed = inside("train", *options, "--print-config").stdout
    (tmp_path / "run.toml").write_text(printed)
    assert inside("train", "--config", "run.toml", "--print-config").stdout == printed
    seed = re.search(r"seed = (\d+)", printed)
    assert seed is not None
    assert inside("train", "--config", "run.toml", "--run", "one", "-q").stdout == "one@6\n"
    assert inside("train", *options, "--seed", seed[1], "--run", "two", "-q").stdout == "two@6\n"
    digests = {
        read_header(Registry().resolve(f"{name}@6")).tensors_sha256 for name in ("one", "two")
    }
    assert len(digests) == 1


def test_a_file_of_settings_for_a_warm_start(inside: Inside, story: Path, tmp_path: Path) -> None:
    """With --init-from, --print-config leaves the architecture to the checkpoint."""
    save(make_checkpoint(characters="".join(sorted(set(story.read_text("utf-8"))))))
    small = ("--preset", "notebook", "--batch-size", "4", "--seq-len", "16", "--max-steps", "1")
    options = ("--init-from", "tiny", "--size", "4", *small)
    printed = inside("train", story, *options, "--print-config").stdout
    (tmp_path / "run.toml").write_text(printed)
    settings = tomllib.loads(printed)
    assert settings["init_from"] == "tiny"
    assert settings["size"] == 4
    assert settings.keys().isdisjoint({"cell", "layers", "embed"})
    assert inside("train", "--config", "run.toml", "--run", "warm", "-q").stdout == "warm@1\n"


def test_an_option_beats_the_file_of_settings(inside: Inside, story: Path, tmp_path: Path) -> None:
    """A typed option replaces the value in the file, and the others stay."""
    (tmp_path / "run.toml").write_text("max_steps = 6\nsize = 24\n")
    code, printed, _ = inside(
        "train", str(story), "--config", "run.toml", "--max-steps", "3", "--print-config"
    )
    assert code == 0
    assert "max_steps = 3\n" in printed
    assert "size = 24\n" in printed


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("sizes = 3", "error: bad.toml: unknown key 'sizes'\nhint: did you mean size or seeds?\n"),
        (
            "size = [3]",
            (
                "error: bad.toml: size must be an integer, not an array\n"
                "hint: use the types that `charrnn train TEXT --print-config` writes\n"
            ),
        ),
        (
            "layers = 0\nsize = -1",
            (
                "error: layers must be from 1 to 64; got 0; size must be from 1 to 65,536; got -1\n"
                "hint: run `charrnn train --help` for usage\n"
            ),
        ),
        (
            None,
            (
                "error: no file named bad.toml\n"
                "hint: write one with `charrnn train TEXT --print-config > FILE`\n"
            ),
        ),
    ],
)
def test_a_file_of_settings_that_is_wrong(
    inside: Inside, story: Path, tmp_path: Path, content: str | None, error: str
) -> None:
    """A wrong key, type or value, or a missing file, is one error with a hint."""
    if content is not None:
        (tmp_path / "bad.toml").write_text(content)
    assert inside("train", str(story), "--config", "bad.toml") == (2, "", error)


def test_a_file_of_settings_that_is_not_toml(inside: Inside, story: Path, tmp_path: Path) -> None:
    """A syntax error is shown as the TOML parser describes it."""
    (tmp_path / "bad.toml").write_text("size = ")
    with pytest.raises(tomllib.TOMLDecodeError) as described:
        tomllib.loads("size = ")
    assert inside("train", str(story), "--config", "bad.toml") == (
        2,
        "",
        (
            f"error: bad.toml is not valid TOML: {described.value}\n"
            "hint: write one with `charrnn train TEXT --print-config > FILE`\n"
        ),
    )


@pytest.mark.parametrize("value", ["0", "1e-20", "1.5", "nan"])
def test_a_keep_prob_that_is_no_probability(inside: Inside, story: Path, value: str) -> None:
    """An error about --keep-prob shows the value that was typed, and the possible ones."""
    assert inside("train", str(story), "--keep-prob", value) == (
        2,
        "",
        (
            f"error: keep prob must be from 0.000001 to 1; got {float(value)}\n"
            "hint: run `charrnn train --help` for usage\n"
        ),
    )


def test_samples_while_training(inside: Inside, story: Path) -> None:
    """Samples continue the prime at the interval that was typed."""
    small = ("train", story, *SMALL, "--sample-prime", "the ")
    result = inside(*small, "--sample-every", "3", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    sampled = [row for row in rows if row["event"] == "Sampled"]
    assert [(row["step"], row["prime"], len(row["text"])) for row in sampled] == [
        (3, "the ", 200),
        (6, "the ", 200),
    ]
    assert "  sample at step 6  the " in inside(*small, "--sample-every", "6").stderr


def test_an_unknown_character_in_the_prime_is_an_error_before_training(
    inside: Inside, story: Path
) -> None:
    """A prime with an unknown character is an error before the first step, and leaves no run."""
    result = inside("train", story, *SMALL, "--sample-every", "3", "--sample-prime", "Ω")
    assert result.returncode == 2
    assert error_of(result.stderr) == (
        "error: the vocabulary lacks 'Ω' (U+03A9) at position 1\n"
        "hint: in --sample-prime, use only characters of the text\n"
    )
    assert Registry().runs() == []


def test_tensorboard(inside: Inside, story: Path, tmp_path: Path) -> None:
    """TensorBoard files go to a directory of the run's name; without the extra, it is an error."""
    result = inside("train", story, *SMALL, "--run", "x", "--tensorboard", "board")
    if importlib.util.find_spec("tensorboard") is None:
        assert (result.returncode, result.stderr) == (
            2,
            "error: --tensorboard requires TensorBoard\nhint: pip install tensorboard\n",
        )
    else:
        assert result.returncode == 0
        assert list((tmp_path / "board" / "x").glob("events.out.tfevents.*"))


def test_the_environment_speaks_for_new_runs_alone(inside: Inside, story: Path) -> None:
    """CHARRNN_SEED and CHARRNN_DEVICE set a new run's values, and never change a resumed run's."""
    env = {"CHARRNN_SEED": "7", "CHARRNN_DEVICE": "cpu"}
    first = inside("train", story, *FAST[:-2], "--max-steps", "4", "--run", "one", env=env)
    assert "seed 7\n" in first.stderr
    env = {"CHARRNN_SEED": "9", "CHARRNN_DEVICE": "toaster"}
    result = inside("train", "--resume", "one", "--max-steps", "8", env=env)
    assert result.returncode == 0
    assert "seed 7\n" in result.stderr

"""Commands in hints: each is run as it is printed, and succeeds."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from tests.helpers import STORY, Inside, error_of, new_run

SMALL = {"layers": 1, "size": 8, "embed": 4, "batch_size": 4, "seq_len": 16, "max_steps": 2}
RECIPE = "--batch-size 4 --seq-len 16 --max-steps 2"
NEW_MODEL = f"--layers 1 --size 8 --embed 4 {RECIPE} --dropout 0"
LIST = "run `charrnn checkpoints list` to see all runs"


def trained(text: Path, name: str, **settings: object) -> Run:
    """Train a tiny model on a text file for two steps."""
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.loop import train

    job = TrainingJob.new(Source((text,)), {**SMALL, "seed": 1, **settings}, name=name)
    list(train(job))
    return job.run


def hinted_commands(err: str) -> list[list[str]]:
    """Return the commands in the last line of stderr, as words after `charrnn`."""
    line = err.splitlines()[-1]
    found = re.findall(r"`(charrnn [^`]+)`", line) or re.findall(r"charrnn .*", line)
    return [shlex.split(command)[1:] for command in found]


def follow(inside: Inside, err: str) -> None:
    """Run every command that stderr ends with, with a text in the place of TEXT."""
    commands = hinted_commands(err)
    assert commands, err
    for command in commands:
        words = command[: command.index(">")] if ">" in command else command
        code, _, shown = inside(*("story.txt" if word == "TEXT" else word for word in words))
        assert code == 0, (command, shown)


@pytest.fixture
def texts(story: Path) -> Path:
    """Write further texts beside the story; return their directory."""
    folder = story.parent
    (folder / "book.txt").write_text(STORY, "utf-8")
    (folder / "grown.txt").write_text(STORY + "Ähre\n", "utf-8")
    (folder / "fewer.txt").write_text(STORY.replace("m", ""), "utf-8")
    (folder / "short.txt").write_text("a cat sat on the mat. " * 4, "utf-8")
    return folder


RESUMED: dict[str, tuple[str, str]] = {
    "--lr 0.5": (
        "run 'short' was trained with --lr 0.003, not 0.5",
        (
            f"leave out --lr, or train a new run with it: charrnn train STORY "
            f"--init-from short@latest {RECIPE} --lr 0.5 --dropout 0"
        ),
    ),
    "--batch-size 2 --max-steps 3": (
        "run 'short' was trained with --batch-size 4, not 2",
        (
            "leave out --batch-size, or train a new run with it: charrnn train STORY "
            "--init-from short@latest --batch-size 2 --seq-len 16 --max-steps 3 "
            "--lr 0.003 --dropout 0"
        ),
    ),
    "--seq-len 8": (
        "run 'short' was trained with --seq-len 16, not 8",
        (
            "leave out --seq-len, or train a new run with it: charrnn train STORY "
            "--init-from short@latest --batch-size 4 --seq-len 8 --max-steps 2 "
            "--lr 0.003 --dropout 0"
        ),
    ),
    "--seed 9": (
        "run 'short' was trained with --seed 1, not 9",
        (
            "leave out --seed, or train a new run with it: charrnn train STORY "
            f"--init-from short@latest {RECIPE} --lr 0.003 --dropout 0 --seed 9"
        ),
    ),
    "--size 4": (
        "run 'short' was trained with --size 8, not 4",
        (
            "leave out --size, or train a new run with it: charrnn train STORY "
            f"{NEW_MODEL.replace('--size 8', '--size 4')}"
        ),
    ),
}


@pytest.mark.parametrize("options", RESUMED)
def test_other_settings_than_the_runs(inside: Inside, texts: Path, options: str) -> None:
    """The command for a changed setting continues from the run's weights, if they fit."""
    trained(texts / "story.txt", "short")
    error, hint = RESUMED[options]
    code, out, err = inside("train", "--resume", "short", *options.split())
    hint = hint.replace("STORY", str(texts / "story.txt"))
    assert (code, out, err) == (2, "", f"error: {error}\nhint: {hint}\n")
    follow(inside, err)


def test_a_run_without_checkpoints_starts_anew(inside: Inside, texts: Path) -> None:
    """Where the run's checkpoints were deleted, the command trains a new model."""
    run = trained(texts / "story.txt", "short")
    run.step_path(2).unlink()
    err = inside("train", "--resume", "short", "--lr", "0.5")[2]
    options = NEW_MODEL.replace("--dropout", "--lr 0.5 --dropout")
    assert err.endswith(f"it: charrnn train {texts / 'story.txt'} {options}\n")
    follow(inside, err)


@pytest.mark.parametrize(
    ("text", "difference", "option"),
    [
        ("grown.txt", "has new characters: 'Ä' (U+00C4)", " --unknown extend"),
        ("fewer.txt", "lacks characters: 'm' (U+006D)", ""),
    ],
)
def test_a_text_with_other_characters(
    inside: Inside, texts: Path, text: str, difference: str, option: str
) -> None:
    """A text that gained or lost characters is named, with a command that continues with it."""
    trained(texts / "story.txt", "short")
    code, _, err = inside("train", text, "--resume", "short", "--max-steps", "4")
    assert (code, error_of(err)) == (
        2,
        (
            f"error: run 'short' was trained on 'story'; this text {difference}\n"
            f"hint: continue in a new run: charrnn train {text} --init-from short@latest{option} "
            "--batch-size 4 --seq-len 16 --max-steps 4 --lr 0.003 --dropout 0\n"
        ),
    )
    follow(inside, err)


def test_a_text_that_grew_in_its_place(inside: Inside, texts: Path) -> None:
    """A recorded text that gained a line names its new characters, also after a warm start."""
    story = texts / "story.txt"
    trained(story, "short")
    warm = ("train", str(story), "--init-from", "short", "--run", "warm", *RECIPE.split())
    assert inside(*warm)[0] == 0
    story.write_text(STORY + "Ä\n", "utf-8")
    new = "run 'short' was trained on 'story'; this text has new characters: 'Ä' (U+00C4)"
    lacking = "the vocabulary lacks 1 character: 'Ä' (U+00C4) 1x"
    fresh_recipe, warm_recipe = "--lr 0.003 --dropout 0", "--lr 0.001 --dropout 0.5"
    for name, error, recipe in (("short", new, fresh_recipe), ("warm", lacking, warm_recipe)):
        code, _, err = inside("train", "--resume", name, "--max-steps", "4")
        assert code == 2
        assert error_of(err) == (
            f"error: {error}\n"
            f"hint: continue in a new run: charrnn train {story} --init-from {name}@latest "
            f"--unknown extend --batch-size 4 --seq-len 16 --max-steps 4 {recipe}\n"
        )
        follow(inside, err)


def test_early_stopping_of_a_run_without_validation(inside: Inside, texts: Path) -> None:
    """The command for --patience trains a new run that has a validation text."""
    trained(texts / "story.txt", "blind", val_fraction=0.0)
    code, out, err = inside("train", "--resume", "blind", "--patience", "3")
    assert (code, out, err) == (
        2,
        "",
        (
            "error: --patience requires a validation text, which run 'blind' does not have\n"
            "hint: leave out --patience, or train a new run with it: charrnn train "
            f"{texts / 'story.txt'} --init-from blind@latest {RECIPE} --lr 0.003 --dropout 0 "
            "--patience 3\n"
        ),
    )
    follow(inside, err)


def imported(inside: Inside) -> None:
    """Copy the run `short` to the run `gift`, which has no resume file."""
    assert inside("checkpoints", "export", "short", "-o", "gift.safetensors")[0] == 0
    assert inside("checkpoints", "import", "gift.safetensors", "--run", "gift")[0] == 0


def encoded(inside: Inside) -> None:
    """Encode the story to `a.safetensors`."""
    assert inside("encode", "story.txt", "-o", "a.safetensors")[0] == 0


def nothing(inside: Inside) -> None:
    """Change nothing."""


WRONG: list[tuple[Callable[[Inside], None], str, str]] = [
    (nothing, "train --resume short@best", "charrnn train --resume short"),
    (nothing, "train --resume short@1", "charrnn train --resume short"),
    (nothing, "train --resume best", "charrnn train --resume latest"),
    (nothing, "train --resume latest@1", "charrnn train --resume latest"),
    (imported, "train --resume gift", "charrnn train TEXT --init-from gift@2"),
    (
        nothing,
        "train story.txt --run short",
        "use --run short-2, or continue this run with `charrnn train --resume short`",
    ),
    (nothing, "sample nowhere", LIST),
    (nothing, "sample short.txt", "train a model on this file first: charrnn train short.txt"),
    (nothing, "checkpoints show nowhere.safetensors", LIST),
    (nothing, "encode", "charrnn encode book.txt"),
    (nothing, "score story.txt", "charrnn score latest book.txt"),
    (
        encoded,
        "encode a.safetensors",
        "decode it first with `charrnn encode --decode a.safetensors`",
    ),
    (
        nothing,
        "train --config missing.toml",
        "write one with `charrnn train TEXT --print-config > FILE`",
    ),
    (nothing, "lst", "did you mean `charrnn checkpoints list`?"),
    (nothing, "checkpoints vrify", "did you mean `charrnn checkpoints verify`?"),
    (nothing, "frobnicate", "run `charrnn --help` to see the commands"),
    (nothing, "checkpoints frobnicate", "run `charrnn checkpoints --help` to see the commands"),
    (nothing, "sample --frobnicate", "run `charrnn sample --help` for usage"),
    (nothing, "train story.txt --lr 1e400", "run `charrnn train --help` for usage"),
    (nothing, "sample --version", "put it before the command: charrnn --version sample"),
]


@pytest.mark.parametrize(
    ("prepare", "arguments", "hint"), WRONG, ids=[arguments for _, arguments, _ in WRONG]
)
def test_the_command_of_a_hint(
    inside: Inside,
    texts: Path,
    prepare: Callable[[Inside], None],
    arguments: str,
    hint: str,
) -> None:
    """The command in the hint of an error succeeds as it is printed."""
    trained(texts / "story.txt", "short")
    prepare(inside)
    code, _, err = inside(*arguments.split())
    assert code == 2
    assert err.endswith(f"\nhint: {hint}\n")
    follow(inside, err)


def test_a_text_that_was_moved(inside: Inside, texts: Path) -> None:
    """A run whose text is gone continues with the text that replaces TEXT."""
    trained(texts / "story.txt", "short")
    (texts / "story.txt").rename(texts / "moved.txt")
    code, _, err = inside("train", "--resume", "short", "--max-steps", "4")
    assert code == 2
    assert err.endswith("\nhint: charrnn train TEXT --resume short\n")
    (texts / "moved.txt").rename(texts / "story.txt")
    follow(inside, err)


def test_a_long_command_is_not_cut(inside: Inside, texts: Path) -> None:
    """A command that would be cut in the hint has TEXT in the place of long paths."""
    folder = texts / ("d" * 200) / ("d" * 200)
    folder.mkdir(parents=True)
    trained((texts / "story.txt").rename(folder / "story.txt"), "short")
    err = inside("train", "--resume", "short", "--lr", "0.5")[2]
    assert err.endswith(
        f": charrnn train TEXT --init-from short@latest {RECIPE} --lr 0.5 --dropout 0\n"
    )
    (folder / "story.txt").rename(texts / "story.txt")
    follow(inside, err)


def test_a_run_that_has_no_checkpoint_yet(inside: Inside, texts: Path) -> None:
    """A run without a checkpoint says so, and shows how to start, resume or inspect it."""
    run = trained(texts / "story.txt", "short")
    run.step_path(2).unlink()
    new_run("young")
    (new_run("foreign").path / "notes").touch()
    for name, command in (
        ("short", "charrnn train --resume short"),
        ("young", "charrnn train TEXT --run young"),
        ("foreign", "charrnn checkpoints list"),
    ):
        code, out, err = inside("checkpoints", "list", name)
        assert (code, out, err) == (
            0,
            "",
            f"run {name!r} has no checkpoint yet\nnext    {command}\n",
        )
        assert inside("sample", name) == (
            2,
            "",
            f"error: run {name!r} has no readable checkpoint\nhint: {command}\n",
        )
    with hold_lock(run.path):
        assert inside("checkpoints", "list", "short")[2] == (
            "run 'short' is being trained and has no checkpoint yet\n"
            "next    charrnn checkpoints list short\n"
        )
    follow(inside, "hint: charrnn train TEXT --run young --layers 1 --size 4 --max-steps 1")
    assert Registry().run("young").steps() == [1]


def test_only_runs_of_the_other_kind(inside: Inside, texts: Path) -> None:
    """Where there are only runs to resume, or none of them, the hint names the command for it."""
    run = trained(texts / "story.txt", "short")
    imported(inside)
    for entry in run.checkpoints():  # their number depends on the machine's speed
        entry.path.unlink()
    assert inside("checkpoints", "rm", "gift", "--yes")[0] == 0
    root = Registry().root
    code, out, err = inside("sample")
    assert (code, out, err) == (
        2,
        "",
        f"error: no checkpoints in {root}\nhint: charrnn train --resume latest\n",
    )
    follow(inside, err)
    assert inside("checkpoints", "rm", "short", "--yes")[0] == 0
    assert inside("checkpoints", "import", "gift.safetensors", "--run", "gift")[0] == 0
    code, out, err = inside("train", "--resume", "latest")
    assert (code, out, err) == (
        2,
        "",
        f"error: no runs to resume in {root}\nhint: charrnn train TEXT --init-from latest\n",
    )
    follow(inside, err)


def test_damaged_runs(inside: Inside, texts: Path) -> None:
    """Damage leads to a command that works with what is left."""
    run = trained(texts / "story.txt", "short")
    for path in (run.resume_path, run.previous_resume_path):
        path.write_bytes(b"")
    code, _, err = inside("train", "--resume", "short")
    assert (code, hinted_commands(err)) == (
        1,
        [["train", "TEXT", "--init-from", "short@2"]],
    )
    follow(inside, err)
    run.step_path(2).write_bytes(b"")
    code, _, err = inside("sample", "short")
    assert (code, hinted_commands(err)) == (2, [["checkpoints", "list", "short"]])
    follow(inside, err)
    code, _, err = inside("train", "--resume", "short")
    assert (code, hinted_commands(err)) == (1, [["train", "TEXT"]])

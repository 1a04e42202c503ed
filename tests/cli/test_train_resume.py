"""`charrnn train --resume`: what continues, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.cores import available_cores
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import FAST, Inside, error_of, new_run, resume_state


@pytest.fixture(autouse=True)
def short_run(inside: Inside, story: Path) -> None:
    """Train the run `short` for 4 steps."""
    words = ("--max-steps", "4", "--eval-every", "4", "--run", "short")
    assert inside("train", story, *FAST, *words).returncode == 0


def test_a_finished_run_has_nothing_to_resume(inside: Inside) -> None:
    """Resuming a finished run does nothing and shows the command that continues it."""
    result = inside("train", "--resume", "latest")
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        "",
        (
            "done    run short is complete at step 4\n"
            "next    charrnn train --resume short --max-steps 8\n"
        ),
    )
    assert inside("train", "--resume", "short", "--max-steps", "8").returncode == 0
    behind = inside("train", "--resume", "short", "--max-steps", "6")
    assert (behind.returncode, behind.stderr) == (
        0,
        (
            "done    run short is already at step 8\n"
            "next    charrnn train --resume short --max-steps 16\n"
        ),
    )
    assert [entry.step for entry in Registry().run("short").checkpoints()] == [4, 8]


def test_a_run_that_patience_ended_continues_with_more(inside: Inside, story: Path) -> None:
    """The command that is shown for a run that patience ended trains it further."""
    options = ("--max-steps", "30", "--eval-every", "2", "--patience", "1", "--lr", "1e-30")
    assert inside("train", story, *FAST, *options, "--run", "pat").returncode == 0
    resume = ("train", "--resume", "pat")
    for complete in (inside(*resume), inside(*resume, "--patience", "1")):
        assert (complete.returncode, complete.stderr) == (
            0,
            (
                "done    run pat is complete at step 4\n"
                "next    charrnn train --resume pat --patience 2\n"
            ),
        )
    assert inside(*resume, "--patience", "2").returncode == 0
    assert [entry.step for entry in Registry().run("pat").checkpoints()] == [2, 4, 6]


def test_a_run_that_time_ended_is_not_planned_shorter(inside: Inside) -> None:
    """The limit that is suggested for a run that ended early is at least the planned one."""
    run = new_run("early")
    save_resume(run, resume_state(100, finished=True))
    result = inside("train", "--resume", "early")
    assert result.stderr == (
        "done    run early is complete at step 100\n"
        "next    charrnn train --resume early --max-steps 1000\n"
    )


def test_a_quiet_resume_of_a_finished_run_prints_its_reference(inside: Inside) -> None:
    """With --quiet, resuming a finished run prints its reference alone."""
    result = inside("train", "--resume", "short", "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "short@4\n", "")


def test_a_resumed_run_keeps_what_it_is(inside: Inside, story: Path) -> None:
    """An option that contradicts what the run was trained with is an error that names both."""
    recipe = "--batch-size 4 --seq-len 16 --max-steps 4"
    for option, value, error, command in (
        (
            "--size",
            "32",
            "run 'short' was trained with --size 16, not 32",
            f"--layers 1 --size 32 --embed 8 {recipe} --dropout 0",
        ),
        (
            "--cell",
            "gru",
            "run 'short' was trained with --cell lstm, not gru",
            f"--cell gru --layers 1 --size 16 --embed 8 {recipe} --dropout 0",
        ),
        (
            "--lr",
            "0.5",
            "run 'short' was trained with --lr 0.003, not 0.5",
            f"--init-from short@latest {recipe} --lr 0.5 --dropout 0",
        ),
    ):
        new = f"charrnn train {story} {command}"
        hint = f"leave out {option}, or train a new run with it: {new}"
        expected = (2, "", f"error: {error}\nhint: {hint}\n")
        assert inside("train", "--resume", "short", option, value) == expected
    assert inside("train", "--resume", "short", "--run", "other") == (
        2,
        "",
        "error: --run cannot be combined with --resume\nhint: leave out --run\n",
    )


def test_dropout_is_the_same_in_all_its_forms(inside: Inside, story: Path) -> None:
    """A run that was trained with --keep-prob resumes with the equal --dropout, and with auto."""
    options = ("--max-steps", "2", "--keep-prob", "0.7", "--run", "kept")
    assert inside("train", story, *FAST, *options).returncode == 0
    for step, dropout in (("3", "0.3"), ("4", "auto")):
        resume = ("train", "--resume", "kept", "--max-steps", step, "--dropout", dropout)
        assert inside(*resume).returncode == 0
    assert load_checkpoint("kept@4").train["dropout"] == 0.3


def test_a_printed_file_of_settings_resumes_its_run(
    inside: Inside, story: Path, tmp_path: Path
) -> None:
    """The output of --print-config resumes the run that it trained, with a new limit."""
    options = (story, *FAST, "--max-steps", "2", "--print-config")
    (tmp_path / "run.toml").write_text(inside("train", *options).stdout)
    assert inside("train", "--config", "run.toml", "--run", "filed").returncode == 0
    resume = ("--resume", "filed", "--max-steps", "3")
    result = inside("train", "--config", "run.toml", *resume, "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "filed@3\n", "")


def test_a_file_of_settings_for_a_new_run_does_not_resume(inside: Inside, tmp_path: Path) -> None:
    """A setting that only a new run accepts is an error that names the file and the key."""
    (tmp_path / "run.toml").write_text('unknown = "error"\npreset = "notebook"\n')
    assert inside("train", "--config", "run.toml", "--resume", "short") == (
        2,
        "",
        "error: run.toml: preset cannot be combined with --resume\nhint: leave out preset\n",
    )
    assert inside("train", "--resume", "short", "--preset", "default") == (
        2,
        "",
        "error: --preset cannot be combined with --resume\nhint: leave out --preset\n",
    )


def test_another_text_is_refused(inside: Inside, story: Path, tmp_path: Path) -> None:
    """Another text needs --allow-new-data, and its characters must be the model's."""
    same, other = tmp_path / "same.txt", tmp_path / "other.txt"
    same.write_text(story.read_text("utf-8") * 2, "utf-8")
    other.write_text(story.read_text("utf-8") + "ÄÖÜ", "utf-8")
    resume = ("train", "--resume", "short", "--max-steps")
    refused = inside(*resume, "6", same)
    assert (refused.returncode, error_of(refused.stderr)) == (
        2,
        (
            "error: run 'short' was trained on 'story'; this is a different text\n"
            "hint: add --allow-new-data\n"
        ),
    )
    assert inside(*resume, "6", same, "--allow-new-data").returncode == 0
    refused = inside(*resume, "9", other, "--allow-new-data")
    assert (refused.returncode, error_of(refused.stderr)) == (
        2,
        (
            "error: run 'short' was trained on 'same'; this text has new characters: "
            "'Ä' (U+00C4), 'Ö' (U+00D6), 'Ü' (U+00DC)\n"
            f"hint: continue in a new run: charrnn train {other} --init-from short@latest "
            "--unknown extend --batch-size 4 --seq-len 16 --max-steps 9 --lr 0.003 --dropout 0\n"
        ),
    )


def test_a_text_that_is_gone_is_asked_for(inside: Inside, story: Path, tmp_path: Path) -> None:
    """When the text was moved, resuming is an error whose hint says how to name it."""
    moved = story.rename(tmp_path / "moved.txt")
    result = inside("train", "--resume", "short", "--max-steps", "6")
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        (
            f"error: the text of run 'short' no longer exists: {story}\n"
            "hint: charrnn train TEXT --resume short\n"
        ),
    )
    assert inside("train", moved, "--resume", "short", "--max-steps", "6").returncode == 0


def test_threads_stay_within_the_cores(inside: Inside) -> None:
    """A run of a larger machine resumes with the cores of this one, which is said and recorded."""
    run = Registry().run("short")
    snapshot = load_resume(run.resume_path)
    checkpoint = snapshot.checkpoint
    large = replace(checkpoint, train={**checkpoint.train, "threads": 5000})
    save_resume(run, replace(snapshot, checkpoint=large))
    result = inside("train", "--resume", "short", "--max-steps", "6")
    cores = available_cores()
    used = "1 thread" if cores == 1 else f"{cores} threads"
    assert (
        f"threads {used}, the number of cores here, instead of 5,000; "
        "results may differ in rounding\n"
    ) in result.stderr
    assert load_resume(run.resume_path).checkpoint.train["threads"] == cores
    refused = inside("train", "--resume", "short", "--max-steps", "8", "--threads", "5000")
    assert refused.returncode == 2
    assert error_of(refused.stderr) == (
        f"error: threads must be at most {cores}, the number of CPU cores; got 5000\n"
        f"hint: use --threads {cores}, or leave it out\n"
    )

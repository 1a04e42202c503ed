"""Full and read-only disks, impossible homes, and files of the wrong kind: each is an error."""

import contextlib
import json
import os
import re
import resource
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.snapshot import load_resume
from tests.helpers import FAST, TIMEOUT, Inside, error_of, forge, small_disk

PROGRAM = (sys.executable, "-m", "charrnn_cli")
FILE_SIZE_LIMIT = 20_000  # bytes; step files fit, resume files do not


def limit_file_size() -> None:
    """Make writing beyond the limit fail in this process, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE_LIMIT, FILE_SIZE_LIMIT))


def test_a_full_disk_does_not_stop_training(story: Path, home: Path) -> None:
    """Training continues when saving fails, warns each time, and leaves only whole files."""
    command = [*PROGRAM, "train", str(story), *FAST, "--run", "full"]
    command += ["--max-steps", "40", "--eval-every", "10", "--newlines", "keep"]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        preexec_fn=limit_file_size,
        check=False,
    )
    assert result.returncode == 1
    warnings = [line for line in result.stderr.splitlines() if "training continues" in line]
    assert len(warnings) == 4
    for warning in warnings:
        assert "File too large" in warning
    assert "step 40/40" in result.stderr
    assert "the last good checkpoint is full@40" in error_of(result.stderr)
    run = Registry().run("full")
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        "metrics.jsonl",
        *(f"step-{step:010d}.safetensors" for step in (10, 20, 30, 40)),
    ]
    for entry in run.checkpoints():
        load_checkpoint(entry.path)


def test_a_full_tmpfs(story: Path, tmp_path: Path) -> None:
    """Training continues when a real disk fills up, and the files that fitted are whole."""
    with small_disk(tmp_path / "disk", "160k") as disk:
        command = [*PROGRAM, "train", str(story), *FAST, "--run", "full"]
        result = subprocess.run(
            [*command, "--max-steps", "200", "--eval-every", "10"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, "CHARRNN_HOME": str(disk)},
            check=False,
        )
        assert result.returncode == 0
        assert "the oldest will be deleted when the disk is full" in result.stderr
        assert "the disk is full; deleted the checkpoint of step 10 to make room" in result.stderr
        assert "step 200/200" in result.stderr
        run = Run("full", disk / "runs" / "full")
        entries = run.checkpoints()
        assert entries[-1].step == 200
        for entry in entries:
            load_checkpoint(entry.path)
        assert load_resume(run.resume_path).checkpoint.step == 200
        assert not list(run.path.glob(".*tmp"))


def test_a_disk_too_small_for_one_checkpoint(story: Path, tmp_path: Path) -> None:
    """Training does not start on a disk without room for the first checkpoint."""
    with small_disk(tmp_path / "disk", "32k") as disk:
        result = subprocess.run(
            [*PROGRAM, "train", str(story), *FAST, "--run", "full"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, "CHARRNN_HOME": str(disk)},
            check=False,
        )
        assert result.returncode == 1
        assert re.search(
            rf"error: the first checkpoint of run 'full' takes [\d,]+ bytes, "
            rf"and the disk of {disk}/runs has [\d,]+ free\n"
            "hint: set CHARRNN_HOME to a directory on another disk\n$",
            result.stderr,
        )
        assert "step " not in result.stderr
        assert list((disk / "runs").iterdir()) == []


def test_standard_input_and_a_full_disk(tmp_path: Path) -> None:
    """Standard input that does not fit on the disk of the cache is read on another disk."""
    other = tmp_path / "other"
    other.mkdir()
    with small_disk(tmp_path / "disk", "64k") as disk:
        corpora = disk / "corpora"
        corpora.mkdir()
        with contextlib.suppress(OSError), (disk / "fill").open("wb", buffering=0) as fill:
            while fill.write(b"x" * 4096):
                pass
        for characters in (4_000, 400_000):  # less than a buffer, and more than one
            result = subprocess.run(
                [*PROGRAM, "encode", "-", "-o", str(tmp_path / f"new-{characters}")],
                input="a line\n" * (characters // 7),
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                env={**os.environ, "CHARRNN_HOME": str(disk), "TMPDIR": str(other)},
                check=False,
            )
            assert result.returncode == 0
            assert list(other.iterdir()) == []
        assert list(corpora.iterdir()) == []
        assert sorted(path.name for path in disk.iterdir()) == ["corpora", "fill"]


def test_an_impossible_home_fails_before_the_first_step(
    inside: Inside, story: Path, tmp_path: Path
) -> None:
    """A home that cannot be created is an error that names it and the way to choose another."""
    a_file = tmp_path / "file"
    a_file.write_text("not a directory")
    for home, reason in (
        (f"{a_file}/home", "Not a directory"),
        ("/proc/nowhere", "No such file or directory"),
        ("/dev/null/x", "Not a directory"),
    ):
        for arguments in (("train", story, *FAST, "--max-steps", "3"), ("demo",)):
            result = inside(*arguments, env={"CHARRNN_HOME": home})
            assert (result.returncode, result.stdout) == (1, "")
            assert error_of(result.stderr) == (
                f"error: cannot write to {home}/runs: {reason}\n"
                "hint: set CHARRNN_HOME to a writable directory\n"
            )
            assert "step" not in result.stderr


def test_no_home_at_all(inside: Inside) -> None:
    """A user without a home directory has only the built-in model, and nothing is created."""
    env = {"CHARRNN_HOME": "", "HOME": "/nonexistent", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    result = inside("checkpoints", "list", env=env)
    assert result.returncode == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["run", "english"]
    assert result.stderr == (
        "no checkpoints in /nonexistent/.local/share/charrnn/runs\n"
        "next    train a model with `charrnn train TEXT` or `charrnn demo`\n"
    )
    assert not os.path.exists("/nonexistent")


def snapshot(directory: Path) -> list[tuple[str, int, int]]:
    """List everything in a directory with its size and the time of its last change."""
    return sorted(
        (str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in directory.rglob("*")
    )


def test_readers_write_nothing(inside: Inside, tiny_run: Run, home: Path) -> None:
    """Listing, showing, sampling and verifying change no file and no directory."""
    before = snapshot(home)
    for command in (
        "checkpoints list",
        "checkpoints list tiny",
        "checkpoints show",
        "checkpoints path",
        "checkpoints verify",
        "sample",
    ):
        assert inside(*command.split()).returncode == 0
    assert snapshot(home) == before
    (tiny_run.path / ".lock").touch()
    assert snapshot(home) != before


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root to mount")
def test_a_read_only_registry(tiny_run: Run, home: Path, story: Path) -> None:
    """A read-only registry can be listed, sampled and verified, and training in it is an error."""
    program = f"{sys.executable} -m charrnn_cli"
    script = f"""mount --bind {home} {home} && mount -o remount,ro,bind {home} || exit 77
        {program} checkpoints list && {program} sample -q -n 10 || exit 1
        {program} checkpoints verify || exit 1
        {program} train {story} --max-steps 2"""
    result = subprocess.run(
        ["unshare", "-m", "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip("mounting is not allowed here")
    assert result.returncode == 1
    assert "tiny\tlstm" in result.stdout
    assert result.stdout.count("ok\t") == 4  # with the built-in model
    assert error_of(result.stderr) == (
        f"error: cannot write to {home}/runs: Read-only file system\n"
        "hint: set CHARRNN_HOME to a writable directory\n"
    )


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "terminal", "socket", "link"])
def test_files_of_the_wrong_kind(inside: Inside, tiny_run: Run, tmp_path: Path, kind: str) -> None:
    """Anything that is not a regular file is refused as a checkpoint, without waiting for it."""
    path, problem, hint, code = tmp_path / f"{kind}.safetensors", "is not a regular file", "", 1
    with contextlib.ExitStack() as cleanup:
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "directory":
                path.mkdir()
            case "device":
                path = Path("/dev/zero")
            case "terminal":
                for descriptor in os.openpty():
                    cleanup.callback(os.close, descriptor)
                path = Path(os.ttyname(descriptor))
            case "socket":
                cleanup.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
            case "link":
                path.symlink_to("/nowhere")
        message = f"{path} {problem}"
        if kind == "socket":
            message = f"cannot open {path}: No such device or address"
        elif kind == "link":
            message, hint, code = f"no file named {path}", "hint: check the spelling\n", 2
        for command in (["sample"], ["checkpoints", "show"]):
            result = inside(*command, path)
            assert (result.returncode, result.stdout) == (code, "")
            assert result.stderr == f"error: {message}\n{hint}"
        result = inside("checkpoints", "verify", path)
        assert result.returncode == code
        if kind == "link":
            assert (result.stdout, result.stderr) == ("", f"error: {message}\n{hint}")
        else:
            assert result.stdout == f"DAMAGED\t{message}\n"
            assert result.stderr == (
                "error: 1 of 1 files is damaged\n"
                "hint: delete a damaged checkpoint with `charrnn checkpoints rm RUN@STEP`; "
                "`charrnn train --resume RUN` replaces a damaged resume file, or says what to do\n"
            )


def test_planted_files_in_a_run(inside: Inside, tiny_run: Run, tmp_path: Path) -> None:
    """A FIFO in a run is listed as damaged, and removing a link leaves the file it points to."""
    os.mkfifo(tiny_run.step_path(400))
    target = tmp_path / "target.safetensors"
    os.rename(tiny_run.step_path(300), target)
    tiny_run.step_path(300).symlink_to(target)
    rows = {
        row["step"]: row
        for row in json.loads(inside("checkpoints", "list", "tiny", "--json").stdout)
    }
    assert {step: row["problem"] is None for step, row in rows.items()} == {
        100: True,
        200: True,
        300: False,
        400: False,
    }
    assert rows[300]["problem"] == "a link, and is not followed"
    assert "not a regular file" in rows[400]["problem"]
    assert inside("checkpoints", "rm", "tiny@300", "--yes").returncode == 0
    assert target.exists()
    assert inside("checkpoints", "rm", "tiny", "--yes").returncode == 0
    assert Registry().runs() == []


def test_a_planted_temporary_link_is_not_followed(
    story: Path, home: Path, inside: Inside, tmp_path: Path
) -> None:
    """A trainer removes orphaned temporary files, never what their links point to."""
    inside("train", story, *FAST, "--max-steps", "3", "--run", "one")
    run, victim = Registry().run("one"), tmp_path / "victim"
    victim.write_text("precious")
    planted = run.path / ".step-0000000005.safetensors.123-0123abcd.tmp"
    planted.symlink_to(victim)
    orphan = run.path / ".resume.safetensors.99-ffffffff.tmp"
    orphan.write_bytes(b"half")
    (run.path / "mine.txt").write_text("mine")
    assert inside("checkpoints", "list").returncode == 0
    assert orphan.exists()
    assert inside("train", "--resume", "one", "--max-steps", "5").returncode == 0
    assert not orphan.exists()
    assert planted.is_symlink()
    assert victim.read_text() == "precious"
    assert (run.path / "mine.txt").exists()


def test_a_damaged_resume_file_gives_way_to_the_one_before(
    inside: Inside, story: Path, home: Path
) -> None:
    """A damaged resume file is replaced by the one before; if both are damaged, it is an error."""
    inside("train", story, *FAST, "--max-steps", "20", "--eval-every", "10", "--run", "one")
    run = Registry().run("one")
    before = load_resume(run.previous_resume_path).checkpoint.step
    raw = bytearray(run.resume_path.read_bytes())
    raw[-5] ^= 8
    run.resume_path.write_bytes(raw)
    result = inside("train", "--resume", "one")
    assert result.returncode == 0
    assert re.search(
        rf"warning .*is damaged.*resuming from the previous state, at step {before}", result.stderr
    )
    assert [entry.step for entry in run.checkpoints()] == [10, 20]
    assert load_resume(run.resume_path).checkpoint.step == 20
    for path in (run.resume_path, run.previous_resume_path):
        path.write_bytes(path.read_bytes()[:-1])
    result = inside("train", "--resume", "one")
    assert (result.returncode, result.stdout, result.stderr) == (
        1,
        "",
        (
            "error: both resume files of run 'one' are damaged\n"
            "hint: charrnn train TEXT --init-from one@20\n"
        ),
    )


@pytest.mark.parametrize("kind", ["newer", "foreign", "unreadable"])
def test_only_damage_is_replaced(inside: Inside, story: Path, home: Path, kind: str) -> None:
    """A resume file that is not proven to be damaged stops the run, and both files stay."""
    inside("train", story, *FAST, "--max-steps", "20", "--eval-every", "10", "--run", "one")
    run = Registry().run("one")
    match kind:
        case "newer":
            forge(run.resume_path, format=2, version="9.0")
            problem, hint = "was written by charrnn 9.0 (format 2)", "upgrade charrnn"
        case "foreign":
            run.resume_path.write_bytes(b"somebody's notes")
            problem, hint = "is not a charrnn file", "move it away to resume from the previous"
        case _:
            os.rename(run.resume_path, run.path / "moved")
            run.resume_path.symlink_to("resume.safetensors")  # ELOOP, as an example of any error
            problem, hint = "is a link", "move it away"
    before = [path.read_bytes() for path in sorted(run.path.glob("*previous*"))]
    result = inside("train", "--resume", "one", "--max-steps", "30")
    assert result.returncode == 1
    assert problem in result.stderr
    assert hint in result.stderr
    assert [path.read_bytes() for path in sorted(run.path.glob("*previous*"))] == before
    assert [entry.step for entry in run.checkpoints()] == [10, 20]


def test_a_damaged_step_file_is_made_whole_again(inside: Inside, story: Path, home: Path) -> None:
    """A damaged step file is written again when the run reaches its step again."""
    inside("train", story, *FAST, "--max-steps", "20", "--eval-every", "10", "--run", "one")
    run = Registry().run("one")
    whole = run.step_path(20).read_bytes()
    run.step_path(20).write_bytes(whole[:-100])
    os.replace(run.previous_resume_path, run.resume_path)
    assert load_resume(run.resume_path).checkpoint.step == 10
    assert inside("train", "--resume", "one").returncode == 0
    assert run.step_path(20).read_bytes() == whole


@pytest.mark.parametrize("display", ["closed", "gone", "full"])
def test_the_display_may_go_away(story: Path, home: Path, display: str) -> None:
    """Training continues when standard error is closed, has no reader, or cannot be written."""
    command = [*PROGRAM, "train", str(story), *FAST, "--max-steps", "60", "--eval-every", "20"]
    command += ["--run", display]
    if display == "closed":
        code = subprocess.run(
            ["bash", "-c", f"{shlex.join(command)} 2>&-"], timeout=TIMEOUT, check=False
        ).returncode
    elif display == "gone":
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer) as stderr:
            code = subprocess.run(command, stderr=stderr, timeout=TIMEOUT, check=False).returncode
    else:
        with Path("/dev/full").open("w") as stderr:
            code = subprocess.run(command, stderr=stderr, timeout=TIMEOUT, check=False).returncode
    assert code == 0
    assert Registry().run(display).checkpoints()[-1].step == 60


@pytest.mark.parametrize("arguments", [("sample", "tiny", "-n", "9000", "-q"), ("--decode",)])
def test_a_limit_on_the_size_of_files(
    tiny_run: Run, story: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A text that does not fit is one line, and leaves no file."""
    output = tmp_path / "out.txt"
    if arguments == ("--decode",):
        encoded = str(tmp_path / "story.safetensors")
        subprocess.run([*PROGRAM, "encode", str(story), "-o", encoded, "--json"], check=True)
        arguments = ("encode", "--decode", encoded)
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *PROGRAM, *arguments, "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert error_of(result.stderr) == f"error: cannot write {output}: File too large\n"
    assert not output.exists()
    assert list(tmp_path.glob(".*.tmp")) == []


def test_files_of_the_system(inside: Inside, tiny_run: Run, tmp_path: Path) -> None:
    """A file that cannot be read like others is one line."""
    for arguments in (("encode", "/proc/self/maps", "-o", "z"), ("sample", "/proc/self/maps")):
        result = inside(*arguments)
        assert "internal" not in result.stderr
        assert result.returncode in (0, 1, 2)

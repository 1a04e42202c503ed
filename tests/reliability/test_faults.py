"""Disks that are full or read-only, homes that cannot be, files that are none: each told in a line."""

import json
import os
import re
import resource
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
from tests.helpers import Charrnn, make_checkpoint, save

TINY = (
    "--layers",
    "1",
    "--size",
    "16",
    "--embed",
    "8",
    "--batch-size",
    "4",
    "--seq-len",
    "16",
    "--seed",
    "1",
)


def test_a_full_disk_does_not_stop_training(story: Path, home: Path) -> None:
    """Steps are saved while they fit; then it warns and trains on, every earlier file whole, nothing partial."""
    size = save(make_checkpoint(run="probe")).stat().st_size

    def limit() -> (
        None
    ):  # a file larger than this cannot be written: step files fit, resume files do not
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "charrnn_cli", "train", str(story), *TINY, "--run", "full"]
    command += ["--max-steps", "40", "--eval-every", "10", "--newlines", "keep"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=limit, check=False
    )
    assert size < 20_000
    assert result.returncode == 1
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning")]
    assert len(warnings) == 4
    assert "File too large" in warnings[0]
    assert "bytes needed" in warnings[0]
    assert "step 40/40" in result.stderr
    assert "the last good checkpoint is full@40" in result.stderr
    run = Registry().run("full")
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        "metrics.jsonl",
        *(f"step-{step:010d}.safetensors" for step in (10, 20, 30, 40)),
    ]
    for entry in run.checkpoints():
        load_checkpoint(entry.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_tmpfs(story: Path, tmp_path: Path) -> None:
    """A disk that fills up for real: the same."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], check=False
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        command = [sys.executable, "-m", "charrnn_cli", "train", str(story), *TINY, "--run", "full"]
        result = subprocess.run(
            [*command, "--max-steps", "200", "--eval-every", "10"],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "CHARRNN_HOME": str(disk)},
            check=False,
        )
        assert result.returncode == 1
        assert "No space left on device" in result.stderr
        assert "step 200/200" in result.stderr
        run = Run("full", disk / "runs" / "full")
        entries = run.checkpoints()
        assert entries
        assert f"the last good checkpoint is full@{entries[-1].step}" in result.stderr
        for entry in entries:
            load_checkpoint(entry.path)
        assert not list(run.path.glob(".*tmp"))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_impossible_home_fails_before_the_first_step(
    charrnn: Charrnn, story: Path, tmp_path: Path
) -> None:
    """One line that names the path and CHARRNN_HOME."""
    a_file = tmp_path / "file"
    a_file.write_text("not a directory")
    for home in (f"{a_file}/home", "/proc/nowhere", "/dev/null/x"):
        for arguments in (("train", story, *TINY, "--max-steps", "3"), ("demo",)):
            result = charrnn(*arguments, env={"CHARRNN_HOME": home})
            assert (result.returncode, result.stdout) == (1, "")
            lines = result.stderr.splitlines()
            assert lines[-2].startswith(f"error: cannot create {home}")
            assert "CHARRNN_HOME" in lines[-1]
            assert "step" not in result.stderr


def test_no_home_at_all(charrnn: Charrnn) -> None:
    """A user without a home directory still lists nothing, politely."""
    env = {"CHARRNN_HOME": "", "HOME": "/nonexistent", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    assert charrnn("checkpoints", "list", env=env).returncode == 0


def snapshot(directory: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in directory.rglob("*")
    )


def test_readers_write_nothing(charrnn: Charrnn, tiny_run: Run, home: Path) -> None:
    """Listing, showing, sampling and verifying leave every file and directory as it was."""
    before = snapshot(home)
    for command in (
        "checkpoints list",
        "checkpoints list --run tiny",
        "checkpoints show",
        "checkpoints path",
        "sample",
    ):
        assert charrnn(*command.split()).returncode == 0
    assert charrnn("checkpoints", "verify").returncode == 0
    assert snapshot(home) == before


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root to mount")
def test_a_read_only_registry(tiny_run: Run, home: Path, story: Path) -> None:
    """Mounted read-only, it lists and samples; training fails before its first step."""
    program = f"{sys.executable} -m charrnn_cli"
    script = f"""mount --bind {home} {home} && mount -o remount,ro,bind {home} || exit 77
        {program} checkpoints list && {program} sample -q -n 10 && {program} checkpoints verify || exit 1
        {program} train {story} --max-steps 2"""
    result = subprocess.run(
        ["unshare", "-m", "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip("mounting is not allowed here")
    assert result.returncode == 1
    assert "tiny\tlstm" in result.stdout
    assert "Read-only file system" in result.stderr


def test_files_that_are_none(charrnn: Charrnn, tiny_run: Run, tmp_path: Path) -> None:
    """A FIFO, a directory, a device, a socket and a dangling link as a checkpoint: refused at once."""
    names = [tmp_path / f"{kind}.safetensors" for kind in ("fifo", "directory", "socket", "link")]
    os.mkfifo(names[0])
    names[1].mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(names[2]))
    names[3].symlink_to("/nowhere")
    for path in [*names, Path("/dev/zero"), Path("/dev/tty")]:
        for command in ("sample", "checkpoints show", "checkpoints verify"):
            result = charrnn(*command.split(), path)
            assert result.returncode in (1, 2) or command.endswith("verify")
            assert "Traceback" not in result.stderr
            assert "error: " in result.stderr or command.endswith("verify")
    server.close()


def test_planted_files_in_a_run(charrnn: Charrnn, tiny_run: Run, tmp_path: Path) -> None:
    """A FIFO is a damaged row, a link is followed only to be read, and removing it leaves its target."""
    os.mkfifo(tiny_run.step_path(400))
    target = tmp_path / "target.safetensors"
    os.rename(tiny_run.step_path(300), target)
    tiny_run.step_path(300).symlink_to(target)
    rows = {
        row["step"]: row
        for row in json.loads(charrnn("checkpoints", "list", "--run", "tiny", "--json").stdout)
    }
    assert "not a regular file" in rows[400]["problem"]
    assert charrnn("checkpoints", "rm", "tiny@300", "--yes").returncode == 0
    assert target.exists()
    assert charrnn("checkpoints", "rm", "tiny", "--yes").returncode == 0
    assert Registry().runs() == []


def test_a_planted_temporary_link_is_not_followed(
    story: Path, home: Path, charrnn: Charrnn, tmp_path: Path
) -> None:
    """Orphaned temporary files, links among them, go when the next trainer holds the lock; nothing else does."""
    charrnn("train", story, *TINY, "--max-steps", "3", "--run", "one")
    run, victim = Registry().run("one"), tmp_path / "victim"
    victim.write_text("precious")
    (run.path / ".step-0000000005.safetensors.123-abcd.tmp").symlink_to(victim)
    (run.path / ".resume.safetensors.99-ffff.tmp").write_bytes(b"half")
    (run.path / "mine.txt").write_text("mine")
    assert charrnn("checkpoints", "list").returncode == 0
    assert len(list(run.path.glob(".*tmp"))) == 2
    assert charrnn("train", "--resume", "one", "--max-steps", "5").returncode == 0
    assert not list(run.path.glob(".*tmp"))
    assert victim.read_text() == "precious"
    assert (run.path / "mine.txt").exists()


def test_a_damaged_resume_file_gives_way_to_the_one_before(
    charrnn: Charrnn, story: Path, home: Path
) -> None:
    """And says so; both damaged is an error."""
    charrnn("train", story, *TINY, "--max-steps", "20", "--eval-every", "10", "--run", "one")
    run = Registry().run("one")
    before = load_resume(run.previous_resume_path).checkpoint.step
    raw = bytearray(run.resume_path.read_bytes())
    raw[-5] ^= 8
    run.resume_path.write_bytes(raw)
    result = charrnn("train", "--resume", "one")
    assert result.returncode == 0
    assert re.search(
        rf"warning .*is damaged.*going on from the state before it, at step {before}", result.stderr
    )
    assert [entry.step for entry in run.checkpoints()] == [10, 20]
    assert load_resume(run.resume_path).checkpoint.step == 20
    for path in (run.resume_path, run.previous_resume_path):
        path.write_bytes(b"garbage")
    result = charrnn("train", "--resume", "one")
    assert result.returncode == 1
    assert "error: " in result.stderr


def test_a_damaged_step_file_is_made_whole_again(charrnn: Charrnn, story: Path, home: Path) -> None:
    """When the run reaches its step again, as after a kill, what cannot be read is written anew."""
    charrnn("train", story, *TINY, "--max-steps", "20", "--eval-every", "10", "--run", "one")
    run = Registry().run("one")
    whole = run.step_path(20).read_bytes()
    run.step_path(20).write_bytes(whole[:-100])
    os.replace(run.previous_resume_path, run.resume_path)
    assert load_resume(run.resume_path).checkpoint.step == 10
    assert charrnn("train", "--resume", "one").returncode == 0
    assert run.step_path(20).read_bytes() == whole


def test_the_display_may_go_away(story: Path, home: Path) -> None:
    """A closed standard error, or a reader of it that left, does not stop training."""
    program = f"{sys.executable} -m charrnn_cli train {story} {' '.join(TINY)} --max-steps 60 --eval-every 20"
    for name, redirection in (
        ("closed", "2>&-"),
        ("gone", "2> >(exec true)"),
        ("full", "2> /dev/full"),
    ):
        command = f"{program} --run {name} {redirection}"
        result = subprocess.run(
            ["bash", "-c", command], capture_output=True, timeout=120, check=False
        )
        assert (name, result.returncode) == (name, 0)
        assert Registry().run(name).checkpoints()[-1].step == 60

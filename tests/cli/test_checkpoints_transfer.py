"""`charrnn checkpoints export`, `import` and `verify`."""

import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.storage.built_in import built_in_run
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import TIMEOUT, Inside


def flip_last_bit(path: Path) -> bytes:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    return bytes(raw)


def test_an_exported_file_can_be_sampled_and_imported(
    inside: Inside, tiny_run: Run, tmp_path: Path
) -> None:
    """An export equals the checkpoint byte for byte, can be sampled, and can be imported."""
    result = inside("checkpoints", "export", "tiny", "-o", "model.safetensors")
    exported = tmp_path / "model.safetensors"
    raw = tiny_run.step_path(200).read_bytes()
    assert exported.read_bytes() == raw
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        f"wrote   model.safetensors, {len(raw) / 1000:.1f} kB\n"
        "next    charrnn sample model.safetensors\n"
    )
    assert inside("sample", "model.safetensors", "-n", "5").returncode == 0
    result = inside("checkpoints", "import", "model.safetensors", "--run", "gift")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "wrote   gift@200\nnext    charrnn sample gift\n"
    assert Registry().run("gift").step_path(200).read_bytes() == raw
    result = inside("checkpoints", "import", "model.safetensors")
    assert result.stderr == "wrote   tiny-2@200\nnext    charrnn sample tiny-2\n"
    assert Registry().run("tiny-2").step_path(200).read_bytes() == raw


def test_nothing_is_overwritten(inside: Inside, tiny_run: Run, tmp_path: Path) -> None:
    """An existing file is not exported over, and an existing run is not imported into."""
    (tmp_path / "taken.safetensors").write_text("mine")
    result = inside("checkpoints", "export", "tiny", "-o", "taken.safetensors")
    assert (result.returncode, result.stdout) == (1, "")
    assert "taken.safetensors" in result.stderr
    assert (tmp_path / "taken.safetensors").read_text() == "mine"
    result = inside("checkpoints", "import", tiny_run.step_path(200), "--run", "tiny")
    assert (result.returncode, result.stdout) == (2, "")
    assert "'tiny'" in result.stderr
    assert [run.name for run in Registry().runs()] == ["tiny"]


def test_export_and_import_through_a_pipe(tiny_run: Run) -> None:
    """With - as the file, export writes to standard output and import reads standard input."""
    program = f"{sys.executable} -m charrnn_cli checkpoints"
    command = f"{program} export tiny@300 -o - | {program} import - --run piped"
    assert subprocess.run(["bash", "-c", command], check=False, timeout=TIMEOUT).returncode == 0
    piped = Registry().run("piped").step_path(300)
    assert piped.read_bytes() == tiny_run.step_path(300).read_bytes()


def test_damaged_files_are_neither_exported_nor_imported(
    inside: Inside, tiny_run: Run, tmp_path: Path
) -> None:
    """A damaged file is refused, and neither a file nor a run is left behind."""
    damaged = tiny_run.step_path(200)
    (tmp_path / "bad.safetensors").write_bytes(flip_last_bit(damaged))
    exported = inside("checkpoints", "export", "tiny@200", "-o", "out.safetensors")
    imported = inside("checkpoints", "import", "bad.safetensors", "--run", "gift")
    for result, path in ((exported, str(damaged)), (imported, "bad.safetensors")):
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"error: {path} is damaged: ")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
    assert [run.name for run in Registry().runs()] == ["tiny"]


def test_verify_checks_every_file(inside: Inside, tiny_run: Run) -> None:
    """By default all files of all runs are checked, and the built-in model, one per line."""
    result = inside("checkpoints", "verify")
    paths = [tiny_run.step_path(step) for step in (100, 200, 300)]
    paths += [entry.path for entry in built_in_run().checkpoints()]
    assert result.stdout == "".join(f"ok\t{path}\n" for path in paths)
    assert (result.returncode, result.stderr) == (0, "")


def test_verify_names_the_damaged_file(inside: Inside, tiny_run: Run) -> None:
    """A damaged file is named with its problem, and the exit code is 1."""
    flip_last_bit(tiny_run.step_path(200))
    result = inside("checkpoints", "verify", "tiny")
    first, second, third = result.stdout.splitlines()
    assert first == f"ok\t{tiny_run.step_path(100)}"
    assert second.startswith(f"DAMAGED\t{tiny_run.step_path(200)} is damaged: ")
    assert third == f"ok\t{tiny_run.step_path(300)}"
    assert result.returncode == 1
    assert result.stderr == (
        "error: 1 of 3 files is damaged\n"
        "hint: delete a damaged checkpoint with `charrnn checkpoints rm RUN@STEP`;"
        " `charrnn train --resume RUN` replaces a damaged resume file, or says what to do\n"
    )
    assert inside("checkpoints", "verify", "tiny@100").returncode == 0


@pytest.mark.usefixtures("tiny_run")
def test_verify_reports_an_unknown_run(inside: Inside) -> None:
    """A name that is not a run is an error before any file is checked."""
    result = inside("checkpoints", "verify", "tiny", "nowhere")
    assert (result.returncode, result.stdout) == (2, "")
    assert "'nowhere'" in result.stderr


def test_verify_finds_a_step_file_with_the_name_of_another(inside: Inside, tiny_run: Run) -> None:
    """What `list` calls damaged because of its name, `verify` and `sample` do not accept either."""
    tiny_run.step_path(300).rename(tiny_run.step_path(999))
    result = inside("checkpoints", "verify", "tiny")
    assert result.returncode == 1
    assert f"DAMAGED\t{tiny_run.step_path(999)} has the header of step 300" in result.stdout
    assert inside("sample", "tiny@999", "-n", "1").returncode == 1

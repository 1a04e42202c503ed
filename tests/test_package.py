"""The public names, and the modules that each command loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn_cli
from tests.helpers import TIMEOUT


def test_public_names() -> None:
    """The Python API has exactly these names; adding or removing one is a decision."""
    assert sorted(charrnn_cli.__all__) == sorted(
        [
            "__version__",
            "AlreadyPublishedError",
            "BestTested",
            "CharRNN",
            "CharrnnError",
            "Checkpoint",
            "CheckpointRemoved",
            "CheckpointSaved",
            "ConfigError",
            "Corpus",
            "DamagedFileError",
            "DeviceError",
            "DiskFullError",
            "Diverged",
            "DivergedError",
            "Engine",
            "Evaluated",
            "FileFormatError",
            "ForeignFileError",
            "InterruptionError",
            "Item",
            "BatchSplit",
            "Replanned",
            "SlowedDown",
            "MemoryShortageError",
            "MismatchError",
            "ModelConfig",
            "NewerFormatError",
            "NgramReader",
            "NotFoundError",
            "Registry",
            "TrainingSnapshot",
            "Run",
            "RunBusyError",
            "RunMovedError",
            "SampleConfig",
            "SaveFailed",
            "Score",
            "Source",
            "Sampled",
            "StepLogged",
            "StorageError",
            "TextError",
            "TextOptions",
            "TrainConfig",
            "TrainEvent",
            "TrainingFinished",
            "TrainingJob",
            "TrainingStarted",
            "UnknownCharacterError",
            "UsageError",
            "Vocab",
            "Writer",
            "cached_corpus",
            "encode_text",
            "from_preset",
            "generate",
            "generate_items",
            "load_checkpoint",
            "load_resume",
            "score",
            "train",
        ]
    )
    for name in charrnn_cli.__all__:
        assert getattr(charrnn_cli, name) is not None


HEAVY = {"torch", "numpy", "safetensors"}
NETWORK = {"ssl", "http", "urllib.request", "email", "socket"}
LIVE = {"rich.live", "rich.progress", "concurrent.futures"}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Return the modules that a process of its own has loaded after running `code`."""
    script = (
        f"import json, sys\nsys.argv = {['charrnn', *arguments]!r}\n"
        f"try:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def loaded_by_command(*arguments: str) -> set[str]:
    """Return the modules that a command has loaded at its end."""
    return loaded_by("from charrnn_cli.__main__ import main; main()", *arguments)


QUICK = [
    "--help",
    "--version",
    "train --help",
    "checkpoints --help",
    "checkpoints list",
    "checkpoints list --json",
    "checkpoints list tiny --columns seed --csv",
]


@pytest.mark.parametrize("arguments", QUICK)
@pytest.mark.usefixtures("tiny_run")
def test_quick_commands_load_nothing_heavy(arguments: str) -> None:
    """Help, the version and lists load no numerical library, live display or network module."""
    assert loaded_by_command(*arguments.split()) & (HEAVY | NETWORK | LIVE) == set()


@pytest.mark.parametrize("arguments", ["--help", "--version", "checkpoints list"])
@pytest.mark.usefixtures("tiny_run")
def test_a_pipe_needs_no_rich(arguments: str) -> None:
    """Where the output is plain lines, rich is not imported."""
    assert "rich" not in loaded_by_command(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "own"),
    [("--help", set()), ("checkpoints --help", set()), ("checkpoints list", {"checkpoints"})],
)
def test_commands_load_when_typed(arguments: str, own: set[str]) -> None:
    """A command imports its own module and no other command's; help imports none."""
    package = "charrnn_cli.cli.commands."
    loaded = loaded_by_command(*arguments.split())
    assert {name.removeprefix(package) for name in loaded if name.startswith(package)} == own


def test_completion_loads_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completing a command's name imports no command and no numerical library."""
    monkeypatch.setenv("_CHARRNN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "charrnn s")
    monkeypatch.setenv("COMP_CWORD", "1")
    loaded = loaded_by_command()
    assert loaded & (HEAVY | NETWORK | LIVE) == set()
    assert not any(name.startswith("charrnn_cli.cli.commands.") for name in loaded)


@pytest.mark.usefixtures("tiny_run")
def test_sample_never_loads_torch() -> None:
    """Sampling needs numpy alone."""
    loaded = loaded_by_command("sample", "tiny", "-n", "20")
    assert "numpy" in loaded
    assert loaded & {"torch", "safetensors"} == set()


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("options", ["", "-o look.html", "-o look.svg"])
def test_an_inspection_never_loads_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    """An inspection and its files need numpy alone."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("head bad cab\n" * 20)
    loaded = loaded_by_command("inspect", "tiny", "text.txt", *options.split())
    assert loaded & {"torch", "safetensors"} == set()


def test_the_library_is_lazy() -> None:
    """Importing the package loads no numerical library and nothing of the command line."""
    loaded = loaded_by("import charrnn_cli; charrnn_cli.ModelConfig")
    assert loaded & (HEAVY | {"typer", "rich"}) == set()


@pytest.mark.parametrize("embed", ["0", "4"])
def test_training_does_not_load_torchs_compiler(story: Path, embed: str) -> None:
    """Training does without torch's compiler and sympy, which add 0.8 and 0.5 s to every start."""
    options = ["--layers", "1", "--size", "8", "--embed", embed, "--max-steps", "2", "-q"]
    loaded = loaded_by_command("train", str(story), *options)
    assert "torch" in loaded
    assert loaded.isdisjoint({"torch._dynamo", "sympy"})

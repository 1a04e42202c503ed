"""The public names, and what a command may load."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn_cli


def test_public_names() -> None:
    """The Python API is exactly this; a name that goes or comes is a decision."""
    assert sorted(charrnn_cli.__all__) == sorted(
        [
            "__version__",
            "AlreadyPublishedError",
            "CharRNN",
            "CharrnnError",
            "Checkpoint",
            "CheckpointSaved",
            "ConfigError",
            "Corpus",
            "DeviceError",
            "Diverged",
            "DivergedError",
            "Engine",
            "Evaluated",
            "FileFormatError",
            "InterruptionError",
            "BatchSplit",
            "MemoryShortageError",
            "MismatchError",
            "ModelConfig",
            "NotFoundError",
            "Registry",
            "TrainingSnapshot",
            "Run",
            "RunBusyError",
            "SampleConfig",
            "SaveFailed",
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
            "load_checkpoint",
            "load_resume",
            "train",
        ]
    )
    for name in charrnn_cli.__all__:
        assert getattr(charrnn_cli, name) is not None


def loaded_by(code: str) -> set[str]:
    """Top-level names in sys.modules after running `code` in a process of its own."""
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end\n"
    )
    script += "import json\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    return f"sys.argv = {['charrnn', *arguments]!r}; import charrnn_cli.cli.main as program; program.main()"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["checkpoints", "list"],
        ["checkpoints", "list", "--json"],
        ["checkpoints", "list", "--run", "tiny"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("tiny_run")
def test_quick_commands_load_nothing_heavy(arguments: list[str]) -> None:
    """Help, version and lists answer without numpy and torch."""
    assert loaded_by(command(*arguments)) & {"torch", "numpy", "safetensors"} == set()


@pytest.mark.usefixtures("tiny_run")
def test_sample_never_loads_torch() -> None:
    """Sampling is numpy's work."""
    loaded = loaded_by(command("sample", "tiny", "-n", "20"))
    assert "numpy" in loaded
    assert loaded & {"torch", "safetensors"} == set()


def test_the_library_is_lazy() -> None:
    """Importing the package loads neither numpy nor torch."""
    assert (
        loaded_by("import charrnn_cli; charrnn_cli.ModelConfig")
        & {"torch", "numpy", "typer", "rich"}
        == set()
    )


@pytest.mark.parametrize("embed", ["0", "4"])
def test_training_does_not_load_torchs_compiler(story: Path, embed: str) -> None:
    """0.8 s and more of every start; nothing that is used here needs it."""
    options = ["--layers", "1", "--size", "8", "--embed", embed, "--max-steps", "2", "-q"]
    script = f"import sys\ntry:\n    {command('train', str(story), *options)}\nexcept SystemExit as end:\n"
    script += "    assert not end.code\nassert 'torch' in sys.modules\nassert 'torch._dynamo' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=120)

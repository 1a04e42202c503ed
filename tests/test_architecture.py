"""The layers, the public names, and what a command may load."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn_cli

PACKAGE = Path(charrnn_cli.__file__).parent

# A module imports only from its own level and those below it.
LEVELS = {
    0: ["version", "errors", "config", "events"],
    1: [
        "vocab",
        "advice",
        "paths",
        "publish",
        "digest",
        "tensorfile",
        "lock",
        "runs",
        "registry",
        "text",
        "documents",
        "source",
        "metrics",
        "stopping",
        "plot",
        "substitution",
    ],
    2: [
        "decoding",
        "corpus",
        "symbols",
        "encoding",
        "corpus_cache",
        "batches",
        "windows",
        "checkpoint",
        "inference",
        "filters",
        "sampling",
        "scoring",
        "transfer",
        "copying",
        "resuming",
        "baselines",
    ],
    3: [
        "model",
        "optimizer",
        "dropout",
        "device",
        "feed",
        "evaluation",
        "trainer",
        "planning",
        "saving",
        "state",
        "training",
    ],
}
LEVEL_OF = {name: level for level, names in LEVELS.items() for name in names}
HEAVY = {0: {"torch", "numpy", "safetensors", "typer", "rich", "platformdirs"}, 1: {"torch", "numpy", "typer", "rich"}}
HEAVY |= {2: {"torch", "typer", "rich"}, 3: {"typer", "rich"}}

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "joblib", "yaml"}
FORBIDDEN_ATTRIBUTES = {
    ("torch", "load"),
    ("torch", "save"),
    ("torch", "manual_seed"),
    ("np", "load"),
    ("os", "system"),
}


def modules() -> list[tuple[str, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))) for path in paths]


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_every_module_has_a_level() -> None:
    """The table above is complete, so that no module escapes the rule."""
    top = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert top == set(LEVEL_OF)


@pytest.mark.parametrize("name", LEVEL_OF)
def test_imports_point_down(name: str) -> None:
    """No module imports from a level above its own, nor a library that its level does without."""
    level = LEVEL_OF[name]
    names = imported(ast.parse((PACKAGE / f"{name}.py").read_text("utf-8")))
    own = {module.split(".")[1] for module in names if module.startswith("charrnn_cli.")}
    assert {other for other in own if LEVEL_OF.get(other, 9) > level} == set()
    assert {module.split(".")[0] for module in names} & HEAVY[level] == set()


def test_nothing_can_run_what_it_reads() -> None:
    """No pickle, no torch.load, no eval, no shell: a file is data."""
    for path, tree in modules():
        assert {name.split(".")[0] for name in imported(tree)} & FORBIDDEN_IMPORTS == set(), path
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in FORBIDDEN_CALLS, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in FORBIDDEN_ATTRIBUTES, path


def test_only_the_command_line_prints() -> None:
    """The library runs without a terminal."""
    for path, tree in modules():
        if path.startswith("cli/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", path


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
            "MemoryShort",
            "MemoryShortageError",
            "MismatchError",
            "ModelConfig",
            "NotFoundError",
            "Registry",
            "ResumeState",
            "Run",
            "RunBusyError",
            "SampleConfig",
            "SaveFailed",
            "Sampled",
            "StepLogged",
            "StorageError",
            "TextError",
            "TextOptions",
            "TrainConfig",
            "TrainEvent",
            "TrainingFinished",
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
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end\n"
    script += "import json\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
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
    assert loaded_by("import charrnn_cli; charrnn_cli.ModelConfig") & {"torch", "numpy", "typer", "rich"} == set()


@pytest.mark.parametrize("embed", ["0", "4"])
def test_training_does_not_load_torchs_compiler(story: Path, embed: str) -> None:
    """0.8 s and more of every start; nothing that is used here needs it."""
    options = ["--layers", "1", "--size", "8", "--embed", embed, "--max-steps", "2", "-q"]
    script = f"import sys\ntry:\n    {command('train', str(story), *options)}\nexcept SystemExit as end:\n"
    script += "    assert not end.code\nassert 'torch' in sys.modules\nassert 'torch._dynamo' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=120)

"""Rules that every module keeps."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import charrnn_cli

ROOT = Path(charrnn_cli.__file__).parent
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_TOP_LEVEL_FILES = 300, 60, 10

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "joblib", "yaml"}
FORBIDDEN_ATTRIBUTES = {
    ("torch", "load"),
    ("torch", "save"),
    ("torch", "manual_seed"),
    ("np", "load"),
    ("os", "system"),
}

OPENING_METHODS = ("open", "read_text", "read_bytes", "write_text", "write_bytes", "touch")


def modules() -> list[tuple[str, ast.Module]]:
    """Every module by its path in the package."""
    paths = sorted(ROOT.rglob("*.py"))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in paths]


def imported(tree: ast.AST) -> set[str]:
    """Return the full names of all modules and members that a module imports anywhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_top_level_fits_on_a_screen() -> None:
    """The package's folder shows its storeys, and at most ten files."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {"storage", "text", "model", "export", "training", "cli", "data"}
    # `__main__` and `py.typed` are the interpreter's and the type checkers' files.
    files = [
        path
        for path in ROOT.iterdir()
        if path.is_file() and path.name not in ("__main__.py", "py.typed")
    ]
    assert len(files) <= MAX_TOP_LEVEL_FILES


def test_no_circles() -> None:
    """Imports between modules, those inside functions included, form no circle."""
    trees = {
        f"charrnn_cli.{path[:-3].replace('/', '.')}".removesuffix(".__init__"): tree
        for path, tree in modules()
    }
    graph = {
        name: (imported(tree) & set(trees)) - {name}
        for name, tree in trees.items()
        if name != "charrnn_cli"
    }
    for names in graph.values():
        names.discard("charrnn_cli")
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_nothing_is_long() -> None:
    """No file is longer than 300 lines, and no function's body longer than 60."""
    for path, tree in modules():
        assert len((ROOT / path).read_text("utf-8").splitlines()) <= MAX_FILE_LINES, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.body[0].lineno < MAX_FUNCTION_LINES, (
                    path,
                    node.name,
                )


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
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", path


def test_randomness_has_one_door() -> None:
    """A generator is seeded by `derive_seed`, directly or through a parameter `words`."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("default_rng", "SeedSequence", "RandomState"), path
                if node.func.attr == "PCG64":
                    assert ast.unparse(node.args[0]).startswith(("derive_seed(", "words")), path


def test_files_have_one_door() -> None:
    """Only a few modules of the storage open files by name; all others ask them."""
    doors = {f"storage/{name}.py" for name in ("directory", "opening", "temporary", "atomic")}
    doors |= {
        "storage/lock.py",
        "training/device.py",  # /proc/cpuinfo
        "cli/process.py",  # the null device
        "cli/terminal/console.py",  # the null device
    }
    ours = {("Corpus", "open"), ("console", "write_bytes")}
    for path, tree in modules():
        if path in doors:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                holder, dot, method = ast.unparse(node.func).rpartition(".")
                opens = method in OPENING_METHODS if dot else method == "open"
                assert not opens or (holder, method) in ours, (path, method)

"""A folder is an import rule: it imports only from folders above it in README.md's list."""

import ast
from pathlib import Path

import pytest

import charrnn_cli

ROOT = Path(charrnn_cli.__file__).parent

# What each folder may import: other folders, and libraries. "" is the ground, which all may import.
RULES: dict[str, tuple[str, str]] = {
    "": ("", ""),
    "storage": ("", "platformdirs"),
    "text": ("storage", "numpy chardet"),
    "model": ("storage text", "numpy"),
    "export": ("storage text model", "numpy matplotlib onnx"),
    "training": ("storage text model", "numpy torch safetensors optuna"),
    "cli": ("storage text model export training", "numpy torch typer rich"),
}
LIBRARIES = {library for _, libraries in RULES.values() for library in libraries.split()}


def folder(module: str) -> str:
    return next((name for name in module.split(".")[1:2] if name in RULES), "")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("[!_]*.py")), ids=str)
def test_imports_come_from_above(path: Path) -> None:
    """A module imports from its own folder and those above, and only its folder's libraries."""
    own = folder(".".join(("charrnn_cli", *path.relative_to(ROOT).parts)))
    folders, libraries = (set(names.split()) for names in RULES[own])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            assert folder(module) in {"", own, *folders}, module
            assert module.split(".")[0] not in LIBRARIES - libraries, module

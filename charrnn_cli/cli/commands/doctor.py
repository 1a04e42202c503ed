"""`charrnn doctor`: what this machine has, and whether the program works on it."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.config import Cell
from charrnn_cli.errors import CharrnnError
from charrnn_cli.storage.paths import corpora_directory, runs_directory
from charrnn_cli.training.self_check import engine_difference, file_check
from charrnn_cli.version import __version__

PACKAGES = ("torch", "numpy", "safetensors", "typer", "rich", "platformdirs")
TOLERANCE = 1e-4
LABEL_WIDTH = 10


class _CheckFailedError(CharrnnError):
    """The self-check found something wrong."""


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for bug reports.")
    ] = False,
) -> None:
    """Show versions, devices and directories, and check that the two engines agree.

    Example: charrnn doctor
    """
    console.say("charrnn", "importing torch and checking the engines")

    import torch

    from charrnn_cli.training.device import available_devices, choose_device, choose_precision

    devices = available_devices()
    report: dict[str, Any] = {
        "charrnn": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
        "precision_auto": {name: choose_precision("auto", choose_device(name)) for name in devices},
        "directories": {
            name: _directory(path)
            for name, path in (("runs", runs_directory()), ("corpora", corpora_directory()))
        },
        "checks": {
            **{f"engines_{cell}": engine_difference(cell) for cell in get_args(Cell)},
            "file": file_check(),
        },
    }
    if as_json:
        console.write_json(report)
    else:
        _show(report)
    checks = report["checks"]
    failed = [name for name, value in checks.items() if value is not True and not value < TOLERANCE]
    if failed:
        raise _CheckFailedError(
            f"the self-check failed: {', '.join(failed)}", hint="report it with `doctor --json`"
        )


def _directory(path: Path) -> dict[str, Any]:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return {"path": str(path), "exists": existing == path, "writable": os.access(existing, os.W_OK)}


def _show(report: dict[str, Any]) -> None:
    lines = [("charrnn", f"{report['charrnn']} on Python {report['python']}, {report['platform']}")]
    lines.append(
        ("packages", ", ".join(f"{name} {version}" for name, version in report["packages"].items()))
    )
    lines.append(("cpu", f"{report['cores']} cores, {report['threads']} threads"))
    lines += [
        ("device", f"{name}, precision auto is {found}")
        for name, found in report["precision_auto"].items()
    ]
    for name, facts in report["directories"].items():
        state = ("" if facts["exists"] else "not made yet, ") + (
            "writable" if facts["writable"] else "NOT writable"
        )
        lines.append((name, f"{facts['path']} ({state})"))
    for name, value in report["checks"].items():
        good = value is True or value < TOLERANCE
        detail = "" if value is True else f", largest difference {value:.1e}"
        lines.append(("check", f"{name.replace('_', ' ')}: {'ok' if good else 'FAILED'}{detail}"))
    write_fields(lines, LABEL_WIDTH)

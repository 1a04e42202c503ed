"""`charrnn doctor`: show versions, devices and directories, and check the installation."""

from typing import Annotated, Any

import typer

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.errors import CharrnnError
from charrnn_cli.training.self_check import check_machine, is_passed

LABEL_WIDTH = 10


class _CheckFailedError(CharrnnError):
    """A check of the installation failed."""


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for bug reports.")
    ] = False,
) -> None:
    """Show versions, devices and directories, and check the installation.

    Example: charrnn doctor
    """
    console.say("charrnn", "importing torch and checking the installation")
    report = check_machine()
    if as_json:
        console.write_json(report)
    else:
        write_fields(_lines(report), LABEL_WIDTH)
    failed = [name for name, result in report["checks"].items() if not is_passed(result)]
    if failed:
        raise _CheckFailedError(
            f"failed checks: {', '.join(failed)}",
            hint="report this problem and include the output of `charrnn doctor --json`",
        )


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    cores = format_count(report["cores"], "core")
    packages = (f"{name} {version}" for name, version in report["packages"].items())
    return [
        ("charrnn", f"{report['charrnn']} on Python {report['python']}, {report['platform']}"),
        ("packages", ", ".join(packages)),
        ("cpu", f"{cores}, {format_count(report['threads'], 'thread')}"),
        *_devices(report),
        *((name, _directory(facts)) for name, facts in report["directories"].items()),
        *(("check", _check(name, result)) for name, result in report["checks"].items()),
    ]


def _devices(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("device", f"{name}, automatic precision {precision}{_rates(report['gigaflops'][name])}")
        for name, precision in report["precision_auto"].items()
    ]


def _rates(gigaflops: dict[str, float]) -> str:
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in gigaflops.items())
    return f" (products per thread: {rates} GFLOP/s)" if rates else ""


def _directory(facts: dict[str, Any]) -> str:
    if facts["exists"]:
        state = "writable" if facts["writable"] else "NOT writable"
    else:
        state = "will be created" if facts["writable"] else "CANNOT be created"
    return f"{facts['path']} ({state})"


def _check(name: str, result: float | bool) -> str:
    verdict = "ok" if is_passed(result) else "FAILED"
    detail = "" if isinstance(result, bool) else f", largest difference {result:.1e}"
    return f"{name.replace('_', ' ')}: {verdict}{detail}"

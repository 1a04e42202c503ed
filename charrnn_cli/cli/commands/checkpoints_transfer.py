"""`charrnn checkpoints export`, `import` and `verify`."""

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import size
from charrnn_cli.errors import CharrnnError, ConfigError, FileFormatError, UsageError
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.registry import Registry, is_path
from charrnn_cli.storage.runs import RESUME_KIND, check_run_name, slug
from charrnn_cli.storage.tensorfile import read_header


class _DamagedError(FileFormatError):
    """Some of the verified files are damaged."""


def export(
    reference: Annotated[
        str,
        typer.Argument(metavar="REF", help="The checkpoint.", autocompletion=complete_reference),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write; - is stdout.")
    ],
    format_name: Annotated[
        str, typer.Option("--format", metavar="safetensors", help="The format.")
    ] = "safetensors",
) -> None:
    """Copy a checkpoint, verified, into one file that can be mailed and sampled anywhere.

    Example: charrnn checkpoints export best -o model.safetensors
    """
    if format_name != "safetensors":
        raise ConfigError(f"no format {format_name!r}", hint="use --format safetensors")
    path = Registry().resolve(reference)

    from charrnn_cli.model.checkpoint import load_checkpoint

    load_checkpoint(path)
    data = path.read_bytes()
    if output == "-":
        console.write_bytes(data)
        return
    with atomic_write(Path(output), num_bytes=len(data)) as file:
        file.write(data)
    console.say("wrote", f"{output}, {size(len(data))}")
    named = output if is_path(output) else f"./{output}"
    console.say("next", f"charrnn sample {shlex.quote(named)}")


def import_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="An exported checkpoint; - is stdin.")
    ],
    run: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the new run.  [default: as it was]", show_default=False
        ),
    ] = None,
) -> None:
    """Copy a checkpoint, verified, into a new run of the registry.

    Example: charrnn checkpoints import model.safetensors --run gift
    """
    if run is not None:
        check_run_name(run)
    with _local_file(file) as path:
        from charrnn_cli.model.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path)
        registry = Registry()
        new = registry.create_like(slug(checkpoint.run)) if run is None else registry.create(run)
        try:
            data = path.read_bytes()
            with atomic_write(new.step_path(checkpoint.step), num_bytes=len(data)) as target:
                target.write(data)
        finally:
            new.discard_if_empty()
    console.say("wrote", new.reference(checkpoint.step))
    console.say("next", f"charrnn sample {new.name}")


def verify(
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF...]",
            help="RUN is all of a run. Default: everything.",
            show_default=False,
            autocompletion=complete_reference,
        ),
    ] = None,
) -> None:
    """Read files whole and check digests, shapes and numbers. Exit code 1 when one is damaged.

    Example: charrnn checkpoints verify
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.training.snapshot import load_resume

    registry = Registry()
    paths: list[Path] = []
    named: set[Path] = set()
    for reference in references or [run.name for run in registry.runs()]:
        if is_path(reference) or "@" in reference or reference in ("best", "latest"):
            paths.append(registry.resolve(reference))
            named.add(paths[-1])
        else:
            paths += [
                path for path in registry.run(reference).files() if path.suffix == ".safetensors"
            ]
    damaged = 0
    for path in paths:
        try:
            load = load_resume if read_header(path).kind == RESUME_KIND else load_checkpoint
            load(path)
        except UsageError:
            if path in named:
                raise
            continue  # gone since it was listed
        except CharrnnError as error:
            damaged += 1
            console.write_line(f"DAMAGED\t{console.safe(error.message)}")
        else:
            console.write_line(f"ok\t{console.safe(str(path))}")
    if damaged:
        raise _DamagedError(
            f"{damaged} of {len(paths)} files are damaged",
            hint="resuming passes over a damaged resume file; `charrnn checkpoints rm RUN@STEP` removes a checkpoint",
        )


@contextlib.contextmanager
def _local_file(file: str) -> Iterator[Path]:
    if file != "-":
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)

"""`charrnn checkpoints export`, `import` and `verify`: copy checkpoints and check them."""

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
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.errors import CharrnnError, FileFormatError, UsageError
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.registry import Registry, is_path, names_checkpoint
from charrnn_cli.storage.runs import RESUME_KIND, SUFFIX, check_run_name, slug
from charrnn_cli.storage.tensorfile import read_header


class _DamagedError(FileFormatError):
    """At least one verified file is damaged."""


def export(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="Checkpoint to export.", autocompletion=complete_reference
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|-", help="Output file, or - for standard output."
        ),
    ],
) -> None:
    """Verify a checkpoint and copy it to a single file.

    Example: charrnn checkpoints export best -o model.safetensors
    """
    path = Registry().resolve(reference)

    from charrnn_cli.model.checkpoint import load_checkpoint

    load_checkpoint(path)
    data = path.read_bytes()
    if output == "-":
        console.write_bytes(data)
        return
    with atomic_write(Path(output), num_bytes=len(data)) as file:
        file.write(data)
    console.say("wrote", f"{output}, {format_size(len(data))}")
    exported = output if is_path(output) else f"./{output}"
    console.say("next", f"charrnn sample {shlex.quote(exported)}")


def import_file(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="Exported checkpoint, or - for standard input."),
    ],
    run: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=with_default("Name of the new run.", "its original name"),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Verify an exported checkpoint and copy it into a new run.

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
            help=with_default("Runs or checkpoints to verify.", "all"),
            show_default=False,
            autocompletion=complete_reference,
        ),
    ] = None,
) -> None:
    """Verify the digests, shapes and numbers in checkpoint files.

    The exit code is 1 if any file is damaged.

    Example: charrnn checkpoints verify
    """
    paths = _files_to_verify(references)
    damaged = 0
    for path, is_named in paths.items():
        try:
            _load(path)
        except UsageError:
            if is_named:
                raise
            continue  # deleted since its run was listed
        except CharrnnError as error:
            damaged += 1
            console.write_line(f"DAMAGED\t{console.safe(error.message)}")
        else:
            console.write_line(f"ok\t{console.safe(str(path))}")
    if damaged:
        raise _DamagedError(
            f"{damaged} of {len(paths)} files {'is' if damaged == 1 else 'are'} damaged",
            hint="delete a damaged checkpoint with `charrnn checkpoints rm RUN@STEP`;"
            " a damaged resume file needs no repair, because training continues"
            " from the previous one",
        )


def _files_to_verify(references: list[str] | None) -> dict[Path, bool]:
    """Map named checkpoints to True and the files of named runs, by default all, to False."""
    registry = Registry()
    paths: dict[Path, bool] = {}
    for reference in references or [run.name for run in registry.runs()]:
        if names_checkpoint(reference):
            paths[registry.resolve(reference)] = True
        else:
            files = registry.run(reference).files()
            paths.update((path, False) for path in files if path.suffix == SUFFIX)
    return paths


def _load(path: Path) -> None:
    """Read and check a checkpoint or a resume file. Raises CharrnnError."""
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.training.snapshot import load_resume

    if read_header(path).kind == RESUME_KIND:
        load_resume(path)
    else:
        load_checkpoint(path)


@contextlib.contextmanager
def _local_file(file: str) -> Iterator[Path]:
    """Yield the path of the file or, for `-`, of a temporary copy of standard input."""
    if file != "-":
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(suffix=SUFFIX) as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)

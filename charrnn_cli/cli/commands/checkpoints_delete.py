"""`charrnn checkpoints rm`, `prune`, `export`, `import` and `verify`: what changes or checks the files."""

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_reference, complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import size
from charrnn_cli.errors import CharrnnError, ConfigError, FileFormatError, StorageError, UsageError
from charrnn_cli.storage.atomic import publish
from charrnn_cli.storage.lock import check_unlocked, hold_lock
from charrnn_cli.storage.registry import Registry, is_path
from charrnn_cli.storage.runs import RESUME_KIND, Run, check_run_name, slug, surplus
from charrnn_cli.storage.tensorfile import read_header

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")]


class _DamagedError(FileFormatError):
    """Some of the verified files are damaged."""


def remove(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...", help="RUN is all of a run; RUN@STEP one checkpoint.", autocompletion=complete_reference
        ),
    ],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete checkpoints or whole runs. Says what goes, and asks.

    Example: charrnn checkpoints rm anna-lstm-2x512@1200
    """
    registry = Registry()
    paths: dict[Path, None] = {}
    for reference in references:
        if is_path(reference):
            raise ConfigError(f"{reference} is a path", hint="rm deletes from the registry alone: name RUN or RUN@STEP")
        if "@" in reference or reference in ("best", "latest"):
            path = registry.resolve(reference)
            paths[path] = None
        else:
            paths.update(dict.fromkeys(registry.run(reference).files()))
    _delete(list(paths), yes=yes, dry_run=dry_run)


def prune(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run.", autocompletion=complete_run)],
    keep: Annotated[int, typer.Option(min=1, help="The newest checkpoints that stay; best and latest always do.")],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete a run's older checkpoints; the best and the latest stay.

    Example: charrnn checkpoints prune anna-lstm-2x512 --keep 5
    """
    found = Registry().run(run)
    check_unlocked(found.path)
    _delete([entry.path for entry in surplus(found.checkpoints(), keep)], yes=yes, dry_run=dry_run)


def export(
    reference: Annotated[str, typer.Argument(metavar="REF", help="The checkpoint.", autocompletion=complete_reference)],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write; - is stdout.")],
    format_name: Annotated[str, typer.Option("--format", metavar="safetensors", help="The format.")] = "safetensors",
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
    with publish(Path(output), num_bytes=len(data)) as file:
        file.write(data)
    console.say("wrote", f"{output}, {size(len(data))}")
    named = output if is_path(output) else f"./{output}"
    console.say("next", f"charrnn sample {shlex.quote(named)}")


def import_file(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="An exported checkpoint; - is stdin.")],
    run: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the new run.  [default: as it was]", show_default=False)
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
            with publish(new.step_path(checkpoint.step), num_bytes=len(data)) as target:
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
    from charrnn_cli.model.checkpoint import load_checkpoint, load_resume

    registry = Registry()
    paths: list[Path] = []
    for reference in references or [run.name for run in registry.runs()]:
        if is_path(reference) or "@" in reference or reference in ("best", "latest"):
            paths.append(registry.resolve(reference))
        else:
            paths += [path for path in registry.run(reference).files() if path.suffix == ".safetensors"]
    damaged = 0
    for path in paths:
        try:
            load = load_resume if read_header(path).kind == RESUME_KIND else load_checkpoint
            load(path)
        except UsageError:  # gone since it was listed
            continue
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


def _delete(paths: list[Path], *, yes: bool, dry_run: bool) -> None:
    if not paths:
        console.say("", "nothing to delete")
        return
    total = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
        console.say("delete", f"{path.parent.name}/{path.name}")
    console.say("total", f"{len(paths)} file{'s' if len(paths) != 1 else ''}, {size(total)}")
    if dry_run:
        return
    with contextlib.ExitStack() as locks:  # also while it asks: nobody shall begin to train meanwhile
        directories = sorted({path.parent for path in paths})
        for directory in directories:
            locks.enter_context(hold_lock(directory))
        if not yes and not _confirmed():
            return
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"cannot delete {path}: {error.strerror}") from error
        for directory in directories:
            Run(directory.name, directory).discard_if_empty()


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to confirm", hint="add --yes, or look first with --dry-run")
    if typer.confirm("Delete them?", err=True):
        return True
    console.say("", "nothing was deleted")
    return False


@contextlib.contextmanager
def _local_file(file: str) -> Iterator[Path]:
    if file != "-":
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)

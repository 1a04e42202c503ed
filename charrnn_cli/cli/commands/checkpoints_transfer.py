"""`charrnn checkpoints export`, `import` and `verify`: copy checkpoints and check them."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.errors import CharrnnError, FileFormatError, StorageError, UsageError
from charrnn_cli.shell import path_word
from charrnn_cli.storage import corpus_header, header
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.built_in import is_built_in, missing_built_in
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.references import is_path, names_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import SUFFIX, check_step
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.standard_input import next_chunk

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint


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

    A file named *.onnx is a graph for ONNX runtimes; it requires the package onnx.

    Example: charrnn checkpoints export best -o model.safetensors
    """
    path = Registry().resolve(reference)

    from charrnn_cli.model.checkpoint import load_verified

    with open_regular(path, follow=True) as file:
        checkpoint, data = load_verified(file, path)
    if output.lower().endswith(".onnx"):
        _export_onnx(checkpoint, data, Path(output))
        return
    if output == "-":
        console.write_bytes(data)
        return
    with atomic_write(Path(output), num_bytes=len(data)) as target:
        target.write(data)
    console.say("wrote", f"{output}, {format_size(len(data))}")
    exported = output if is_path(output) else f"./{output}"
    console.say("next", f"charrnn sample {path_word(exported)}")


def _export_onnx(checkpoint: "Checkpoint", data: bytes, output: Path) -> None:
    """Write a checkpoint, whose file has the bytes `data`, as an ONNX graph."""
    import hashlib

    from charrnn_cli.export.onnx_graph import to_onnx

    graph = to_onnx(checkpoint, hashlib.sha256(data).hexdigest())
    with atomic_write(output, num_bytes=len(graph)) as target:
        target.write(graph)
    console.say("wrote", f"{output}, {format_size(len(graph))}")
    if checkpoint.ngrams is not None:
        console.say(
            "note",
            "this graph needs one more input, `ngram`, which charrnn.NgramReader computes;"
            " the graph of a model trained with --ngram 0 does not",
        )


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
    registry = Registry()
    if run is not None:
        registry.check_free(run)

    from charrnn_cli.model.checkpoint import load_verified

    with _opened(file) as (opened, path):
        checkpoint, data = load_verified(opened, path)
    made = registry.create_like(checkpoint.run) if run is None else registry.create(run)
    with made as new:
        path = new.step_path(checkpoint.step)
        with atomic_write(
            path, num_bytes=len(data), private=True, directory=new.directory
        ) as target:
            target.write(data)
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
            console.write_line(f"DAMAGED\t{safe_text.safe(error.message)}")
        else:
            console.write_line(f"ok\t{safe_text.safe(str(path))}")
    if damaged:
        raise _DamagedError(
            f"{damaged} of {len(paths)} files {'is' if damaged == 1 else 'are'} damaged",
            hint="delete a damaged checkpoint with `charrnn checkpoints rm RUN@STEP`;"
            " `charrnn train --resume RUN` replaces a damaged resume file, or says what to do",
        )


def _files_to_verify(references: list[str] | None) -> dict[Path, bool]:
    """Map named checkpoints to True and the files of named runs, by default all, to False."""
    registry = Registry()
    paths: dict[Path, bool] = {}
    for reference in references or [run.name for run in registry.listed()]:
        if names_checkpoint(reference):
            paths[registry.resolve(reference)] = True
        else:
            run = registry.run(reference)
            files = [path for path in run.files() if path.suffix == SUFFIX]
            if is_built_in(run) and not files:
                raise missing_built_in()
            paths.update((path, False) for path in files)
    return paths


def _load(path: Path) -> None:
    """Read and check any charrnn file. Raises CharrnnError."""
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.training.snapshot import load_resume

    match read_header(path, follow=True).kind:
        case header.RESUME_KIND:
            load_resume(path)
        case corpus_header.CORPUS_KIND:
            Corpus.open(path)
        case _:
            check_step(path, load_checkpoint(path).step)


@contextlib.contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, Path]]:
    """Open the file or, for `-`, a copy of standard input; with its name for messages."""
    if file != "-":
        path = Path(file)
        with open_regular(path, follow=True) as opened:
            yield opened, path
        return
    with tempfile.TemporaryFile() as copy:  # has no name, so a kill leaves nothing
        try:
            while chunk := next_chunk(lambda _done, _total: None):
                copy.write(chunk)
            copy.seek(0)
        except OSError as error:
            raise StorageError(f"cannot copy standard input: {error.strerror}") from error
        yield copy, Path("standard input")

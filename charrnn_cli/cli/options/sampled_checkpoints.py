"""The checkpoints that `charrnn sample` generates text with: references, or a part of a run's."""

from collections.abc import Sequence
from pathlib import Path

from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.run_facts import Facts
from charrnn_cli.errors import ConfigError, NotFoundError
from charrnn_cli.storage.references import is_path, names_checkpoint, spread
from charrnn_cli.storage.registry import Registry

_PRIME_HINT = (
    "run `charrnn checkpoints list` to see all runs, or put the text to continue after --prime"
)


def sampled_checkpoints(references: Sequence[str], each: int | None) -> tuple[list[Path], Facts]:
    """Return different checkpoints, in the order of the references, and what to say about them.

    Without a reference, it is the newest run's best checkpoint; with `each`, they are this number
    of a run's. Raises NotFoundError, ConfigError, ForeignFileError, StorageError.
    """
    if each is not None:
        return _spread(references, each)
    if len(references) < 2:
        return [Registry().resolve(*references)], []
    paths: list[Path] = []
    names: dict[Path, str] = {}
    facts = []
    for reference in references:
        path = _resolved(reference, is_first=not paths)
        if (place := path.absolute()) in names:
            same = names[place]
            again = "given twice" if same == reference else f"the same checkpoint as {same}"
            facts.append(("note", f"{reference} is {again}"))
            continue
        names[place] = reference
        paths.append(path)
    return paths, facts


def _resolved(reference: str, *, is_first: bool) -> Path:
    """Return the path of a checkpoint; a word after the first may be a text to continue."""
    try:
        return Registry().resolve(reference)
    except (NotFoundError, ConfigError) as error:
        is_known = names_checkpoint(reference) or (error.hint or "").startswith("did you mean")
        if is_first or is_known:
            raise
        raise type(error)(error.message, hint=_PRIME_HINT) from error


def _spread(references: Sequence[str], each: int) -> tuple[list[Path], Facts]:
    if len(references) > 1:
        raise ConfigError(
            f"--each requires one run, not {len(references)} references", hint="leave out --each"
        )
    if references and names_checkpoint(references[0]):
        name, _, _ = references[0].partition("@")
        is_run = not is_path(references[0]) and name not in ("", "best", "latest")
        raise ConfigError(
            f"--each requires a run, and {references[0]!r} is one checkpoint",
            hint=f"charrnn sample {name} --each {each}" if is_run else "use the name of a run",
        )
    registry = Registry()
    run = registry.run(references[0]) if references else registry.newest()
    entries = spread(run, each)
    paths = [registry.resolve(run.reference(entry.step)) for entry in entries]
    only = f"run {run.name!r} has only {format_count(len(paths), 'checkpoint')}"
    return paths, [("note", only)] if len(paths) < each else []

"""The file about an inspection that `charrnn inspect --output` writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.cli.scored_models import ScoredModel
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.file_format import Format
from charrnn_cli.export.look_formats import FORMATS, Render, format_of
from charrnn_cli.export.look_options import CELLS, LookOptions
from charrnn_cli.shell import path_word
from charrnn_cli.storage.atomic import atomic_write, check_absent
from charrnn_cli.storage.existing import atomic_replace, check_changeable
from charrnn_cli.storage.references import is_path

if TYPE_CHECKING:
    from charrnn_cli.model.inspection.inspection import Inspection
    from charrnn_cli.model.inspection.unit_names import UnitName

STANDARD_OUTPUT = "-"
ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class LookFile:
    """A file, its format, and what was chosen for it."""

    output: str
    force: bool
    format: Format[Render]
    cells: int | None
    """None for all units."""
    unit: "UnitName | None"

    def options(self, model: ScoredModel, characters: int) -> LookOptions:
        """Return what the format needs. Raises ConfigError for what the model does not have.

        To be called before long work: `characters` is the most that are inspected.
        """
        options = LookOptions(
            name=model.name,
            text_name=model.text.name,
            end=model.text.end,
            cells=self.cells,
            unit=self.unit,
        )
        if options.unit is not None:
            options.unit.check_is_in(model.checkpoint.model)
        self.format.render.check(model.checkpoint.model, min(characters, len(model.text)), options)
        return options

    def write(self, model: ScoredModel, found: "Inspection", options: LookOptions) -> None:
        """Write the file. Raises AlreadyPublishedError, ForeignFileError, StorageError."""
        data = self.format.render.content(model.checkpoint, found, options).data
        if self.output == STANDARD_OUTPUT:
            console.write_bytes(data)
            return
        path = Path(self.output)
        with atomic_replace(path) if self.force else atomic_write(path) as target:
            target.write(data)
        console.say("wrote", f"{self.output}, {format_size(len(data))}")
        shown = self.output if is_path(self.output) else f"./{self.output}"
        console.say("next", self.format.use.format(path_word(shown)))


def look_file(
    output: str | None, *, cells: str | None, cell: str | None, force: bool, as_json: bool
) -> LookFile | None:
    """Return the file of --output, which can be written; None without one.

    Raises ConfigError for options that do not apply, AlreadyPublishedError, ForeignFileError,
    StorageError.
    """
    given = [name for name, value in (("cells", cells), ("cell", cell)) if value is not None]
    for name in [*given, *(["force"] if force else [])]:
        if output is None or (name == "force" and output == STANDARD_OUTPUT):
            raise ConfigError(f"--{name} requires --output FILE", hint=f"leave out --{name}")
    if output is None:
        return None
    if as_json:
        raise ConfigError("--output cannot be combined with --json", hint="leave out --json")
    chosen = FORMATS["html"] if output == STANDARD_OUTPUT else format_of(Path(output))
    chosen.check_applies(given)
    if output != STANDARD_OUTPUT:
        if force:
            check_changeable(Path(output))
        else:
            check_absent(Path(output), hint="choose another file name, or use --force")
    return LookFile(
        output=output,
        force=force,
        format=chosen,
        cells=_number_of_cells(cells),
        unit=None if cell is None else _unit(cell),
    )


def _unit(typed: str) -> "UnitName":
    from charrnn_cli.model.inspection.unit_names import UnitName

    return UnitName.parse(typed)


def _number_of_cells(typed: str | None) -> int | None:
    """Return the number of units of --cells; None for all. Raises ConfigError."""
    if typed is None:
        return CELLS
    if typed == ALL:
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        raise ConfigError(
            f"--cells takes a number or all; got {typed!r}", hint=f"use --cells {CELLS}"
        )
    return int(typed)

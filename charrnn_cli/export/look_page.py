"""An inspection as one HTML page: the text in colors, guesses, and tables.

The page has the numbers of the inspection in base64, rounded to 8 bits. `page_files/` has its
program. Its tables are read without a program, too.
"""

from dataclasses import asdict
from string import Template

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.exported import Exported
from charrnn_cli.export.html_text import shown_label, shown_text
from charrnn_cli.export.look_options import LookOptions
from charrnn_cli.export.look_tables import tables
from charrnn_cli.export.numbers import Numbers
from charrnn_cli.export.page_parts import as_json, facts, framed, program
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.inspection.bit_shares import mean_bits
from charrnn_cli.model.inspection.inspection import Inspection
from charrnn_cli.model.inspection.trace import GUESSES
from charrnn_cli.model.inspection.unit_names import UnitName, num_units, shown_units, unit_values
from charrnn_cli.text.corpus_file import DTYPES, ids_dtype
from charrnn_cli.version import __version__

# N characters · G guesses · C units

FORMAT = 1
MAX_BYTES = 30_000_000  # of a page
STEPS_PER_BIT = 16
NOT_PREDICTED = 255  # in the place of a surprise
PROGRAM = (
    *("names.js", "base64.js", "clusters.js"),
    *("look_data.js", "look_text.js", "look_guesses.js", "look_units.js", "look.js"),
)

Bytes = npt.NDArray[np.uint8]


def check_size(model: ModelConfig, characters: int, options: LookOptions) -> None:
    """Raise ConfigError if a page would be larger than 30 MB."""
    cells = _num_cells(model, options)
    id_bytes = DTYPES[ids_dtype(model.vocabulary_size)].itemsize
    # Ids, surprise, surprise of n-grams, guesses and their shares; then the text, which has at most
    # 6 bytes per character, as in &quot;.
    basis = id_bytes + 2 + GUESSES * (id_bytes + 1) + 5
    room = MAX_BYTES * 3 // 4 - 100_000
    if characters * (basis + cells) <= room:
        return
    fitting, fewer = room // characters - basis, room // (basis + cells)
    raise ConfigError(
        f"a page of {cells:,} units at {characters:,} characters would be larger than 30 MB",
        hint=f"use --cells {fitting}, or --characters {fewer // 100 * 100}",
    )


def to_look_page(checkpoint: Checkpoint, inspection: Inspection, options: LookOptions) -> Exported:
    """Return the page. Raises ConfigError if it would be larger than 30 MB."""
    trace = inspection.trace
    check_size(checkpoint.model, len(trace.text), options)
    units = shown_units(inspection, _num_cells(checkpoint.model, options), options.unit)
    numbers = _numbers(checkpoint, inspection, units)
    look = {
        "format": FORMAT,
        "version": __version__,
        "checkpoint": options.name,
        "text": options.text_name,
        "vocabulary": [ord(character) for character in checkpoint.vocab.characters],
        "end": options.end,
        "units": [str(each) for each in units],
        "found": [asdict(each) for each in inspection.units],
        "slowest": [asdict(each) for each in inspection.slowest],
        "first": None if options.unit is None else str(options.unit),
        "arrays": numbers.tensors,
    }
    script = program(*PROGRAM)
    title = f"{options.name} reads {options.text_name}"
    shown = trace.text if options.end is None else trace.text.replace(options.end, "\n")
    body = Template(program("look.html")).substitute(
        title=shown_label(title),
        facts=shown_label(facts(checkpoint)),
        totals=shown_label(_totals(inspection)),
        text=shown_text(shown),
        tables="\n".join(tables(inspection, set(units))),
        version=shown_label(__version__),
        look=as_json(look),
        numbers=numbers.as_base64(),
        program=script,
    )
    style = program("base.css", "shades.css", "sections.css", "look.css")
    page = framed(shown_label(title), style, body, [script])
    return Exported(page.encode("utf-8"), {"activations": len(units) * len(trace.text)})


def quantized_bits(bits_N: npt.NDArray[np.float32]) -> Bytes:
    """Return surprise in sixteenths of a bit, up to 254; 255 where nothing was predicted."""
    steps_N = np.minimum(np.rint(bits_N * STEPS_PER_BIT), NOT_PREDICTED - 1)
    quantized_N: Bytes = np.where(np.isnan(steps_N), NOT_PREDICTED, steps_N).astype(np.uint8)
    return quantized_N


def quantized_activations(values: npt.NDArray[np.float16]) -> npt.NDArray[np.int8]:
    """Return activations in steps of 1 / 127."""
    return np.rint(values.astype(np.float32) * 127).astype(np.int8)


def _num_cells(model: ModelConfig, options: LookOptions) -> int:
    total = num_units(model)
    return total if options.cells is None else min(options.cells, total)


def _numbers(checkpoint: Checkpoint, inspection: Inspection, units: list[UnitName]) -> Numbers:
    """Return the arrays of a page."""
    trace, numbers = inspection.trace, Numbers()
    dtype = DTYPES[ids_dtype(len(checkpoint.vocab))]
    numbers.add("ids", trace.ids.astype(dtype))
    numbers.add("surprise", quantized_bits(trace.bits))
    if inspection.counted is not None:
        numbers.add("ngram_surprise", quantized_bits(inspection.counted.bits))
    numbers.add("guesses", trace.guesses.astype(dtype))
    numbers.add("shares", np.rint(np.nan_to_num(trace.shares) * 255).astype(np.uint8))
    activations_CN = np.empty((len(units), len(trace.text)), np.int8)
    for row_N, unit in zip(activations_CN, units, strict=True):
        row_N[:] = quantized_activations(unit_values(inspection, unit))
    numbers.add("activations", activations_CN)
    return numbers


def _totals(inspection: Inspection) -> str:
    """Say how long the text is, and what it costs."""
    trace, counted = inspection.trace, inspection.counted
    number, mean = int(trace.is_scored.sum()), trace.bits_per_character
    said = f"{number:,} character{'s' if number > 1 else ''}, {mean:.3f} bits each"
    if counted is None:
        return f"{said}."
    ngrams, fivegrams = mean_bits(counted.bits), mean_bits(counted.fivegram_bits)
    return f"{said}; its n-grams alone {ngrams:.3f}, 5-grams {fivegrams:.3f}."

"""An inspection as tables, or as an object for JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count, format_number
from charrnn_cli.cli.terminal.table import Column, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from charrnn_cli.model.inspection.bit_shares import Group
    from charrnn_cli.model.inspection.inspection import Counted, Inspection


def show_inspection(name: str, inspection: "Inspection") -> None:
    """Write tables: where the bits go, what n-grams do not know, and units."""
    _show_totals(name, inspection)
    _show_groups("kind", inspection.kinds)
    _show_groups("place in the word", inspection.places)
    if inspection.counted is not None and inspection.counted.beyond:
        _show_beyond(inspection.counted)
    if inspection.units:
        console.write_line()
        columns = [
            Column("feature", lambda unit: unit.feature),
            Column("layer", lambda unit: str(unit.layer), number=True),
            Column("unit", lambda unit: str(unit.unit), number=True),
            Column("part", lambda unit: unit.part),
            Column("r", lambda unit: f"{unit.r:.2f}", number=True),
            Column("held out", lambda unit: f"{unit.r_held_out:.2f}", number=True),
            Column("chance", lambda unit: f"{unit.r_chance:.2f}", number=True),
        ]
        write_table(columns, inspection.units)
    else:
        console.say("units", "none follows a feature of this text more closely than by chance")
    if inspection.slowest:
        console.write_line()
        columns = [
            Column("slowest units", lambda unit: f"remembers {_characters(unit.characters)}"),
            Column("layer", lambda unit: str(unit.layer), number=True),
            Column("unit", lambda unit: str(unit.unit), number=True),
            Column("part", lambda unit: unit.part),
        ]
        write_table(columns, inspection.slowest)


def inspection_to_json(
    name: str, inspection: "Inspection", characters: "Sequence[str]"
) -> dict[str, Any]:
    """Return an inspection as an object for JSON; `characters` are those of the vocabulary."""
    trace, counted = inspection.trace, inspection.counted
    return {
        "checkpoint": name,
        "characters": int(trace.is_scored.sum()),
        "bpc": trace.bits_per_character,
        "ngram_bpc": None if counted is None else _mean(counted.bits),
        "fivegram_bpc": None if counted is None else _mean(counted.fivegram_bits),
        "kinds": [asdict(group) for group in inspection.kinds],
        "places": [asdict(group) for group in inspection.places],
        "beyond_fivegrams": None
        if counted is None
        else {
            "share": counted.share_beyond,
            "examples": [asdict(example) for example in counted.beyond],
        },
        "cells": [asdict(unit) for unit in inspection.units],
        "slowest": [asdict(unit) for unit in inspection.slowest],
        "text": trace.text,
        "surprise": _numbers(trace.bits.tolist()),
        "ngram_surprise": None if counted is None else _numbers(counted.bits.tolist()),
        "guesses": [
            ["".join(characters[each] for each in guesses), _numbers(shares)]
            if shares[0] == shares[0]  # not NaN
            else None
            for guesses, shares in zip(trace.guesses.tolist(), trace.shares.tolist(), strict=True)
        ],
    }


def _show_totals(name: str, inspection: "Inspection") -> None:
    trace, counted = inspection.trace, inspection.counted
    columns = [
        Column("checkpoint", lambda _: name),
        Column("characters", lambda _: f"{int(trace.is_scored.sum()):,}", number=True),
        Column("bpc", lambda _: f"{trace.bits_per_character:.3f}", number=True),
    ]
    if counted is not None:
        bits, fivegram_bits = _mean(counted.bits), _mean(counted.fivegram_bits)
        share = f"{100 * counted.share_beyond:.1f}%"
        columns += [
            Column("n-grams", lambda _: f"{bits:.3f}", number=True),
            Column("5-grams", lambda _: f"{fivegram_bits:.3f}", number=True),
            Column("beyond 5-grams", lambda _: share, number=True),
        ]
    write_table(columns, [None])


def _show_groups(title: str, groups: "Sequence[Group]") -> None:
    if not groups:
        return
    console.write_line()
    columns = [
        Column(title, lambda group: group.name),
        Column("characters", lambda group: f"{group.characters:,}", number=True),
        Column("share of bits", lambda group: f"{100 * group.share:.1f}%", number=True),
        Column("bpc", lambda group: f"{group.bits:.2f}", number=True),
    ]
    if groups[0].ngram_bits is not None:
        columns.append(
            Column("n-grams", lambda group: format_number(group.ngram_bits, ".2f"), number=True)
        )
    write_table(columns, groups)


def _show_beyond(counted: "Counted") -> None:
    console.write_line()
    columns = [
        Column("text before", lambda example: example.before),
        Column("character", lambda example: example.character),
        Column("bits", lambda example: f"{example.bits:.2f}", number=True),
        Column("5-grams", lambda example: f"{example.fivegram_bits:.2f}", number=True),
    ]
    write_table(columns, counted.beyond)


def _characters(number: int) -> str:
    return format_count(number, "character")


def _mean(bits: Any) -> float:
    from charrnn_cli.model.inspection.bit_shares import mean_bits

    return mean_bits(bits)


def _numbers(values: list[float]) -> list[float | None]:
    """Round numbers for JSON; NaN becomes null."""
    return [None if value != value else round(value, 4) for value in values]

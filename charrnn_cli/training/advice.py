"""Advice on a text before training. Pure functions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn_cli.architecture import ModelConfig

if TYPE_CHECKING:
    from charrnn_cli.text.list_shape import ListShape

NOISY_VALIDATION = 20_000  # characters
COPIED_VALIDATION = 0.1  # fraction; novels have 0, and texts with a license in each file a little

COSTLY_OUTPUT = 0.25  # fraction of the multiplications
WELL_SEEN = 5  # occurrences; a rarer character is hardly learned


def advise_on_validation(val_characters: int) -> str | None:
    """Warn if the validation text is so short that its loss is noisy."""
    if 0 < val_characters < NOISY_VALIDATION:
        figure = f"the validation text has only {val_characters:,} characters"
        return f"{figure}: loss differences of a few hundredths are noise"
    return None


def warn_of_overlap(fraction: float) -> str | None:
    """Warn if a fraction of the validation text stands in the training text word for word."""
    if fraction < COPIED_VALIDATION:
        return None
    figure = f"about {fraction:.0%} of the validation text also stands in the training text"
    return f"{figure}: val loss will be too low; remove the copies from the text"


def warn_of_shared_items(fraction: float) -> str | None:
    """Warn if a fraction of the items of a validation file are in the training list, too."""
    if not fraction:
        return None
    figure = f"{max(fraction, 0.001):.1%} of the validation items are also in the training list"
    return f"{figure}: val loss will be too low; remove these items from one of them"


def advise_on_list(shape: "ListShape | None", *, is_csv: bool) -> str | None:
    """Name the option for a text that looks like a list; None for other texts.

    `is_csv` says that its file is named like a table with commas.
    """
    if shape is None:
        return None
    if shape.is_table or is_csv:
        column = "NAME" if is_csv else "1"
        advice = f"this looks like a table: --column {column} learns the items of one column"
    else:
        advice = "this looks like a list: --documents lines learns where items begin and end"
    order = "; the list is sorted, and its order would be learned"
    return advice + (order if shape.is_ordered else "")


def advise_on_vocabulary(model: ModelConfig, counts: Sequence[int]) -> str | None:
    """Report the cost of a large vocabulary, and how to remove its rare characters.

    `counts` are the occurrences of each character in the text.
    """
    output = model.vocabulary_size * model.size
    fraction = output / model.multiplications
    if fraction < COSTLY_OUTPUT:
        return None
    cost = (
        f"{model.vocabulary_size:,} distinct characters: "
        f"the output layer takes {fraction:.0%} of the computation"
    )
    kept = sum(count >= WELL_SEEN for count in counts)
    if kept > 0.9 * len(counts):
        return cost
    smaller = f"--min-count {WELL_SEEN} would leave {kept + 1:,} characters"
    return f"{cost}; {smaller}"

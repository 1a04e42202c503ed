"""Dropout masks and the automatic dropout."""

import pytest
import torch

from charrnn_cli.training.dropout import DropoutMasks
from charrnn_cli.training.recipe import automatic_dropout


def drop(dropout: float = 0.25, seed: int = 1, step: int = 0, layer: int = 0) -> torch.Tensor:
    masks = DropoutMasks(dropout, seed)
    masks.num_rows = 20
    masks.step = step
    return masks(layer, torch.ones(50, 20, 64))


def test_masks_repeat_and_differ() -> None:
    """A mask is a function of seed, step and layer, and differs where one of them does."""
    assert torch.equal(drop(), drop())
    for other in (drop(seed=2), drop(step=1), drop(layer=1)):
        assert not torch.equal(drop(), other)


@pytest.mark.parametrize("dropout", [0.1, 0.25, 0.5, 0.9])
def test_the_mean_stays(dropout: float) -> None:
    """The fraction of zeros is the dropout to 1/256, and the kept units are scaled up."""
    dropped = drop(dropout)
    assert (dropped == 0).float().mean().item() == pytest.approx(dropout, abs=0.006)
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert len(set(dropped.flatten().tolist())) == 2


def test_a_part_of_the_batch_has_its_part_of_the_mask() -> None:
    """Rows 5 to 11 of a batch get the same mask alone as within the whole batch."""
    masks = DropoutMasks(0.5, 1)
    masks.num_rows = 20
    masks.rows = slice(5, 12)
    assert torch.equal(masks(0, torch.ones(50, 7, 64)), drop(0.5)[:, 5:12])


def test_no_dropout_is_no_mask() -> None:
    """Masks of dropout 0 are false, so that no mask is applied."""
    assert not DropoutMasks(0.0, 1)
    assert DropoutMasks(0.01, 1)


@pytest.mark.parametrize(
    ("passes", "dropout"),
    [(0.1, 0), (2, 0), (6, 0.125), (10, 0.25), (25, 0.375), (40, 0.5), (1000, 0.5)],
)
def test_automatic(passes: float, dropout: float) -> None:
    """Automatic dropout is 0 up to 2 passes, 0.25 at 10, 0.5 from 40, and linear in between."""
    for characters in (10**6, 10**9):
        assert automatic_dropout(passes, characters) == dropout


def test_short_texts_get_more_dropout() -> None:
    """A pass over a quarter of a million characters counts as two."""
    assert automatic_dropout(5, 250_000) == automatic_dropout(10, 10**6)
    values = [automatic_dropout(8, 10**power) for power in range(8)]
    assert values == sorted(values, reverse=True)
    assert automatic_dropout(1, 0) == 0.5

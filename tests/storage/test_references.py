"""Which checkpoints of a run references name."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import NotFoundError
from charrnn_cli.storage.references import spread
from charrnn_cli.storage.runs import CheckpointEntry, Run
from tests.helpers import make_checkpoint


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=30), st.integers(2, 40))
def test_a_spread_is_even(steps: set[int], number: int) -> None:
    """A spread has different checkpoints in order, first and last included, and is even."""

    class Known(Run):
        def checkpoints(self) -> list[CheckpointEntry]:
            header = make_checkpoint()
            return [
                CheckpointEntry(step, Path(str(step)), 1, 1.0, header)  # type: ignore[arg-type]
                for step in sorted(steps)
            ]

    chosen = [entry.step for entry in spread(Known("known", Path("known")), number)]
    assert len(chosen) == min(number, len(steps))
    assert set(chosen) <= steps
    assert all(first < second for first, second in pairwise(chosen))
    assert chosen[0] == min(steps)
    assert chosen[-1] == max(steps) or len(steps) == 1


def test_damaged_checkpoints_are_left_out(tiny_run: Run) -> None:
    """A damaged checkpoint is not part of a spread; a run without any other is an error."""
    tiny_run.step_path(200).write_bytes(b"")
    assert [entry.step for entry in spread(tiny_run, 3)] == [100, 300]
    for step in (100, 300):
        tiny_run.step_path(step).unlink()
    with pytest.raises(NotFoundError) as caught:
        spread(tiny_run, 2)
    assert caught.value.message == "run 'tiny' has no readable checkpoint"
    assert caught.value.hint == "charrnn checkpoints list tiny"

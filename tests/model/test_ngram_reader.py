"""Reading text character by character gives the inputs of the whole text."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model.ngram_counts import contexts_and_targets
from charrnn_cli.model.ngram_reader import NgramReader, NgramRow
from tests.helpers import count_ngrams
from tests.model.test_ngrams import ORDERS, SIZE, TEXTS, span_text


@given(TEXTS, ORDERS, st.lists(st.integers(0, SIZE - 1), min_size=2, max_size=30), st.data())
def test_inputs_depend_only_on_what_was_read(
    spans: list[list[int]], order: int, read: list[int], data: st.DataObject
) -> None:
    """Pieces of any length, single characters and copied rows give the same inputs."""
    model = count_ngrams(span_text(spans), SIZE, order)
    contexts, _ = contexts_and_targets(span_text([[*read, 0]]), order)
    q = model.distributions(contexts)
    expected = np.log(q) - np.log(q).mean(axis=1, keepdims=True)
    ids_T1 = np.array(read)[:, None]
    cut = data.draw(st.integers(1, len(read) - 1))
    reader = NgramReader(model)
    pieces = [reader.read(ids_T1[:cut])[:, 0]]
    rows = reader.repeat(3)
    pieces.append(reader.read(ids_T1[cut:])[:, 0])
    np.testing.assert_allclose(np.concatenate(pieces), expected, rtol=1e-5, atol=1e-6)
    together = rows.read(np.repeat(ids_T1[cut:], 3, axis=1))
    np.testing.assert_array_equal(together, np.repeat(pieces[1][:, None], 3, axis=1))
    row, steps = NgramRow(model), []
    for time, character in enumerate(read):
        copies = row.repeat(2) if time == cut else None
        steps.append(row.step([character])[0])
        if copies is not None:
            both = copies.step([character, character])
            np.testing.assert_allclose(both, [steps[-1], steps[-1]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.array(steps), expected, rtol=1e-5, atol=1e-6)

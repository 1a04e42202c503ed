"""Where random numbers begin."""

from itertools import islice, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model.sampling import uniforms
from charrnn_cli.seeds import _PURPOSES, Purpose, derive_seed

NUMBERS = st.integers(0, 2**64 - 1)
MASK = 2**32 - 1


@given(
    st.tuples(st.sampled_from(sorted(_PURPOSES)), NUMBERS, NUMBERS),
    st.tuples(st.sampled_from(sorted(_PURPOSES)), NUMBERS, NUMBERS),
)
def test_different_uses_have_different_seeds(
    one: tuple[Purpose, int, int], other: tuple[Purpose, int, int]
) -> None:
    """Two uses share a seed only where purpose, seed and counter are all equal."""
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)


def test_streams_do_not_meet() -> None:
    """The first numbers of every purpose, small seed and small counter are all different."""
    uses = list(product(_PURPOSES, (0, 1, 2**32), (0, 1, 2**32)))
    firsts = {int(np.random.PCG64(derive_seed(*use)).random_raw()) for use in uses}
    assert len(firsts) == len(uses)


def test_a_sample_can_be_repeated_without_numpy() -> None:
    """Plain integers that follow numpy's seeding and PCG64 give the numbers of a sample."""
    for seed, row in ((1, 0), (7, 3), (2**40 + 5, 2)):
        assert list(islice(uniforms(seed, row), 50)) == list(islice(plain_uniforms(seed, row), 50))


def plain_uniforms(seed: int, row: int):  # type: ignore[no-untyped-def]
    """Yield what `uniforms` yields, by numpy's SeedSequence and PCG64 (O'Neill 2014)."""
    entropy = [0, seed & MASK, seed >> 32, row & MASK, row >> 32]  # 0 is the purpose
    multiplier = 0x43B0D7E5

    def hashed(value: int) -> int:
        nonlocal multiplier
        value ^= multiplier
        multiplier = multiplier * 0x931E8875 & MASK
        value = value * multiplier & MASK
        return value ^ value >> 16

    def mixed(one: int, other: int) -> int:
        value = (one * 0xCA01F9DD - other * 0x4973F715) & MASK
        return value ^ value >> 16

    pool = [hashed(word) for word in entropy[:4]]
    for source in range(4):
        for target in range(4):
            if source != target:
                pool[target] = mixed(pool[target], hashed(pool[source]))
    for word in entropy[4:]:
        for target in range(4):
            pool[target] = mixed(pool[target], hashed(word))
    words, factor = [], 0x8B51F9DD
    for index in range(8):
        value = pool[index % 4] ^ factor
        factor = factor * 0x58F38DED & MASK
        value = value * factor & MASK
        words.append(value ^ value >> 16)
    state, stream = (
        (words[i + 1] << 32 | words[i]) << 64 | words[i + 3] << 32 | words[i + 2] for i in (0, 4)
    )
    big, step, increment = 2**128 - 1, 0x2360ED051FC65DA44385DF649FCCF645, stream << 1 | 1
    state = ((increment + state) * step + increment) & big
    while True:
        state = (state * step + increment) & big
        folded, turn = (state >> 64) ^ (state & 2**64 - 1), state >> 122
        raw = (folded >> turn | folded << (64 - turn)) & 2**64 - 1
        yield (raw >> 11) * 2.0**-53

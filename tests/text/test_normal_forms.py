"""Unicode normalization of streams."""

import itertools
import resource
import subprocess
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.text.normal_forms import LONG_RUN, STRIDE, Form, normalize, normalized

MARKS = [
    chr(code)
    for code in range(0x300, 0x20000)
    if unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0])
]
OTHERS = "aeé\u00b5\u1100\u1161\u11a8\uac00漢ﬁ\u0958\u09c7\u09be\u09d7𑄮"
RUNS = st.tuples(
    st.text(OTHERS, max_size=3),
    st.text(st.sampled_from(MARKS), max_size=8),
    st.integers(1, 2 * STRIDE * LONG_RUN // 4),
).map(lambda parts: parts[0] + parts[1] * parts[2])


@given(st.lists(RUNS, max_size=4).map("".join), st.lists(st.integers(0, 1000), max_size=5))
def test_the_forms_of_unicodedata(text: str, cuts: list[int]) -> None:
    """Runs of combining marks of any length are normalized as Unicode says, however they arrive."""
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:stop] for start, stop in itertools.pairwise(places)]
    forms: tuple[Form, ...] = ("NFC", "NFD", "NFKC")
    for form in forms:
        assert normalize(text, form) == unicodedata.normalize(form, text)
        assert "".join(normalized(pieces, form)) == unicodedata.normalize(form, text)


def test_a_long_run_of_marks() -> None:
    """A million combining marks, which CPython sorts in half an hour, take seconds of a core."""
    code = (
        "from charrnn_cli.text.normal_forms import normalized\n"
        "pieces = ['e', *['\u0301\u0316' * 5000] * 100, '.']\n"
        "expected = '\u00e9' + '\u0316' * 500_000 + '\u0301' * 499_999 + '.'\n"
        "assert ''.join(normalized(pieces, 'NFC')) == expected"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
    )

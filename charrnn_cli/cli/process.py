"""Process setup before numpy and torch are imported: clock, streams and threads."""

import io
import os
import sys
import time

from charrnn_cli.training.cores import available_cores

STARTED = time.monotonic()
"""The time from which `--max-time` counts, before any slow import."""

# With one row, a product is matrix times vector: a second BLAS thread costs more than it saves, and
# stalls when the cores are busy.
THREADED_ROWS = 16


LEAST_COLUMNS = 10
STANDARD_OUTPUT = 1

_closed: set[int] = set()


def prepare() -> None:
    """Prepare streams and environment for any command; call once, before anything else."""
    _open_closed_streams()
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns[:9]) < LEAST_COLUMNS:
        del os.environ["COLUMNS"]  # nothing could be shown
    # Torch's threads spin while they wait for each other, by default for 300,000 iterations. With
    # two training runs on two cores, a step then took 600 times as long as with one run. 10,000
    # iterations cost 1% on an idle machine, and reduce the factor of 600 to 40.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def was_output_closed() -> bool:
    """Return whether standard output was closed when the program started."""
    return STANDARD_OUTPUT in _closed


def set_blas_threads(rows: int) -> None:
    """Set numpy's number of threads for products of `rows` rows; call before numpy is imported."""
    threads = 1 if rows < THREADED_ROWS else available_cores()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))


def _open_closed_streams() -> None:
    """Open closed standard streams on the null device.

    Otherwise, the next file to be opened would get a stream's descriptor and its output.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            _closed.add(descriptor)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdin, io.TextIOWrapper):
        # Bytes that cannot be decoded become characters that no vocabulary has.
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal with a limited character set shows unsupported characters as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")

"""Process setup before numpy and torch are imported: clock, streams and threads."""

import io
import os
import sys
import time

from charrnn_cli.training.cores import available_cores

STARTED = time.monotonic()
"""The time from which `--max-time` counts, before any slow import."""

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


def set_blas_threads(threads: int | None = None) -> None:
    """Set numpy's number of threads, at most that of the cores; call before numpy is imported.

    Without a number, it is one thread, unless the environment has another for OpenBLAS.
    """
    # BLAS threads spin while they wait for each other. On two cores, 1,000 samples of 40 characters
    # of a model of 2x256 took 0.8 s with two threads and 1.0 s with one, but 4.4 s and 1.7 s while
    # other programs used both cores.
    if threads is None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    else:
        os.environ["OPENBLAS_NUM_THREADS"] = str(min(threads, available_cores()))


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

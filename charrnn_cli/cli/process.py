"""What a process sets before numpy and torch load: its clock, its streams and its threads."""

import io
import os
import sys
import time

STARTED = time.monotonic()
"""The moment from which `--max-time` counts, before anything heavy is imported."""

# One row is a matrix-vector product: a second BLAS thread waits more than it helps, and stalls when
# the cores are busy.
THREADED_ROWS = 16


def prepare() -> None:
    """Set the streams and the environment that every command needs; call once, first."""
    _open_closed_streams()
    # While torch's threads wait for each other they spin, by default for 300,000 turns: with two
    # trainings on two cores, a step then took 600 times as long as with one. 10,000 turns cost 1 %
    # on an idle machine, and make it 40 times as long on a busy one.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def set_blas_threads(rows: int = THREADED_ROWS) -> None:
    """Choose numpy's threads for products of `rows` rows; call before numpy is imported."""
    threads = 1 if rows < THREADED_ROWS else os.cpu_count() or 1
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))


def _open_closed_streams() -> None:
    """Open closed standard streams on the null device.

    Otherwise the next file to be opened would take the descriptor, and receive their output.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal with a small character set shows the escapes of the characters it lacks.
        sys.stdout.reconfigure(errors="backslashreplace")

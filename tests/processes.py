"""Processes that tests start and that end with them."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Start a program for a `with` block, which waits for its end, and kill it after an exception.

    The options are those of `subprocess.Popen`, whose own `with` block waits also after a failed
    assertion, and so for ever where the program trains for ever.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a child process, whose exit code is 0 if nothing went wrong; return its pid.

    A child of a process with several threads can wait for ever for what one of them held. So tests
    that fork are marked `forks`, and run in processes of their own.
    """
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:  # a child must not continue as a second pytest
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def exit_codes(children: Sequence[int]) -> list[int]:
    """Wait for child processes to end."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

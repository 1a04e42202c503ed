"""A command in one of several processes that a launcher such as torchrun started."""

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.error_output import print_stop
from charrnn_cli.errors import ConfigError, ProcessLostError
from charrnn_cli.storage.temporary import discard_temporaries
from charrnn_cli.training.launch import Launch

if TYPE_CHECKING:
    from charrnn_cli.training.process_group import ProcessGroup

_QUIET = {"-q", "--quiet", "--json"}
FIRST_PRINTS = 1.0  # seconds; a launcher ends all processes as soon as one has failed


class Launched:
    """One of several processes; all join the group before the command is read.

    The first process runs the command. The others train with it, and end when it has ended, with
    its exit code.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.stop = StopRequest()
        self._stack = contextlib.ExitStack()
        self._group: ProcessGroup | None = None

    @property
    def group(self) -> "ProcessGroup":
        """The processes, after `join`."""
        assert self._group is not None
        return self._group

    def join(self, command: str | None) -> None:
        """Wait for the other processes. Raises ConfigError for other commands than `train`."""
        launch = self.launch
        if command != "train":
            raise ConfigError(
                f"charrnn {command} runs in one process, and WORLD_SIZE is {launch.size}",
                hint=f"run `charrnn {command}` without torchrun",
            )
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # before torch is imported
        if launch.is_first and not _QUIET & {*sys.argv}:  # no option has been read yet
            console.say("charrnn", f"starting {launch.size} processes")
        self.stop.acknowledge = self._end_at_once  # nothing is to be saved, and torch waits
        self._stack.enter_context(self.stop.listening())
        from charrnn_cli.training.process_group import joined

        self._group = self._stack.enter_context(
            joined(launch, lambda: self.stop.signum, self.stop.request)
        )
        self.stop.acknowledge = lambda: None  # until there is somebody to speak

    def follow(self) -> int:
        """Train with the first process, and return its exit code. Raises what `follow` raises."""
        from charrnn_cli.training.follower import follow

        return follow(self.group, self.stop)

    def _end_at_once(self) -> None:
        assert self.stop.signum is not None
        code = 128 + self.stop.signum
        if self.launch.is_first:
            print_stop(f"stopped by {signal.Signals(self.stop.signum).name}", None, code)
        os._exit(code)

    def prints(self, error: Exception) -> bool:
        """Whether an error is for this process to print: one that the first has, it prints."""
        return (
            self.launch.is_first or self._group is not None or isinstance(error, ProcessLostError)
        )

    def leave(self, code: int, error: BaseException | None) -> None:
        """End this process together with the others, after it has printed all that it prints."""
        console.write("")
        if self._group is None:
            self._stack.close()
            if not self.launch.is_first:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)  # with which a launcher ends it
                time.sleep(FIRST_PRINTS)
            return
        if self.launch.is_first:
            self._group.board.end(code, is_lost=isinstance(error, ProcessLostError))
        elif error is None:
            self._group.board.leave()
        if error is not None:
            # Threads of torch may wait for the process that does not answer.
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            discard_temporaries()
            os._exit(code)
        self._stack.close()

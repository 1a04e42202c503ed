"""The exceptions of this package, as one small tree.

CharrnnError                  base class                                       exit 1
├── FileFormatError           a file that cannot be used                       exit 1
│   ├── DamagedFileError      a charrnn file whose content has changed         exit 1
│   ├── NewerFormatError      a file of a newer version of charrnn             exit 1
│   └── ForeignFileError      not a charrnn file                               exit 1
├── StorageError              a disk or permission error                       exit 1
│   ├── AlreadyPublishedError the file already exists                          exit 1
│   ├── DiskFullError         no room on the disk                              exit 1
│   └── RunMovedError         the run's directory was moved or deleted         exit 1
├── RunBusyError              another process is training this run             exit 75
├── MemoryShortageError       model or batch does not fit into memory          exit 1
├── ProcessLostError          another process of a training does not answer    exit 1
├── DivergedError             the loss diverged at lower learning rates too    exit 1
├── InterruptionError         stopped by a signal, after saving                exit 128 + signal
└── UsageError                wrong command line or input                      exit 2
    ├── ConfigError           an invalid option or value                       exit 2
    ├── TextError             a text that cannot be used                       exit 2
    ├── NotFoundError         no such run, checkpoint or file                  exit 2
    ├── UnknownCharacterError a character outside the vocabulary               exit 2
    ├── MismatchError         two inputs that do not belong together           exit 2
    └── DeviceError           a device that is not available                   exit 2
"""

import signal
from collections.abc import Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """An option that would avoid an error, and a line that shows its effect."""

    option: str
    """With its value: `--encoding cp1252`."""
    line: str

    @property
    def name(self) -> str:
        """The option without its value."""
        return self.option.split()[0]

    @property
    def value(self) -> str:
        """The option's value."""
        return self.option.split()[1]


class CharrnnError(Exception):
    """Base class of the exceptions that this package raises on purpose.

    `message` states the problem; `hint` suggests what to do; `examples` are the options to choose
    from, if there are several.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, examples: Sequence[Example] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.examples = tuple(examples)


class FileFormatError(CharrnnError):
    """A file that cannot be used, although it can be read."""


class DamagedFileError(FileFormatError):
    """A charrnn file of this format whose content has changed; it may be replaced."""


class NewerFormatError(FileFormatError):
    """A file that a newer version of charrnn wrote; it is never replaced."""


class ForeignFileError(FileFormatError):
    """A file that charrnn did not write; it is never replaced."""


class StorageError(CharrnnError):
    """A disk or permission error."""


class AlreadyPublishedError(StorageError):
    """The file already exists and is not overwritten."""


class DiskFullError(StorageError):
    """The disk has no room for a file; deleting other files would make some."""


class RunMovedError(StorageError):
    """The directory of a run was moved, deleted or replaced while the run was in use."""


class RunBusyError(CharrnnError):
    """Another process is training this run; the same command may succeed later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class MemoryShortageError(CharrnnError):
    """The model or the batch does not fit into memory."""


class ProcessLostError(CharrnnError):
    """Another process of the same training has ended, or does not answer."""


class DivergedError(CharrnnError):
    """The loss diverged, at lower learning rates too."""


class InterruptionError(CharrnnError):
    """A signal stopped the program after it had saved everything."""

    def __init__(self, message: str | None = None, *, signum: int, hint: str | None = None) -> None:
        super().__init__(message or f"stopped by {signal.Signals(signum).name}", hint=hint)
        self.exit_code = 128 + signum


class UsageError(CharrnnError):
    """The command line or an input is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """An invalid option or value."""


class TextError(UsageError):
    """A text that is missing, unreadable, undecodable or too short."""


class NotFoundError(UsageError):
    """No such run, checkpoint or file."""


class UnknownCharacterError(UsageError):
    """A character outside the model's vocabulary."""


class MismatchError(UsageError):
    """Two inputs that do not belong together, such as a run and another text."""


class DeviceError(UsageError):
    """A device that is not available."""

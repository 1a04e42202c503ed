"""What can go wrong, as one small tree.

CharrnnError                  it failed while running                          exit 1
├── FileFormatError           a file is damaged, or is not one of ours         exit 1
├── StorageError              the disk or a permission refused                 exit 1
│   └── AlreadyPublishedError a file of that name exists and stays             exit 1
├── RunBusyError              another process trains this run                  exit 1
├── MemoryShortageError       the model or the batch does not fit             exit 1
├── DivergedError             the loss blew up, at lower rates too             exit 1
├── InterruptionError         a signal asked us to leave, and all is saved     exit 128 + signal
└── UsageError                what was typed or named is wrong                 exit 2
    ├── ConfigError           an impossible option or value                    exit 2
    ├── TextError             missing, unreadable, undecodable or short text   exit 2
    ├── NotFoundError         no run or checkpoint of that name                exit 2
    ├── UnknownCharacterError a character that the model never saw             exit 2
    ├── MismatchError         two things that do not belong together           exit 2
    └── DeviceError           a device that this machine does not have         exit 2
"""


class CharrnnError(Exception):
    """Base of everything this package raises on purpose.

    `message` says what is wrong, `hint` what to type next.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FileFormatError(CharrnnError):
    """A file is damaged, or is not one of ours."""


class StorageError(CharrnnError):
    """The disk or a permission refused."""


class AlreadyPublishedError(StorageError):
    """A file of that name exists; it is never overwritten."""


class RunBusyError(CharrnnError):
    """Another process trains this run."""


class MemoryShortageError(CharrnnError):
    """The model or the batch does not fit into the memory."""


class DivergedError(CharrnnError):
    """The loss blew up, at lower learning rates too."""


class InterruptionError(CharrnnError):
    """A signal asked us to leave; what had to be saved is saved."""

    def __init__(self, message: str, *, signum: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signum


class UsageError(CharrnnError):
    """What was typed or named is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """An impossible option or value."""


class TextError(UsageError):
    """Text that is missing, unreadable, undecodable or too short."""


class NotFoundError(UsageError):
    """No run or checkpoint of that name."""


class UnknownCharacterError(UsageError):
    """A character that the model never saw."""


class MismatchError(UsageError):
    """Two things that do not belong together, such as a run and another text."""


class DeviceError(UsageError):
    """A device that this machine does not have."""

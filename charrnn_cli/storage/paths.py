"""The directories of runs, encoded texts and logs."""

import contextlib
import os
import shutil
from pathlib import Path

from charrnn_cli.errors import ConfigError, StorageError
from charrnn_cli.storage.temporary import scratch_file

HOME_VARIABLE = "CHARRNN_HOME"
HOME_HINT = f"set {HOME_VARIABLE} to a writable directory"
PRIVATE = 0o700  # mode of our directories


def runs_directory() -> Path:
    """Return the directory of runs: `$CHARRNN_HOME/runs`, or in the platform's data directory.

    This and the next two functions raise ConfigError if `CHARRNN_HOME` names an unknown user, and
    StorageError if there is no home directory.
    """
    return _home("runs") or _platform_directory("data") / "runs"


def tunes_directory() -> Path:
    """Return the directory of studies: `$CHARRNN_HOME/tunes`, or in the platform's data directory.

    Raises as `runs_directory` does.
    """
    return _home("tunes") or _platform_directory("data") / "tunes"


def corpora_directory() -> Path:
    """Return the directory of encoded texts: `$CHARRNN_HOME/corpora`, or in the platform's cache.

    These files are a cache and may be deleted at any time.
    """
    return _home("corpora") or _platform_directory("cache") / "corpora"


def logs_directory() -> Path:
    """Return the directory of crash logs: `$CHARRNN_HOME/logs`, or in the platform's cache."""
    return _home("logs") or _platform_directory("cache") / "logs"


def temporary_directory() -> Path:
    """Return the system's directory for temporary files. Raises StorageError."""
    import tempfile  # takes 10 ms, and is rarely needed

    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise StorageError(
            "no directory for temporary files is writable",
            hint="set TMPDIR to a writable directory",
        ) from error


def make_directory(path: Path) -> Path:
    """Create one of our directories and its parents, for the user alone, and return it.

    A directory that exists stays as it is. Raises StorageError.
    """
    try:
        for parent in reversed(path.parents):
            if not os.path.isdir(parent):
                with contextlib.suppress(FileExistsError):  # another process was faster
                    parent.mkdir(PRIVATE)
        path.mkdir(PRIVATE, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {path}: {error.strerror}", hint=HOME_HINT) from error
    return path


def check_writable(path: Path) -> None:
    """Check that files can be created in a directory, or in the parent that it will be created in.

    Call this before long work, to fail early. Raises StorageError.
    """
    existing = path
    try:
        while not _exists(existing):
            existing = existing.parent
        with scratch_file(existing):
            pass
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror}", hint=HOME_HINT) from error


def check_working_directory() -> None:
    """Raise StorageError if the working directory was removed: torch then ends the process."""
    try:
        Path.cwd()
    except OSError as error:
        raise StorageError(
            "the working directory no longer exists", hint="change to another directory"
        ) from error


def free_bytes(path: Path) -> int:
    """Return the bytes that are free on the disk of a path, which need not exist yet.

    Raises StorageError.
    """
    existing = next(each for each in (path, *path.absolute().parents) if os.path.exists(each))
    try:
        return shutil.disk_usage(existing).free
    except OSError as error:
        raise StorageError(f"cannot read {existing}: {error.strerror}") from error


def path_to_uri(path: Path) -> str:
    """Return the absolute path as a `file:` URI, which is always plain ASCII."""
    return path.absolute().as_uri()


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` URI. Raises ValueError."""
    if not uri.startswith("file://"):
        raise ValueError(f"{uri!r} is not a file URI")
    from urllib.parse import unquote_to_bytes

    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))


def _home(name: str) -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    if not home:
        return None
    try:
        return Path(home).expanduser().absolute() / name
    except RuntimeError as error:
        raise ConfigError(
            f"{HOME_VARIABLE} is {home}, but {Path(home).parts[0]} has no home directory",
            hint=f"set {HOME_VARIABLE} to an absolute path",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{HOME_VARIABLE} is {home}, but the working directory no longer exists",
            hint=f"change to another directory, or set {HOME_VARIABLE} to an absolute path",
        ) from error


def _platform_directory(kind: str) -> Path:
    import platformdirs

    find = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    try:
        return find("charrnn", appauthor=False)
    except RuntimeError as error:  # a user without an entry in the system's list of users
        raise StorageError("this user has no home directory", hint=HOME_HINT) from error


def _exists(path: Path) -> bool:
    """Return whether a path exists. Raises OSError if that cannot be known."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True

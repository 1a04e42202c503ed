"""The directories of runs, encoded texts and logs."""

import os
import shutil
from pathlib import Path

from charrnn_cli.errors import StorageError

HOME_VARIABLE = "CHARRNN_HOME"


def runs_directory() -> Path:
    """Return the directory of runs: `$CHARRNN_HOME/runs`, or in the platform's data directory."""
    return _home("runs") or _platform_directory("data") / "runs"


def corpora_directory() -> Path:
    """Return the directory of encoded texts: `$CHARRNN_HOME/corpora`, or in the platform's cache.

    These files are a cache and may be deleted at any time.
    """
    return _home("corpora") or _platform_directory("cache") / "corpora"


def logs_directory() -> Path:
    """Return the directory of crash logs: `$CHARRNN_HOME/logs`, or in the platform's cache."""
    return _home("logs") or _platform_directory("cache") / "logs"


def make_directory(path: Path) -> Path:
    """Create a directory and its parents, and return it. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot create {path}: {error.strerror}",
            hint=f"set {HOME_VARIABLE} to a writable directory",
        ) from error
    return path


def free_bytes(path: Path) -> int:
    """Return the bytes that are free on the disk of a path, which need not exist yet.

    Raises StorageError.
    """
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
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
    return Path(home).expanduser().absolute() / name if home else None


def _platform_directory(kind: str) -> Path:
    import platformdirs

    find = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    return find("charrnn", appauthor=False)

"""Where runs and encoded texts live on this machine."""

import os
from pathlib import Path

from charrnn_cli.errors import StorageError

HOME_VARIABLE = "CHARRNN_HOME"


def runs_directory() -> Path:
    """Checkpoints: `$CHARRNN_HOME/runs`, or the platform's place for user data."""
    return _home("runs") or _platform_directory("data") / "runs"


def corpora_directory() -> Path:
    """Encoded texts, which can be made again: `$CHARRNN_HOME/corpora`, or the platform's cache."""
    return _home("corpora") or _platform_directory("cache") / "corpora"


def make_directory(path: Path) -> Path:
    """Create a directory and its parents. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot create {path}: {error.strerror}",
            hint=f"set {HOME_VARIABLE} to a directory you can write",
        ) from error
    return path


def _home(name: str) -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser().absolute() / name if home else None


def _platform_directory(kind: str) -> Path:
    import platformdirs

    find = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    return find("charrnn", appauthor=False)

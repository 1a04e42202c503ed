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


def logs_directory() -> Path:
    """What happened when something unexpected did: `$CHARRNN_HOME/logs`, or the platform's cache."""
    return _home("logs") or _platform_directory("cache") / "logs"


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


def path_to_uri(path: Path) -> str:
    """An absolute path as a `file:` URI: plain ASCII, whatever bytes the path is made of."""
    return path.absolute().as_uri()


def path_from_uri(uri: str) -> Path:
    """The inverse of `path_to_uri`. Raises ValueError."""
    if not uri.startswith("file://"):
        raise ValueError(f"{uri!r} is no file")
    quoted = uri.removeprefix("file://")
    if os.name == "nt":
        from urllib.request import url2pathname  # loads ssl and http, 15 ms of every command

        return Path(url2pathname(quoted))
    from urllib.parse import unquote_to_bytes

    return Path(os.fsdecode(unquote_to_bytes(quoted)))


def _home(name: str) -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser().absolute() / name if home else None


def _platform_directory(kind: str) -> Path:
    import platformdirs

    find = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    return find("charrnn", appauthor=False)

"""A directory of runs that cannot be read."""

from pathlib import Path

import pytest

from charrnn_cli.errors import StorageError
from charrnn_cli.storage.registry import Registry


def test_a_file_in_the_place_of_the_runs(home: Path) -> None:
    """Listing the runs and naming one is an error that names the directory and a way out."""
    home.mkdir()
    (home / "runs").touch()
    for read in (Registry().runs, lambda: Registry().run("tiny"), Registry().newest):
        with pytest.raises(StorageError) as caught:
            read()
        assert caught.value.message == f"cannot read {home}/runs: Not a directory"
        assert caught.value.hint == "set CHARRNN_HOME to a writable directory"

"""Paths as URIs."""

from pathlib import Path

import pytest

from charrnn_cli.storage.paths import path_from_uri, path_to_uri


def test_a_path_of_any_bytes_survives(tmp_path: Path) -> None:
    """A path becomes plain ASCII and back, also if it is not UTF-8 or has spaces and percent signs."""
    for name in (b"caf\xe9.txt", b"a b%20c#?.txt", "漢字.txt".encode()):
        path = tmp_path / name.decode("utf-8", "surrogateescape")
        assert path_to_uri(path).isascii()
        assert path_from_uri(path_to_uri(path)) == path
    with pytest.raises(ValueError, match=r"https://example\.org/x"):
        path_from_uri("https://example.org/x")

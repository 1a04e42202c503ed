"""The formats that checkpoints are exported to; the suffix of the file chooses one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.export.exported import Exported
from charrnn_cli.export.file_format import Format, by_suffix

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint


Render = Callable[["Checkpoint", bytes, Mapping[str, Any]], Exported]
"""From a verified checkpoint, the bytes of its file, and options by name."""


def _copy(_checkpoint: "Checkpoint", data: bytes, _options: Mapping[str, Any]) -> Exported:
    return Exported(data)


def _page(checkpoint: "Checkpoint", data: bytes, options: Mapping[str, Any]) -> Exported:
    from charrnn_cli.export.page import PageOptions, to_page

    return to_page(checkpoint, data, PageOptions(**options))


def _onnx(checkpoint: "Checkpoint", data: bytes, _options: Mapping[str, Any]) -> Exported:
    import hashlib

    from charrnn_cli.export.onnx_graph import to_onnx

    note = ""
    if checkpoint.ngrams is not None:
        note = (
            "this graph needs one more input, `ngram`, which charrnn.NgramReader computes;"
            " the graph of a model trained with --ngram 0 does not"
        )
    return Exported(to_onnx(checkpoint, hashlib.sha256(data).hexdigest()), note=note)


_FORMATS: list[Format[Render]] = [
    Format(
        name="safetensors",
        description="the checkpoint itself, byte for byte",
        options=frozenset(),
        use="charrnn sample {}",
        render=_copy,
    ),
    Format(
        name="html",
        description="a page that writes text in a browser, without a network",
        options=frozenset({"weights", "prime", "title"}),
        use="open {} in a browser",
        render=_page,
    ),
    Format(
        name="onnx",
        description="a graph for ONNX runtimes; requires the package onnx",
        options=frozenset(),
        use="run {} with onnxruntime",
        render=_onnx,
    ),
]
FORMATS = {each.name: each for each in _FORMATS}
DEFAULT = FORMATS["safetensors"]


def format_of(path: Path) -> Format[Render]:
    """Return the format of a file name; without a suffix, a checkpoint. Raises ConfigError."""
    return by_suffix(path, FORMATS, ", or add --format") if "." in path.name else DEFAULT

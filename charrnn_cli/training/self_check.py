"""Whether the engines agree and files can be read."""

import tempfile
from pathlib import Path

from charrnn_cli.config import Cell, ModelConfig
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import TensorSpec


def engine_difference(cell: Cell) -> float:
    """The largest difference between the logits of numpy and torch over 100 characters of a fresh model."""
    import torch

    from charrnn_cli.model.engine import Engine
    from charrnn_cli.training.network import CharRNN

    config = ModelConfig(vocabulary_size=50, cell=cell, layers=2, size=64, embed=16)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    ids_T = [(7 * position) % 50 for position in range(100)]
    with torch.no_grad():
        expected_TV = model(torch.tensor(ids_T)[:, None])[0][:, 0].numpy()
    engine = Engine(config, model.export())
    return max(
        float(abs(engine.step([index])[0] - expected_V).max())
        for index, expected_V in zip(ids_T, expected_TV, strict=True)
    )


def file_check() -> bool:
    """Whether the safetensors library reads what this program writes."""
    import numpy as np
    from safetensors.numpy import load_file

    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "check.safetensors"
        with write_tensors(path, "check", {"x": TensorSpec("F32", (2, 3))}, {}) as tensors:
            tensors.write(expected.tobytes())
        return bool((load_file(path)["x"] == expected).all())

"""Facts about this machine, and checks that the engines agree and files can be read."""

import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import CharrnnError
from charrnn_cli.storage import built_in
from charrnn_cli.storage.paths import (
    check_working_directory,
    corpora_directory,
    runs_directory,
)
from charrnn_cli.storage.references import choose
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import TensorSpec
from charrnn_cli.version import __version__

PACKAGES = ("torch", "numpy", "safetensors", "typer", "rich", "platformdirs")
TOLERANCE = 1e-4  # largest difference between the logits of the two engines


def check_machine() -> dict[str, Any]:
    """Collect versions, devices and directories, and run the checks; an object for JSON."""
    check_working_directory()
    import torch

    from charrnn_cli.training.device import available_devices

    devices = available_devices()
    products = {name: measure_products(name) for name in devices}
    directories = {"runs": runs_directory(), "corpora": corpora_directory()}
    return {
        "charrnn": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
        "precision_auto": {name: facts["precision"] for name, facts in products.items()},
        "gigaflops": {name: facts["gigaflops"] for name, facts in products.items()},
        "directories": {name: describe_directory(path) for name, path in directories.items()},
        "checks": {
            **{f"engines_{cell}": engine_difference(cell) for cell in get_args(Cell)},
            "file": file_check(),
            "built_in_model": built_in_check(),
        },
    }


def measure_products(device_name: str) -> dict[str, Any]:
    """Return the precision that `auto` means for the default model, and each one's GFLOP/s.

    On a CPU, one thread computes the products.
    """
    import torch

    from charrnn_cli.training.calibration import faster_precision
    from charrnn_cli.training.device import supports_bf16
    from charrnn_cli.training.products import step_products, time_products

    device, config = torch.device(device_name), TrainConfig()
    if not supports_bf16(device):
        return {"precision": "fp32", "gigaflops": {}}
    model = ModelConfig(vocabulary_size=100)
    times = time_products(step_products(model, config.batch_size, config.seq_len), device)
    gigaflops = {name: times.rate(getattr(times, name)) / 1e9 for name in ("fp32", "bf16")}
    return {"precision": faster_precision(times), "gigaflops": gigaflops}


def is_passed(result: float | bool) -> bool:
    """Return whether a check passed; its result is a bool, or a difference between engines."""
    return result if isinstance(result, bool) else result < TOLERANCE


def describe_directory(path: Path) -> dict[str, Any]:
    """Report whether a directory exists, and whether it can be written to or created."""
    existing = next(parent for parent in (path, *path.parents) if os.path.exists(parent))
    return {"path": str(path), "exists": existing == path, "writable": os.access(existing, os.W_OK)}


def engine_difference(cell: Cell) -> float:
    """Return the largest difference between numpy and torch logits for 100 characters."""
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


def built_in_check() -> bool:
    """Check that the built-in model has its digests."""
    from charrnn_cli.model.checkpoint import load_checkpoint

    try:
        load_checkpoint(choose(built_in.built_in_run(), "").path)
    except CharrnnError:
        return False
    return True


def file_check() -> bool:
    """Check that the safetensors library reads what this program writes."""
    import numpy as np
    from safetensors.numpy import load_file

    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "check.safetensors"
        with write_tensors(path, "check", {"x": TensorSpec("F32", (2, 3))}, {}) as tensors:
            tensors.write(expected.tobytes())
        return bool((load_file(path)["x"] == expected).all())

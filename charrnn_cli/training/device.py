"""torch devices: precision, threads, random generators and memory errors."""

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from charrnn_cli.errors import DeviceError, MemoryShortageError
from charrnn_cli.training.cores import available_cores

Float32 = Literal["ieee", "tf32"]
"""How float32 products are computed on NVIDIA GPUs: in float32, or with shorter fractions."""

MAX_MEMORY_FRACTION = 0.1  # of a device's free memory for a text; the rest is for the model


def available_devices() -> list[str]:
    """Return the devices that training can use, the best first."""
    devices = (
        [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def choose_device(name: str) -> torch.device:
    """Return the named device; `auto` is the best one. Raises DeviceError."""
    devices = available_devices()
    if name == "auto":
        return torch.device(devices[0])
    if name == "cuda" and "cuda:0" in devices:
        return torch.device("cuda:0")
    if name not in devices:
        raise DeviceError(
            f"no device {name!r} on this machine", hint=f"use --device {', '.join(devices)} or auto"
        )
    return torch.device(name)


def check_precision(name: str, device: torch.device) -> None:
    """Raise DeviceError for a precision that the device does not support."""
    if name != "bf16":
        return
    if device.type == "mps":
        raise DeviceError("bf16 is not supported on mps", hint="use --precision fp32")
    if device.type == "cpu" and not supports_bf16(device):
        raise DeviceError("bf16 is not supported by this CPU", hint="use --precision fp32")


def supports_bf16(device: torch.device) -> bool:
    """Return whether a device can train in bfloat16, however fast."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and computes_bf16_lstm()


@functools.cache
def computes_bf16_lstm() -> bool:
    """Return whether this CPU computes an LSTM in bfloat16, as it tries once.

    oneDNN has products in bfloat16 for every CPU, but LSTMs for those with AVX-512 alone.
    """
    lstm = nn.LSTM(1, 1, device="meta")  # draws no random numbers
    allocate(lstm)
    try:
        with torch.no_grad(), autocast(torch.device("cpu"), "bf16"):
            lstm(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def allocate(module: nn.Module) -> None:
    """Give a module that was made on the meta device memory on the CPU, without values.

    `to_empty` does so too, but imports sympy, which adds 0.5 s to every start.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            if parameter.is_meta:
                setattr(part, name, nn.Parameter(torch.empty(parameter.shape)))


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device.

    A copy to a GPU is queued: from memory that is not pinned, it would wait for all work before it.
    """
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Compute products in bfloat16 if that is the precision; weights and loss stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@contextlib.contextmanager
def float32_products(precision: Float32) -> Iterator[None]:
    """Compute float32 products on NVIDIA GPUs in float32 (`ieee`) or TF32 while the block runs.

    TF32 keeps 10 of the 23 bits of a fraction. torch allows it in recurrent layers by default, and
    a program that uses this package may allow it in all products. These settings are global, so
    they are restored. Both directions of a step have to be in the block.
    """
    # Not `allow_tf32`, which torch deprecates, and refuses to read after a change of one of these.
    # Both override torch's general settings. There are no convolutions, which have their own.
    # Any: type checkers do not see the attributes of torch's settings.
    products: tuple[Any, Any] = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)
    before = [each.fp32_precision for each in products]
    try:
        for each in products:
            each.fp32_precision = precision
        yield
    finally:
        for each, restored in zip(products, before, strict=True):
            each.fp32_precision = restored


def torch_generator(device: torch.device, words: list[int]) -> torch.Generator:
    """Return a generator on `device`, seeded with the words of `derive_seed`."""
    seed = int(np.random.PCG64(words).random_raw()) >> 1  # torch takes 63 bits
    return torch.Generator(device).manual_seed(seed)


def set_threads(threads: int) -> None:
    """Set torch's number of threads; more than cores would slow down the whole machine."""
    torch.set_num_threads(min(threads, available_cores()))


@contextlib.contextmanager
def restored_threads() -> Iterator[None]:
    """Restore torch's number of threads at the end of the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def translate_memory_errors(hint: str) -> Iterator[None]:
    """Turn torch's out-of-memory errors into MemoryShortageError with a hint."""
    try:
        yield
    except RuntimeError as error:  # the CPU's allocator has no exception of its own
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise MemoryShortageError(
                "the model and a batch do not fit into memory", hint=hint
            ) from error
        raise

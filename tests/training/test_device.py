"""Devices, precision and memory."""

import pytest
import torch

from charrnn_cli.errors import DeviceError, MemoryShortageError
from charrnn_cli.training.device import (
    available_devices,
    check_precision,
    choose_device,
    translate_memory_errors,
)


def test_the_cpu_is_always_there() -> None:
    """The CPU is the last device, `auto` the first, and an unknown name is an error."""
    assert available_devices()[-1] == "cpu"
    assert choose_device("cpu").type == "cpu"
    assert str(choose_device("auto")) == available_devices()[0]
    with pytest.raises(DeviceError) as caught:
        choose_device("toaster")
    assert caught.value.message == "no device 'toaster' on this machine"
    assert caught.value.hint == f"use --device {', '.join(available_devices())} or auto"


def test_precision() -> None:
    """Every precision is accepted on a CPU, and bf16 is refused on mps."""
    for name in ("auto", "fp32", "bf16"):
        check_precision(name, torch.device("cpu"))
    check_precision("auto", torch.device("mps"))
    with pytest.raises(DeviceError, match="mps"):
        check_precision("bf16", torch.device("mps"))


def test_short_memory_is_an_error_with_a_hint() -> None:
    """The CPU allocator's error becomes one with a hint; other errors pass unchanged."""
    with (
        pytest.raises(MemoryShortageError) as caught,
        translate_memory_errors("use a smaller --size"),
    ):
        torch.empty(2**58)
    assert caught.value.hint == "use a smaller --size"
    with pytest.raises(RuntimeError, match="size"), translate_memory_errors(""):
        torch.zeros(2) + torch.zeros(3)

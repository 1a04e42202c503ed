"""Devices, precision and memory."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from charrnn_cli.errors import DeviceError, MemoryShortageError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.device import (
    autocast,
    available_devices,
    check_precision,
    choose_device,
    computes_bf16_lstm,
    float32_products,
    supports_bf16,
    translate_memory_errors,
)
from charrnn_cli.training.evaluation import TorchPredictor, evaluate
from charrnn_cli.training.trainer import make_trainer
from charrnn_cli.training.windows import make_windows
from tests.helpers import make_checkpoint, tiny_decisions, tiny_job

SETTINGS: tuple[Any, Any] = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)
"""How GPUs compute float32: in products, and in recurrent layers."""


def precisions() -> list[str]:
    return [each.fp32_precision for each in SETTINGS]


@pytest.fixture
def tf32() -> Iterator[None]:
    """Allow TF32 in all products, as a program that uses this package may."""
    before = precisions()
    for each in SETTINGS:
        each.fp32_precision = "tf32"
    yield
    for each, precision in zip(SETTINGS, before, strict=True):
        each.fp32_precision = precision


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
    """`auto` and fp32 are accepted everywhere, and bf16 is refused on mps."""
    for name in ("auto", "fp32"):
        check_precision(name, torch.device("cpu"))
    check_precision("auto", torch.device("mps"))
    with pytest.raises(DeviceError, match="mps"):
        check_precision("bf16", torch.device("mps"))


def test_a_cpu_without_lstms_in_bf16_is_told_so() -> None:
    """bf16 is accepted exactly where this CPU computes a step in it; nothing random is drawn."""
    lstm, inputs = torch.nn.LSTM(8, 8), torch.ones(2, 3, 8)
    is_computed = True
    try:
        with autocast(torch.device("cpu"), "bf16"):
            lstm(inputs)[0].float().sum().backward()
    except RuntimeError:
        is_computed = False
    computes_bf16_lstm.cache_clear()
    before = torch.get_rng_state()
    assert supports_bf16(torch.device("cpu")) == is_computed
    assert torch.equal(torch.get_rng_state(), before)
    if is_computed:
        check_precision("bf16", torch.device("cpu"))
        return
    with pytest.raises(DeviceError) as caught:
        check_precision("bf16", torch.device("cpu"))
    assert caught.value.message == "bf16 is not supported by this CPU"
    assert caught.value.hint == "use --precision fp32"


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


@pytest.mark.usefixtures("tf32")
def test_training_and_losses_do_not_use_tf32(corpus: Corpus) -> None:
    """Steps in both directions and losses compute in float32, and restore the settings."""
    job = tiny_job(corpus, ngram=0)
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    trainer = make_trainer(job, tiny_decisions(), windows)
    seen: list[tuple[str, list[str]]] = []
    output = trainer.model.output
    output.register_forward_hook(lambda *_: seen.append(("forward", precisions())))
    output.weight.register_hook(  # type: ignore[no-untyped-call]
        lambda _: seen.append(("backward", precisions()))
    )
    assert trainer.update()
    evaluate(trainer.model, corpus, job.split.val, "fp32")
    assert seen == [(way, ["ieee", "ieee"]) for way in ("forward", "backward", "forward")]
    assert precisions() == ["tf32", "tf32"]


@pytest.mark.usefixtures("tf32")
def test_scores_do_not_use_tf32() -> None:
    """The losses of `score` are computed in float32, and the settings are restored."""
    predictor = TorchPredictor(make_checkpoint(), torch.device("cpu"))
    seen: list[list[str]] = []
    hook = register_module_forward_hook(lambda *_: seen.append(precisions()))
    with hook:
        predictor.start(1)
        predictor.losses(np.zeros((3, 1), np.int64), np.zeros((3, 1), np.int64))
    assert seen
    assert all(each == ["ieee", "ieee"] for each in seen)
    assert precisions() == ["tf32", "tf32"]


@pytest.mark.usefixtures("tf32")
def test_an_error_restores_the_settings_of_float32() -> None:
    """The settings are restored after an error, and blocks may be nested."""
    seen = []
    with contextlib.suppress(ZeroDivisionError), float32_products("ieee"), float32_products("ieee"):
        seen = precisions()
        _ = 1 / 0
    assert (seen, precisions()) == (["ieee", "ieee"], ["tf32", "tf32"])

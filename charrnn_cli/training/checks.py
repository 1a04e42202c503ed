"""Checks of a run's settings that need no training, and where possible no text."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError, DeviceError, UnknownCharacterError, UsageError
from charrnn_cli.model.reading import as_read, item_prime
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.cores import available_cores

_ACCELERATOR = re.compile(r"cuda(:[0-9]+)?|mps")


def check_machine(config: TrainConfig, settings: Mapping[str, Any]) -> None:
    """Check the device, its precision, and a chosen number of threads.

    Imports torch only for an accelerator. Raises ConfigError, DeviceError.
    """
    threads, cores = settings.get("threads"), available_cores()
    if threads is not None and threads > cores:
        raise ConfigError(
            f"threads must be at most {cores}, the number of CPU cores; got {threads}",
            hint=f"use --threads {cores}, or leave it out",
        )
    if config.device in ("auto", "cpu"):
        return
    if not _ACCELERATOR.fullmatch(config.device):
        raise DeviceError(
            f"{config.device!r} is not the name of a device",
            hint="use --device auto, cpu, cuda, cuda:1 or mps",
        )
    from charrnn_cli.training.device import check_precision, choose_device

    check_precision(config.precision, choose_device(config.device))


def check_prime(config: TrainConfig, options: TextOptions, vocab: Vocab, *, is_model: bool) -> None:
    """Check that a text, or with `is_model` a model, has all characters of the samples' prime.

    `options` are those with which the text was read. Raises UnknownCharacterError, and ConfigError
    for a prime that is not the beginning of an item.
    """
    known = f"the {len(vocab)} characters of the model" if is_model else "characters of the text"
    with new_hint(UnknownCharacterError, lambda: f"in --sample-prime, use only {known}"):
        read = item_prime if options.has_items else as_read
        vocab.encode(read(config.sample_prime or "", options, vocab))


def check_documents(settings: Mapping[str, Any], corpus: Corpus) -> None:
    """Check that there are documents to shuffle, if that is chosen. Raises ConfigError."""
    if settings.get("shuffle_documents") and corpus.num_documents == 1:
        raise ConfigError(
            f"--shuffle-documents requires several files, and {corpus.name!r} is one document",
            hint="leave out --shuffle-documents",
        )


@contextlib.contextmanager
def new_hint(kind: type[UsageError], hint: Callable[[], str]) -> Iterator[None]:
    """Give an error of this kind in this block a hint that fits the command.

    A hint that names --normalize stays: another form of the same characters needs no other cure.
    """
    try:
        yield
    except kind as error:
        if "--normalize" in (error.hint or ""):
            raise
        raise kind(error.message, hint=hint()) from None

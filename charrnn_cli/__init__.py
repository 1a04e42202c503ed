"""Character-level recurrent language models: train them on any text, and write new text with them.

    import charrnn_cli as charrnn

    corpus = charrnn.cached_corpus(Path("book.txt"))
    model = charrnn.ModelConfig(vocabulary_size=len(corpus.vocab), layers=2, size=512)
    run = charrnn.Registry().create_like("book")
    for event in charrnn.train(corpus, model, charrnn.TrainConfig(epochs=5), run=run):
        print(event)
    print("".join(charrnn.generate(charrnn.load_checkpoint("book"), "Once", length=500)))

Names are imported when they are first used, so that what needs no torch does not wait for it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from charrnn_cli.version import __version__

if TYPE_CHECKING:
    from charrnn_cli.checkpoint import Checkpoint, ResumeState, load_checkpoint, load_resume
    from charrnn_cli.config import ModelConfig, SampleConfig, TrainConfig, from_preset
    from charrnn_cli.corpus import Corpus
    from charrnn_cli.corpus_cache import cached_corpus
    from charrnn_cli.encoding import encode_text
    from charrnn_cli.errors import (
        AlreadyPublishedError,
        CharrnnError,
        ConfigError,
        DeviceError,
        DivergedError,
        FileFormatError,
        InterruptionError,
        MemoryShortageError,
        MismatchError,
        NotFoundError,
        RunBusyError,
        StorageError,
        TextError,
        UnknownCharacterError,
        UsageError,
    )
    from charrnn_cli.events import (
        CheckpointSaved,
        Diverged,
        Evaluated,
        MemoryShort,
        Sampled,
        SaveFailed,
        StepLogged,
        TrainEvent,
        TrainingFinished,
        TrainingStarted,
    )
    from charrnn_cli.inference import Engine
    from charrnn_cli.model import CharRNN
    from charrnn_cli.registry import Registry
    from charrnn_cli.runs import Run
    from charrnn_cli.sampling import Writer, generate
    from charrnn_cli.text import TextOptions
    from charrnn_cli.training import train
    from charrnn_cli.vocab import Vocab

_MODULES = {
    "checkpoint": ("Checkpoint", "ResumeState", "load_checkpoint", "load_resume"),
    "config": ("ModelConfig", "SampleConfig", "TrainConfig", "from_preset"),
    "corpus": ("Corpus",),
    "corpus_cache": ("cached_corpus",),
    "encoding": ("encode_text",),
    "errors": (
        "AlreadyPublishedError",
        "CharrnnError",
        "ConfigError",
        "DeviceError",
        "DivergedError",
        "FileFormatError",
        "InterruptionError",
        "MemoryShortageError",
        "MismatchError",
        "NotFoundError",
        "RunBusyError",
        "StorageError",
        "TextError",
        "UnknownCharacterError",
        "UsageError",
    ),
    "events": (
        "CheckpointSaved",
        "Diverged",
        "Evaluated",
        "MemoryShort",
        "Sampled",
        "SaveFailed",
        "StepLogged",
        "TrainEvent",
        "TrainingFinished",
        "TrainingStarted",
    ),
    "inference": ("Engine",),
    "model": ("CharRNN",),
    "registry": ("Registry",),
    "runs": ("Run",),
    "sampling": ("Writer", "generate"),
    "text": ("TextOptions",),
    "training": ("train",),
    "vocab": ("Vocab",),
}
_HOME_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

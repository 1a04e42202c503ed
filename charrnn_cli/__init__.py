"""Character-level recurrent language models: train them on any text, and generate new text.

    import charrnn_cli as charrnn

    job = charrnn.TrainingJob.new(Path("book.txt"), {"size": 512, "epochs": 5}, name="book")
    for event in charrnn.train(job):
        print(event)
    checkpoint = charrnn.load_checkpoint("book")
    print("".join(charrnn.generate(checkpoint, "Once", length=500, echo=True)))
    print(charrnn.score(checkpoint, "Once upon a time").bits_per_character)

Each name is imported when it is first used, so that code without torch does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from charrnn_cli.version import __version__

if TYPE_CHECKING:
    from charrnn_cli.architecture import ModelConfig
    from charrnn_cli.config import SampleConfig, TextOptions, TrainConfig
    from charrnn_cli.errors import (
        AlreadyPublishedError,
        CharrnnError,
        ConfigError,
        DamagedFileError,
        DeviceError,
        DiskFullError,
        DivergedError,
        FileFormatError,
        ForeignFileError,
        InterruptionError,
        MemoryShortageError,
        MismatchError,
        NewerFormatError,
        NotFoundError,
        RunBusyError,
        RunMovedError,
        StorageError,
        TextError,
        UnknownCharacterError,
        UsageError,
    )
    from charrnn_cli.events import (
        BatchSplit,
        BestTested,
        CheckpointRemoved,
        CheckpointSaved,
        Diverged,
        Evaluated,
        Replanned,
        Sampled,
        SaveFailed,
        SlowedDown,
        StepLogged,
        TrainEvent,
        TrainingFinished,
        TrainingStarted,
    )
    from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
    from charrnn_cli.model.engine import Engine
    from charrnn_cli.model.items import Item, generate_items
    from charrnn_cli.model.ngram_reader import NgramReader
    from charrnn_cli.model.sampling import Writer, generate
    from charrnn_cli.model.text_score import Score, score
    from charrnn_cli.storage.registry import Registry
    from charrnn_cli.storage.runs import Run
    from charrnn_cli.storage.source import Source
    from charrnn_cli.text.cache import cached_corpus
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.text.encoding import encode_text
    from charrnn_cli.text.vocab import Vocab
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.loop import train
    from charrnn_cli.training.network import CharRNN
    from charrnn_cli.training.presets import from_preset
    from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume

_MODULES = {
    "model.checkpoint": ("Checkpoint", "load_checkpoint"),
    "training.snapshot": ("TrainingSnapshot", "load_resume"),
    "architecture": ("ModelConfig",),
    "config": ("SampleConfig", "TextOptions", "TrainConfig"),
    "training.presets": ("from_preset",),
    "text.corpus": ("Corpus",),
    "text.cache": ("cached_corpus",),
    "text.encoding": ("encode_text",),
    "errors": (
        "AlreadyPublishedError",
        "CharrnnError",
        "ConfigError",
        "DamagedFileError",
        "DeviceError",
        "DiskFullError",
        "DivergedError",
        "FileFormatError",
        "ForeignFileError",
        "InterruptionError",
        "MemoryShortageError",
        "MismatchError",
        "NewerFormatError",
        "NotFoundError",
        "RunBusyError",
        "RunMovedError",
        "StorageError",
        "TextError",
        "UnknownCharacterError",
        "UsageError",
    ),
    "events": (
        "CheckpointRemoved",
        "CheckpointSaved",
        "Diverged",
        "Evaluated",
        "BatchSplit",
        "BestTested",
        "Replanned",
        "SlowedDown",
        "Sampled",
        "SaveFailed",
        "StepLogged",
        "TrainEvent",
        "TrainingFinished",
        "TrainingStarted",
    ),
    "model.engine": ("Engine",),
    "training.network": ("CharRNN",),
    "storage.registry": ("Registry",),
    "storage.runs": ("Run",),
    "model.items": ("Item", "generate_items"),
    "model.ngram_reader": ("NgramReader",),
    "model.sampling": ("Writer", "generate"),
    "model.text_score": ("Score", "score"),
    "storage.source": ("Source",),
    "training.job": ("TrainingJob",),
    "training.loop": ("train",),
    "text.vocab": ("Vocab",),
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

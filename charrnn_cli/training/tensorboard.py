"""A run's events as TensorBoard figures; TensorBoard is an optional dependency."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_cli.errors import ConfigError
from charrnn_cli.events import (
    BestTested,
    Evaluated,
    Sampled,
    StepLogged,
    TrainEvent,
    TrainingStarted,
)
from charrnn_cli.units import bits_per_character


def check_tensorboard() -> None:
    """Raise ConfigError if TensorBoard is not installed. Call before training starts."""
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("--tensorboard requires TensorBoard", hint="pip install tensorboard")


def log_to_tensorboard(events: Iterable[TrainEvent], directory: Path) -> Iterator[TrainEvent]:
    """Yield the events, and log their figures to a subdirectory named after the run."""
    from torch.utils.tensorboard import SummaryWriter

    writer: SummaryWriter | None = None
    try:
        for event in events:
            if isinstance(event, TrainingStarted):
                writer = SummaryWriter(str(directory / event.run))
            elif writer is not None:
                step = event.step
                for name, value in _figures(event).items():
                    writer.add_scalar(name, value, step)
                if isinstance(event, Sampled):
                    text = f"    {event.prime}{event.text}".replace("\n", "\n    ")
                    writer.add_text("sample", text, step)
            yield event
    finally:
        if writer is not None:
            writer.close()


def _figures(event: TrainEvent) -> dict[str, float]:
    match event:
        case StepLogged():
            return {
                "loss/running": event.running_loss,
                "speed/characters_per_second": event.chars_per_second,
                "learning_rate": event.learning_rate,
            }
        case Evaluated():
            return {
                "loss/val": event.val_loss,
                "loss/train": event.train_loss,
                "bits_per_character/val": bits_per_character(event.val_loss),
            }
        case BestTested():
            return {"loss/test": event.test_loss}
    return {}

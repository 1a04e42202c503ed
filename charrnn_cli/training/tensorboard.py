"""Events of a run for TensorBoard, which is an extra."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_cli.errors import ConfigError
from charrnn_cli.events import Evaluated, Sampled, StepLogged, TrainEvent
from charrnn_cli.units import bits_per_character


def check_tensorboard() -> None:
    """Raises ConfigError where it is not installed: before anything is trained."""
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("TensorBoard is not installed", hint="pip install 'charrnn[tensorboard]'")


def log_to_tensorboard(events: Iterable[TrainEvent], directory: Path) -> Iterator[TrainEvent]:
    """Pass events on, their figures written to `directory`."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(directory)) as writer:
        for event in events:
            step = getattr(event, "step", 0)
            for name, value in _figures(event).items():
                writer.add_scalar(name, value, step)
            if isinstance(event, Sampled):
                writer.add_text(
                    "sample", f"    {event.prime}{event.text}".replace("\n", "\n    "), step
                )
            yield event


def _figures(event: TrainEvent) -> dict[str, float]:
    match event:
        case StepLogged():
            return {
                "loss/train": event.train_loss,
                "speed/characters_per_second": event.chars_per_second,
                "learning_rate": event.learning_rate,
            }
        case Evaluated():
            return {
                "loss/val": event.val_loss,
                "loss/train_without_dropout": event.clean_train_loss,
                "bits_a_character/val": bits_per_character(event.val_loss),
            }
    return {}

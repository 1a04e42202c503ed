"""Options of a training run that are not settings of its model or recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.completion import (
    complete_preset,
    complete_reference,
    complete_resumable,
)
from charrnn_cli.cli.options.config_file import load_config
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.config import CHECKPOINTS, DISPLAY, MODEL, SYSTEM, VALIDATION
from charrnn_cli.training.presets import PRESETS


def _option(panel: str, *names: str, help: str, **settings: Any) -> Any:  # noqa: A002
    return typer.Option(*names, help=help, rich_help_panel=panel, **settings)


Preset = Annotated[
    str,
    _option(
        MODEL,
        help="Set of default values; other options override them.",
        metavar="|".join(PRESETS),
        autocompletion=complete_preset,
    ),
]
KeepProb = Annotated[float | None, _option(MODEL, help="Equivalent to --dropout 1-P.", metavar="P")]
RunName = Annotated[
    str | None,
    _option(
        CHECKPOINTS,
        help=with_default("Name of the run.", "from text and model"),
        metavar="NAME",
    ),
]
Resume = Annotated[
    str | None,
    _option(
        CHECKPOINTS,
        help="Run to resume; TEXT is then optional.",
        metavar="RUN|latest",
        autocompletion=complete_resumable,
    ),
]
ResumeIfExists = Annotated[
    bool,
    _option(
        CHECKPOINTS,
        "--resume-if-exists",
        help="Go on with the run that --run names, or start it.",
    ),
]
AllowNewData = Annotated[
    bool,
    _option(
        CHECKPOINTS,
        "--allow-new-data",
        help="Resume on a different text with the same vocabulary.",
    ),
]
InitFrom = Annotated[
    str | None,
    _option(
        CHECKPOINTS,
        help=with_default(
            "Start from a checkpoint's weights and vocabulary; none: from random weights.",
            "english for English prose",
        ),
        metavar="REF|none",
        autocompletion=complete_reference,
    ),
]
Seeds = Annotated[
    int | None,
    _option(
        SYSTEM,
        "--seeds",
        min=1,
        max=1000,
        help="Train N runs, with seeds 1 to N.",
        metavar="N",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None,
    _option(
        SYSTEM,
        "--config",
        help="Read options from a TOML file; command-line options override them.",
        metavar="FILE",
        is_eager=True,
        callback=load_config,
    ),
]
PrintConfig = Annotated[
    bool,
    _option(SYSTEM, "--print-config", help="Print the options as TOML for --config, and exit."),
]
DryRun = Annotated[
    bool, _option(SYSTEM, "--dry-run", help="Time a few steps, show the plan, and exit.")
]
TensorBoard = Annotated[
    Path | None,
    _option(
        DISPLAY,
        "--tensorboard",
        help="Directory for TensorBoard logs; requires the tensorboard package.",
        metavar="DIR",
    ),
]
Quiet = Annotated[
    bool,
    _option(DISPLAY, "--quiet", "-q", help="Print only the reference of the best checkpoint."),
]
AsJson = Annotated[bool, _option(DISPLAY, "--json", help="Print events as JSON Lines.")]
Val = Annotated[
    Path | None,
    _option(
        VALIDATION,
        "--val",
        help="Validation text, instead of a part of TEXT.",
        metavar="FILE",
        show_default=False,
    ),
]
Test = Annotated[
    Path | None,
    _option(
        VALIDATION,
        "--test",
        help="Text to score with the best checkpoint at the end.",
        metavar="FILE",
        show_default=False,
    ),
]

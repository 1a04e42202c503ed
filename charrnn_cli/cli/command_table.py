"""The table of commands, which imports none of them."""

COMMANDS: dict[str, tuple[str, str]] = {
    "encode": (
        "encode.encode",
        "Encode a text as integers and a vocabulary.",
    ),
    "train": ("train.train", "Train a model on a text, or resume a run."),
    "tune": (
        "tune.tune",
        "Search for the settings with the lowest validation loss, in a budget of time.",
    ),
    "sample": ("sample.sample", "Generate text with a trained model."),
    "score": (
        "score.score",
        "Measure how well models predict a text, in bits per character.",
    ),
    "inspect": (
        "inspect.inspect",
        "Show where a model's bits go, and which units follow features of a text.",
    ),
    "checkpoints": ("", "List, show, copy, verify and delete checkpoints."),
    "demo": (
        "demo.demo",
        "Train a small model on a bundled book for about a minute, then print a sample.",
    ),
    "doctor": (
        "doctor.doctor",
        "Show versions, devices and directories, and check the installation.",
    ),
}
"""Module and function of each command, and the first line of its docstring.

The line is repeated here so that `charrnn --help` does not import the commands.
"""

CHECKPOINT_COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("checkpoints.list_checkpoints", "List runs, or the checkpoints of one run."),
    "list": ("checkpoints.list_checkpoints", "List runs, or the checkpoints of one run."),
    "show": (
        "checkpoints_show.show",
        "Show a checkpoint's configuration, data, losses and training command.",
    ),
    "compare": (
        "checkpoints_compare.compare",
        "Compare runs: validation losses with their noise, time, copying, settings.",
    ),
    "path": ("checkpoints.path", "Print the absolute path of a checkpoint file."),
    "rm": (
        "checkpoints_delete.remove",
        "Delete checkpoints or whole runs, after confirmation.",
    ),
    "prune": (
        "checkpoints_delete.prune",
        "Delete a run's older checkpoints, but never the best or the latest.",
    ),
    "export": (
        "checkpoints_export.export",
        "Verify a checkpoint and export it to a single file.",
    ),
    "report": (
        "checkpoints_report.report",
        "Write a page about training runs: losses, samples of every stage, settings.",
    ),
    "import": (
        "checkpoints_transfer.import_file",
        "Verify an exported checkpoint and copy it into a new run.",
    ),
    "verify": (
        "checkpoints_transfer.verify",
        "Verify the digests, shapes and numbers in checkpoint files.",
    ),
}
HIDDEN = ("ls",)

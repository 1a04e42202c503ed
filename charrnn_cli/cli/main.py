"""The program: its commands, and the one place that turns errors into text and an exit code."""

import os
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption

from charrnn_cli.cli.commands import checkpoints, demo, doctor, encode, sample, score, train
from charrnn_cli.cli.options.help_style import help_style
from charrnn_cli.cli.terminal import console
from charrnn_cli.errors import CharrnnError, InterruptionError, UsageError
from charrnn_cli.storage.paths import logs_directory, make_directory
from charrnn_cli.version import __version__

app = typer.Typer(
    rich_markup_mode=help_style(),
    name="charrnn",
    help="Train character-level recurrent language models on any text, and write new text with them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: charrnn demo",
)
app.command("encode")(encode.encode)
app.command("train")(train.train)
app.command("sample")(sample.sample)
app.command("score")(score.score)
app.add_typer(checkpoints.app, name="checkpoints")
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


@dataclass(slots=True)
class _Settings:
    debug: bool = False
    command: str = ""


def _show_version(asked: bool) -> None:
    if asked:
        console.write_line(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something fails.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    context.obj.debug = debug
    context.obj.command = context.invoked_subcommand


def main() -> None:
    """Run the command that `sys.argv` names, and leave with its exit code."""
    console.open_closed_streams()
    settings = _Settings()
    try:
        code = app(prog_name="charrnn", standalone_mode=False, obj=settings)
        console.write("")  # a full disk shows at the latest flush
    except CharrnnError as error:
        if settings.debug:
            traceback.print_exc()
        code = error.exit_code
        _print_error(error, settings.command)
    except NoArgsIsHelpError as error:
        code = error.exit_code
        sys.stderr.write(error.format_message() + "\n")
    except ClickException as error:
        code = error.exit_code
        _print_usage_error(error, settings.command)
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:
        if settings.debug:
            raise
        code = 1
        _print_unexpected(error)
    sys.exit(code or 0)


def _print_unexpected(error: Exception) -> None:
    """A mistake of this program's: a line, and the whole story in a file to send."""
    hint = "--debug shows where"
    try:
        log = (
            make_directory(logs_directory()) / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        )
        words = " ".join(sys.argv[1:])
        story = f"charrnn {__version__} {words}\n\n{''.join(traceback.format_exception(error))}"
        log.write_text(story, "utf-8", "backslashreplace")
        hint = f"please report it with {log}"
    except (OSError, CharrnnError):
        pass  # the line alone, then
    console.print_error(f"something unexpected happened: {type(error).__name__}: {error}", hint)


def _print_error(error: CharrnnError, command: str) -> None:
    match error:
        case console.ReaderGoneError():
            pass
        case InterruptionError():
            console.say("stopped", error.message)
            if error.hint:
                console.say("next", error.hint)
        case UsageError(hint=None):
            console.print_error(error.message, f"`charrnn {command} --help` lists the options")
        case _:
            console.print_error(error.message, error.hint)


def _print_usage_error(error: ClickException, typed: str) -> None:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else f"charrnn {typed}".strip()
    message = error.message if isinstance(error, NoSuchOption) else error.format_message()
    hint = f"`{command} --help` shows how it is used"
    if isinstance(error, NoSuchOption) and error.possibilities:
        hint = f"did you mean {' or '.join(sorted(error.possibilities))}?"
    if isinstance(error, NoSuchOption) and error.option_name in ("--debug", "--version"):
        hint = f"it stands before the command: charrnn {error.option_name} {typed}"
    if message:
        console.print_error(message[0].lower() + message[1:].rstrip("."), hint)

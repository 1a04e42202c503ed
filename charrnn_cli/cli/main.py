"""The program: the table of commands, and the only place that turns errors into exit codes."""

import importlib
import sys
import traceback
from typing import Annotated, Any, ClassVar

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.core import TyperCommand, TyperGroup

from charrnn_cli.cli.command_table import CHECKPOINT_COMMANDS, COMMANDS, HIDDEN
from charrnn_cli.cli.options.empty_values import check_empty_values
from charrnn_cli.cli.options.help_style import help_style
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.error_output import print_error, print_stop
from charrnn_cli.cli.usage_errors import described_usage_error, unknown_command
from charrnn_cli.errors import CharrnnError, InterruptionError, UsageError
from charrnn_cli.training.launch import Launch
from charrnn_cli.version import __version__

_SHOWN = {name: f"charrnn checkpoints {name}" for name in CHECKPOINT_COMMANDS if name not in HIDDEN}
GLOBAL_OPTIONS = ("--debug", "--version", "--help", "-h")


class LazyCommand(TyperCommand):
    """A command's name and first line of help; its module is imported when the command is used."""

    def __init__(self, name: str, place: str, line: str, **settings: Any) -> None:
        super().__init__(name, help=line, short_help=line, hidden=name in HIDDEN, **settings)
        self.place = place

    def load(self) -> Any:
        """Import the command."""
        module, _, function = self.place.rpartition(".")
        home = importlib.import_module(f"charrnn_cli.cli.commands.{module}")
        single = typer.Typer(rich_markup_mode=self.rich_markup_mode, add_completion=False)
        single.command(self.name, cls=_Command)(getattr(home, function))
        return typer.main.get_command(single)

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """Parse the arguments with the loaded command, so that the context runs it."""
        command = self.load()
        own = (name for each in command.params for name in (*each.opts, *each.secondary_opts))
        _Typed.options = {*GLOBAL_OPTIONS, *own}
        return command.make_context(*arguments, **settings)


class _Command(TyperCommand):
    """A command that refuses empty values before it reads or converts any value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises ConfigError for an empty value."""
        if not ctx.resilient_parsing:  # shell completion
            values, _, _ = self.make_parser(ctx).parse_args(list(args))
            if not values.get("help"):
                check_empty_values(self.params, values)
        return super().parse_args(ctx, args)


class _Group(TyperGroup):
    """A group of the commands in a table, in the table's order."""

    table: ClassVar[dict[str, tuple[str, str]]]
    meant: ClassVar[dict[str, str]]
    """The words that a misspelt command may stand for, and the commands that they name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        groups, style = dict(self.commands), self.rich_markup_mode
        self.commands = {
            name: groups.get(name) or LazyCommand(name, place, line, rich_markup_mode=style)
            for name, (place, line) in self.table.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that was typed. Raises ConfigError if there is none."""
        if args and not ctx.resilient_parsing and args[0] not in self.commands:
            raise unknown_command(args[0], self.meant, ctx.command_path)
        return super().resolve_command(ctx, args)


class _Checkpoints(_Group):
    table = CHECKPOINT_COMMANDS
    meant = _SHOWN


class _Program(_Group):
    table = COMMANDS
    meant = _SHOWN | {"ls": _SHOWN["list"]} | {name: f"charrnn {name}" for name in COMMANDS}


app = typer.Typer(
    cls=_Program,
    rich_markup_mode=help_style(),
    name="charrnn",
    help="Train character-level recurrent language models on any text, and generate new text.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: charrnn demo",
)


def _name_subcommand(context: typer.Context) -> None:
    context.obj.command = f"checkpoints {context.invoked_subcommand}"


app.add_typer(
    typer.Typer(
        cls=_Checkpoints,
        help=COMMANDS["checkpoints"][1],
        no_args_is_help=True,
        callback=_name_subcommand,
    ),
    name="checkpoints",
)


class _Typed:
    """Whether --debug was typed, the command's name, and the names of the options it has.

    In one of several processes, `launched` is its `cli.launched.Launched`.
    """

    launched: Any = None
    debug = False
    command = ""
    options: ClassVar[set[str]] = {*GLOBAL_OPTIONS}


def _show_version(context: typer.Context, asked: bool) -> None:
    if asked:
        if context.obj.launched is None or context.obj.launched.launch.is_first:
            console.write_line(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    context.obj.debug = debug
    context.obj.command = context.invoked_subcommand
    launched = context.obj.launched
    if launched is not None:
        launched.join(context.invoked_subcommand)
        if not launched.launch.is_first:
            raise typer.Exit(launched.follow())


def main() -> None:
    """Run the command in `sys.argv` and exit with its code."""
    typed, error = _Typed(), None
    code: Any = 1
    try:
        launch = Launch.of()
        if launch is not None:
            from charrnn_cli.cli.launched import Launched

            typed.launched = Launched(launch)
        code = _run(typed)
    except Exception as raised:
        error, code = raised, _exit_code(raised)
        if typed.launched is None or typed.launched.prints(raised):
            _print(raised, typed)
    except KeyboardInterrupt:
        code = 130
    if typed.launched is not None:
        typed.launched.leave(code or 0, error)
    sys.exit(code or 0)


def _exit_code(error: Exception) -> int:
    if isinstance(error, CharrnnError | ClickException):
        return error.exit_code
    return 130 if isinstance(error, typer.Abort) else 1


def _print(error: Exception, typed: _Typed) -> None:
    """Print one line about an error, and with --debug the traceback."""
    code = _exit_code(error)
    match error:
        case NoArgsIsHelpError():
            console.write_error(error.format_message() + "\n")
        case ClickException():
            message, hint = described_usage_error(error, typed.command)
            if message:
                print_error(message, hint, code)
        case typer.Abort():
            pass
        case _:
            if typed.debug:
                console.print_traceback(error)
            if isinstance(error, CharrnnError):
                _print_error(error, typed.command)
            elif not typed.debug:
                _print_unexpected(error)


def _run(typed: _Typed) -> Any:
    """Run the command and return its exit code. Raises the errors of standard output too."""
    try:
        code = app(prog_name="charrnn", standalone_mode=False, obj=typed)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer's exit when help is cut short
            raise console.ReaderGoneError("standard output was closed") from end
        raise
    except OSError:
        console.write("")  # help failed to be written? Then this fails too, with an error
        raise
    console.write("")  # flush, because a full disk may be noticed only now
    return code


def _print_unexpected(error: Exception) -> None:
    """Print one line about an internal error, and write a log for a bug report."""
    from charrnn_cli.cli.crash_log import write_crash_log

    if "--install-completion" in sys.argv[1:] and isinstance(error, OSError | RuntimeError):
        # Typer writes these files; RuntimeError: there is no home directory.
        hint = "set HOME to a writable directory, or use `charrnn --show-completion`"
        print_error(f"cannot install the completion: {error}", hint, 1)
        return
    log = write_crash_log(error, {*COMMANDS, *CHECKPOINT_COMMANDS, *_Typed.options})
    hint = "run the command again with `charrnn --debug` to see the traceback"
    if log is not None:
        hint = f"report this problem and attach {log}"
    line = traceback.format_exception_only(error)[-1].strip()
    print_error(f"internal error: {line}", hint, 1)


def _print_error(error: CharrnnError, command: str) -> None:
    match error:
        case console.ReaderGoneError():
            pass
        case InterruptionError():
            print_stop(error.message, error.hint, error.exit_code)
        case UsageError(hint=None):
            print_error(error.message, f"run `charrnn {command} --help` for usage", error.exit_code)
        case _:
            examples = [each for each in error.examples if each.name in _Typed.options]
            print_error(error.message, error.hint, error.exit_code, examples)

"""The program: its commands by name, and how errors become one line and an exit status.

Each command is a file of this package, which is imported when its name is given, and imports what it needs when it
runs.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typing_extensions import override

from imagestore_sim import __version__
from imagestore_sim.cli.exits import FAILURE, SUCCESS, UNUSABLE_INPUT, InputError, print_error
from imagestore_sim.cli.help_page import HelpfulGroup
from imagestore_sim.cli.prompts import PromptingCommand
from imagestore_sim.cli.quick_imports import quick_imports
from imagestore_sim.cli.rules import source_of
from imagestore_sim.cli.shell_completion import complete_shell

NAMES = (
    "lab",
    "serve",
    "host",
    "chaos",
    "probe",
    "ready",
    "load",
    "replay",
    "explore",
    "record",
    "compare",
    "openapi",
    "schema",
    "compose-file",
)
"""Every command, in the order of --help."""
Command = Callable[..., int]
"""Takes options and returns the exit status."""
PORT_VARIABLE = "IMAGESTORE_SIM_PORT"
OF_PATHS = (errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
"""Errors of a path that was named, which even a question for its existence raises."""
NO_THREAD = "can't start new thread"
"""The text of Python's RuntimeError where the system allows no thread more."""
NUMBERS: Mapping[str, str] = {"int": "a whole number", "float": "a number"}
"""What the values of some options are."""
UsageProblem: type[Exception] = typer.BadParameter.__mro__[2]
"""What the parser of options raises; its module depends on the version of Typer."""


class Commands(HelpfulGroup):
    """Runs a command, and prints invalid options and input on one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command that the arguments name. With `standalone_mode`, exit the process with its status."""
        _forget_port_of_a_service()
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except Exception as error:
            if not standalone_mode or (failed := _status_of(error)) is None:
                raise
            raise SystemExit(failed) from None
        if standalone_mode:
            raise SystemExit(status if isinstance(status, int) else SUCCESS)
        return status

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments. Raise InputError for a shell whose completion cannot be installed or shown."""
        if not ctx.resilient_parsing:  # else the shell completes a line
            complete_shell(ctx, args)
        return super().parse_args(ctx, args)


def _forget_port_of_a_service() -> None:
    """Remove IMAGESTORE_SIM_PORT where it is a URL.

    Kubernetes, and Docker for its links, set it to `tcp://ADDRESS:PORT` beside a service called `imagestore-sim`.
    """
    if os.environ.get(PORT_VARIABLE, "").startswith(("tcp://", "udp://")):
        del os.environ[PORT_VARIABLE]


def _status_of(error: Exception) -> int | None:
    """Print one line about an error, and return the exit status; None for an error that is a bug."""
    match error:
        case InputError():
            print_error(str(error))
        case UsageProblem() if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)  # type: ignore[attr-defined]  # the page of --help
        case typer.BadParameter() if error.ctx is not None and error.param is not None:
            context: Any = error.ctx  # its class depends on the version of Typer
            source = source_of(context, error.param.name)
            print_error(f"{source} is required" if _is_missing(error) else f"{source}: {_expected(error)}")
        case UsageProblem():
            print_error(error.format_message())  # type: ignore[attr-defined]
        case typer.Abort():
            print_error("aborted")
            return FAILURE
        case OSError() if _is_of_the_machine(error):
            print_error(f"cannot go on: {error.filename or 'output or a file'}: {error.strerror}")
        case RuntimeError() if str(error) == NO_THREAD:
            print_error("no thread can be started; raise the limit of processes (ulimit -u) or of memory (ulimit -v)")
        case MemoryError():
            print_error("there is not enough memory; raise the limit (ulimit -v)")
        case _:
            return None
    return UNUSABLE_INPUT


def _is_missing(error: typer.BadParameter) -> bool:
    """Return whether an argument or option was not given. The module of that error depends on the version of Typer."""
    return type(error).__name__ == "MissingParameter"


def _expected(error: typer.BadParameter) -> str:
    """Return what a value has to be, and what it is."""
    problem: Any = error.__cause__  # pydantic's ValidationError, from versions of Typer that use it
    if getattr(problem, "title", None) not in NUMBERS:
        return error.message
    return f"expected {NUMBERS[problem.title]}, but got {problem.errors()[0]['input']!r}"


def _is_of_the_machine(error: OSError) -> bool:
    """Return whether the machine is the reason: too few files, no room for them, a path that leads nowhere."""
    if error.filename is not None and error.errno in OF_PATHS:
        return True
    no_folder = isinstance(error, FileNotFoundError) and str(error.strerror).startswith("No usable temporary directory")
    return no_folder or error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EFBIG, errno.EROFS)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"imagestore-sim {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Emulate ZStack's management node for ImageStore backup storages. Each command has its own --help.

    Examples:
        a management node with three simulated hosts, on http://127.0.0.1:8080
        imagestore-sim lab
        a story of a failure, in virtual time
        imagestore-sim replay disk-fills-up
        completion for your shell, or for one that is named after it, such as fish
        imagestore-sim --install-completion
    """


def command_of(name: str) -> Command:
    """Return the function of a command: it has the name of its file."""
    function = name.replace("-", "_")
    found: Command = getattr(import_module(f"imagestore_sim.cli.{function}"), function)
    return found


def new_app(commands: Iterable[Command]) -> typer.Typer:
    """Return the application with some commands.

    Its pages of help are plain text: Rich alone would take as long as all else.
    """
    made = typer.Typer(
        cls=Commands,
        name="imagestore-sim",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(root)
    for command in commands:
        made.command(cls=PromptingCommand)(command)
    return made


def main() -> None:
    """Run the console script."""
    gc.disable()  # looking for garbage among thousands of new modules and classes took a quarter of the start
    # A user of this program cannot mend an old cipher of a host by a line of Python.
    warnings.filterwarnings("ignore", module=r"asyncssh\b")
    named = [name for name in NAMES if name in sys.argv[1:2]]
    with quick_imports():
        commands = [command_of(name) for name in named or NAMES]
    try:
        new_app(commands)()  # reading the options of one command is faster than those of all
    finally:
        gc.disable()
        gc.freeze()  # Python would look for garbage three times more as it ends, which took half of a large node's stop

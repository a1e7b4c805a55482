"""`--install-completion` and `--show-completion`, for the shell that runs or one that is named.

Typer's own options take no name: one after them would be ignored, and the files of another shell be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from subprocess import SubprocessError
from typing import Any

from imagestore_sim.cli.exits import InputError

INSTALL, SHOW = "--install-completion", "--show-completion"
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def complete_shell(context: Any, args: Sequence[str]) -> None:
    """Do what a command line asks for that begins with INSTALL or SHOW, and exit. Return if it begins otherwise.

    Raise InputError for an unknown shell, and where the files of the shell cannot be written.
    """
    option, _, named = (args[0] if args else "").partition("=")
    if option not in (INSTALL, SHOW):
        return
    names = [*([named] if named else []), *args[1:]]
    if len(names) > 1:
        raise InputError(f"{option}: expected one shell, but got {' '.join(names)}")
    shell = names[0] if names else _shell_that_runs()
    if shell not in SHELLS:
        problem = f"{shell} is not one that can be completed for" if shell else "cannot tell which shell this is"
        raise InputError(f"{option}: {problem}; name one of {', '.join(SHELLS)}")
    [parameter] = [one for one in context.command.params if option in one.opts]
    try:
        parameter.callback(context, parameter, shell)  # which exits
    except OSError as error:
        if error.filename is None:  # the output, which is no matter of the shell
            raise
        raise InputError(f"{option}: {error.filename}: {error.strerror}") from None
    except (SubprocessError, RuntimeError, UnicodeError) as error:  # of PowerShell, of no home, of a file of the shell
        raise InputError(f"{option}: {error}") from None


def _shell_that_runs() -> str | None:
    """Return the name of the shell that runs this program; None if that cannot be found out."""
    try:
        found: tuple[str, str] = import_module("shellingham").detect_shell()
    except (ImportError, OSError):
        return None
    return found[0]

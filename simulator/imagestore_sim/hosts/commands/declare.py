"""How commands of simulated hosts are declared, and what GNU programs have in common."""

from __future__ import annotations

import getopt
from collections.abc import Awaitable, Callable, Mapping

from imagestore_sim.hosts.shell import Call, Command

COMMANDS: dict[str, Command] = {}
"""The commands of a host by default, by name."""

Run = Callable[[Call], Awaitable[int]]


def command(*names: str, builtin: bool = False) -> Callable[[Run], Run]:
    """Declare a command under its names; a `builtin` only the shell itself can run."""

    def declare(run: Run) -> Run:
        COMMANDS.update(dict.fromkeys(names, Command(run, builtin)))
        return run

    return declare


def without(*names: str) -> Mapping[str, Command]:
    """Return all commands but these, for hosts on which they are missing."""
    return {name: one for name, one in COMMANDS.items() if name not in names}


class Usage(Exception):
    """A usage error; the text is that of GNU's programs."""


def options_of(call: Call, short: str, long: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    """Parse options as GNU's getopt does: return their values by letter or long name, and the operands. Raise Usage."""
    try:
        found, operands = getopt.gnu_getopt(call.arguments, short, long)
    except getopt.GetoptError as error:
        if len(error.opt) > 1:
            raise Usage(f"unrecognized option '--{error.opt}'") from error
        needs = "requires" in error.msg
        text = f"option requires an argument -- '{error.opt}'" if needs else f"invalid option -- '{error.opt}'"
        raise Usage(text) from error
    return {name.lstrip("-"): value for name, value in found}, operands


def program(*names: str, trouble: int = 1) -> Callable[[Run], Run]:
    """Declare a GNU program: a usage error prints two lines, and exits with status `trouble`."""

    def declare(run: Run) -> Run:
        async def explained(call: Call) -> int:
            try:
                return await run(call)
            except Usage as usage:
                call.fail(str(usage), trouble)
                call.streams.complain(f"Try '{call.name} --help' for more information.\n")
                return trouble

        return command(*names)(explained)

    return declare


def reason(error: OSError) -> str:
    """Return the text of an error without its number and path, as strerror(3) has it."""
    return error.strerror or str(error)


def each(call: Call, paths: list[str], change: Callable[[str], None], complaint: str) -> int:
    """Call `change` for every path, also after one that fails; return the exit status. Raise Usage without a path."""
    if not paths:
        raise Usage("missing operand")
    status = 0
    for path in paths:
        try:
            change(call.path(path))
        except OSError as error:
            status = call.fail(f"{complaint} '{path}': {reason(error)}")
    return status

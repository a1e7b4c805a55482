"""How commands of simulated hosts are declared, and what those of GNU have in common."""

from __future__ import annotations

import getopt
from collections.abc import Awaitable, Callable, Mapping

from imagestore_sim.hosts.shell import Call, Command

COMMANDS: dict[str, Command] = {}
"""What a host can run when it is not told otherwise."""

Run = Callable[[Call], Awaitable[int]]


def command(*names: str, builtin: bool = False) -> Callable[[Run], Run]:
    """Declare a command under its names; one that is `builtin` no other program can run."""

    def declare(run: Run) -> Run:
        COMMANDS.update(dict.fromkeys(names, Command(run, builtin)))
        return run

    return declare


def without(*names: str) -> Mapping[str, Command]:
    """All commands but these, for hosts on which they are missing."""
    return {name: one for name, one in COMMANDS.items() if name not in names}


class Usage(Exception):
    """Options that a command does not understand; the text is GNU's."""


def options_of(call: Call, short: str, long: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    """Options by letter (or long name) and operands, as GNU's getopt finds them; raises Usage."""
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
    """Declare a program of GNU's, which explains itself when it is used wrongly, with exit status `trouble`."""

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
    return error.strerror or str(error)


def each(call: Call, paths: list[str], change: Callable[[str], None], complaint: str) -> int:
    """Do something to every path, and go on where it fails; raises Usage without a path."""
    if not paths:
        raise Usage("missing operand")
    status = 0
    for path in paths:
        try:
            change(call.path(path))
        except OSError as error:
            status = call.fail(f"{complaint} '{path}': {reason(error)}")
    return status

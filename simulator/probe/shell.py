"""Commands on a host's shell whose answer can be told from whatever else login shells print.

What is sent is `env LC_ALL=C sh -c SCRIPT sh URL`; what comes back on standard output is, amid any noise,

    __BEGIN__
    (what the command printed)
    __END__ rc=(its exit status) directory=(0 when the url is a directory, 2 when it is something else, 1 without it)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from simulator.probe.capacity import Space
from simulator.probe.connections import Connection
from simulator.probe.failures import Failed, NoSize, NotMounted, Reason, Unsupported, excerpt
from simulator.probe.target import FOLDERS, Layout, Request

# `timeout` is tried out first: it may be missing, or too old for -k. A command that it ended (124, or 128 and a signal)
# or that could not be run (126, 127) leaves nothing to ask the path.
_SCRIPT = (
    't="timeout -k 1 {seconds}"; $t true >/dev/null 2>&1 || t=; echo __BEGIN__; {{ {command}; }} 2>&1; rc=$?; '
    'd=1; test $rc -ge 124 || {{ test -d "$1" && d=0; }} || {{ test -e "$1" && d=2; }}; '
    'echo "__END__ rc=$rc directory=$d"'
)
_ANSWER = re.compile(r"__BEGIN__\r?\n(?P<output>.*)__END__ rc=(?P<status>\d+) directory=(?P<directory>\d+)", re.DOTALL)
_NOT_RUN = (126, 127)
_ENDED_BY_TIMEOUT = (124, 137, 143)

_CREATE = {
    Layout.CREATE: "$t mkdir -p -- " + " ".join(f'"$1/{folder}"' for folder in FOLDERS),
    Layout.FOLDER: '$t mkdir -p -- "$1"',
}
_REQUIRE = " || ".join(f'$t test -d "$1/{folder}"' for folder in FOLDERS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, its exit status, and whether the url is a directory, or something else (a file)."""

    output: str
    status: int
    directory: bool
    file: bool = False


def script(command: str, url: str, seconds: int) -> str:
    """The command line for `command`, in which `"$1"` is the url and `$t` runs a program for `seconds` at most."""
    return f"env LC_ALL=C sh -c {shlex.quote(_SCRIPT.format(command=command, seconds=seconds))} sh {shlex.quote(url)}"


def parse(said: str) -> Answer | None:
    """The answer in all that a host said; None when there is none."""
    found = _ANSWER.search(said)
    if found is None:
        return None
    return Answer(found["output"], int(found["status"]), found["directory"] == "0", found["directory"] == "2")


async def measure(connection: Connection, request: Request, command: str, read: Callable[[str], Space]) -> Space:
    """See to the layout and read the capacity from what `command` prints; raises as `ask` does."""
    if request.layout in _CREATE:
        await _create(connection, request)
    answer = await ask(connection, request, command)
    if not answer.directory:
        raise _unusable(answer, request.url)
    try:
        space = read(answer.output)
    except Failed as error:
        raise _unusable(answer, request.url) if answer.status != 0 else error from None
    if not space.total:
        raise NoSize(request.url)
    if request.layout is Layout.REQUIRE and (await ask(connection, request, _REQUIRE)).status != 0:
        raise NotMounted(request.url)
    return space


async def ask(connection: Connection, request: Request, command: str) -> Answer:
    """Run `command`; raises Unsupported when it is not there, Failed, asyncssh.Error, OSError."""
    line = script(command, request.url, request.seconds)
    said, exit_status = await connection.run(line, _ANSWER, request.phases)
    answer = parse(said)
    status = exit_status if answer is None else answer.status
    if status in _NOT_RUN:
        raise Unsupported(f"command not found ({excerpt(said if answer is None else answer.output)})")
    if answer is None:
        raise Failed(Reason.NO_CAPACITY, f'the host ran no command, it said "{excerpt(said)}"')
    if status in _ENDED_BY_TIMEOUT:
        raise Failed(Reason.HUNG, f"the command on the host did not end within {request.seconds} s")
    return answer


async def _create(connection: Connection, request: Request) -> None:
    answer = await ask(connection, request, _CREATE[request.layout])
    if answer.status != 0:
        file = "Not a directory" in answer.output or "File exists" in answer.output
        reason = Reason.NOT_A_DIRECTORY if file else Reason.PERMISSION_DENIED
        raise Failed(reason, f"{request.url} cannot be created ({excerpt(answer.output)})")


def _unusable(answer: Answer, url: str) -> Failed:
    """What is wrong with a path that a command had no answer for, or that is no directory."""
    if answer.file:
        return Failed(Reason.NOT_A_DIRECTORY, f"{url} is a file")
    if "Permission denied" in answer.output:
        return Failed(Reason.PERMISSION_DENIED, f"{url} is not accessible ({excerpt(answer.output)})")
    if answer.directory:
        return Failed(Reason.NO_CAPACITY, f"{url} has no capacity to tell ({excerpt(answer.output)})")
    return Failed(Reason.NO_SUCH_PATH, f"{url} does not exist ({excerpt(answer.output)})")

"""Commands in a host's shell, with markers that separate the answer from what else a login shell prints.

The command line is `env LC_ALL=C sh -c SCRIPT sh URL TOKEN`. Its standard output contains, amid any noise,

    __BEGIN__TOKEN
    (the output of the command)
    __END__TOKEN rc=(its exit status) directory=(0: the url is a directory, 2: something else, 1: nothing)

The token is random for each command, so that nothing on the host can fake an answer.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

import asyncssh

from imagestore_sim.probe.capacity import Space
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.errno_messages import find_errno_message
from imagestore_sim.probe.failures import EXPIRED, Failed, NoSize, NotMounted, Unclear, Unsupported, excerpt
from imagestore_sim.probe.target import FOLDERS, Layout, Request
from imagestore_sim.reasons import Reason

# `timeout` is tried first: it may be missing, or too old for -k. The path is not tested after a command that it ended
# (124, or 128 plus the signal) or that could not be run (126, 127).
_SCRIPT = (
    't="timeout -k 1 {seconds}"; $t true >/dev/null 2>&1 || t=; echo "__BEGIN__$2"; {{ {command}; }} 2>&1; rc=$?; '
    'd=1; test $rc -ge 124 || {{ test -d "$1" && d=0; }} || {{ test -e "$1" && d=2; }}; '
    'echo "__END__$2 rc=$rc directory=$d"'
)
_END_OF_LINE = re.compile(r"\r?\n")
_END = re.compile(r" rc=(?P<status>\d{1,3}) directory=(?P<directory>\d)")
_LONGEST_END = 32  # characters, at least as many as `_END` can match
_NOT_RUN = (126, 127)
_ENDED_BY_TIMEOUT = (124, 137, 143)
_PASSWORD_EXPIRED = re.compile(r"password (has )?expired|password change required|change your password", re.IGNORECASE)
_NO_SHELL = re.compile(r"account is (currently )?not available|no shell access|login is disabled", re.IGNORECASE)

# Finds out why a path cannot be used when the error text is unknown, for example in another language. It looks for the
# nearest directory above the path: if that lists the next component, the component exists but does not answer ("dead");
# if it may not be entered, the path is "closed".
_WHY = (
    'p=$1; while :; do n=$p; p=${p%/*}; a=${p:-/}; if test -h "$n"; then echo link; break; fi; '
    'if test -d "$a"; then test -x "$a" || { echo closed; break; }; '
    'for e in "$p"/* "$p"/.*; do test "$e" = "$n" && echo dead; done; break; fi; '
    'test -e "$a" && { echo file; break; }; test "$a" = / && break; done'
)

_CREATE = {
    Layout.CREATE: "$t mkdir -p -- " + " ".join(f'"$1/{folder}"' for folder in FOLDERS),
    Layout.FOLDER: '$t mkdir -p -- "$1"',
}
_REQUIRE = " || ".join(f'$t test -d "$1/{folder}"' for folder in FOLDERS)


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of a command, its exit status, and whether the url is a directory, or a file (anything else)."""

    output: str
    status: int
    directory: bool
    file: bool = False


class MarkedOutput:
    """The output of a host, up to the end of the answer marked with `token`.

    Only new output is searched for the end, so that the time is linear in its length.
    """

    def __init__(self, token: str) -> None:
        self._end = f"__END__{token}"
        self._token = token
        self._chunks: list[str] = []
        self._tail = ""
        self.length = 0
        """Characters so far."""
        self.complete = False
        """Whether the end of the answer has come."""

    def feed(self, chunk: str) -> None:
        """Add the next output."""
        self._chunks.append(chunk)
        self.length += len(chunk)
        recent = self._tail + chunk
        at = recent.find(self._end)
        while at >= 0 and not self.complete:
            self.complete = _END.match(recent, at + len(self._end)) is not None
            at = recent.find(self._end, at + 1)
        self._tail = recent[-len(self._end) - _LONGEST_END :]

    @property
    def text(self) -> str:
        """All output so far."""
        return "".join(self._chunks)

    @property
    def answer(self) -> Answer | None:
        """The answer; None if it has not come."""
        return parse(self.text, self._token)


def script(command: str, url: str, seconds: int, token: str = "") -> str:
    """Return the command line for `command`, in which `"$1"` is the url and `$t` runs a program with a timeout."""
    text = shlex.quote(_SCRIPT.format(command=command, seconds=seconds))
    return f"env LC_ALL=C sh -c {text} sh {shlex.quote(url)}" + (f" {token}" if token else "")


def parse(text: str, token: str = "") -> Answer | None:
    """Return the answer in a host's output; None without one."""
    begin = _find(f"__BEGIN__{token}", _END_OF_LINE, text, 0)
    if begin is None:
        return None
    marker = f"__END__{token}"
    end = _find(marker, _END, text, begin.end())
    if end is None:
        return None
    output = text[begin.end() : end.start() - len(marker)]
    return Answer(output, int(end["status"]), end["directory"] == "0", end["directory"] == "2")


def _find(marker: str, following: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    """Return the first match of `following` right after `marker`, which is another one for each command."""
    at = text.find(marker, start)
    while at >= 0:
        if (found := following.match(text, at + len(marker))) is not None:
            return found
        at = text.find(marker, at + 1)
    return None


async def measure(connection: Connection, request: Request, command: str, read: Callable[[str], Space]) -> Space:
    """Prepare or check the layout, run `command`, and return the space that `read` finds in its output.

    Raise what `ask` raises.
    """
    if request.layout in _CREATE:
        await _create(connection, request)
    answer = await ask(connection, request, command)
    if not answer.directory:
        raise await _unusable(connection, request, answer)
    try:
        space = read(answer.output)
    except Failed as error:
        raise await _unusable(connection, request, answer) if answer.status != 0 else error from None
    if not space.total:
        raise NoSize(request.url)
    if request.layout is Layout.REQUIRE and (await ask(connection, request, _REQUIRE)).status != 0:
        raise NotMounted(request.url)
    return space


async def ask(connection: Connection, request: Request, command: str) -> Answer:
    """Run `command`, and return its answer.

    Raise Unsupported if the host does not have it, Failed, asyncssh.Error, OSError.
    """
    token = secrets.token_hex(8)
    line = script(command, _without_slash(request.url), request.seconds, token)
    output = MarkedOutput(token)
    exit_status = await connection.run(line, output, request.phases)
    answer = output.answer
    status = exit_status if answer is None else answer.status
    if answer is None and _PASSWORD_EXPIRED.search(output.text):
        raise Failed(Reason.AUTH_FAILED, f'the host lets nobody in ("{excerpt(output.text)}")', EXPIRED)
    if status in _NOT_RUN:
        raise Unsupported(f"command not found ({excerpt(output.text if answer is None else answer.output)})")
    if answer is None:
        raise _no_answer(output.text)
    if status in _ENDED_BY_TIMEOUT:
        raise Failed(Reason.HUNG, f"the command on the host did not end within {request.seconds} s")
    return answer


def _no_answer(said: str) -> Failed:
    advice = None
    if _NO_SHELL.search(said):
        advice = "Give the account a login shell on the host (chsh), or sshd's internal-sftp: its shell runs nothing."
    return Failed(Reason.NO_CAPACITY, f'the host ran no command, it said "{excerpt(said)}"', advice)


def _without_slash(url: str) -> str:
    return url.rstrip("/") or "/"


async def _create(connection: Connection, request: Request) -> None:
    answer = await ask(connection, request, _CREATE[request.layout])
    if answer.status != 0:
        text = f"{request.url} cannot be created ({excerpt(answer.output)})"
        known = find_errno_message(answer.output)
        if known is None:
            raise Failed(Reason.PERMISSION_DENIED, text)
        reason, advice = known[0].reason, known[0].advice
        raise Failed(Reason.PERMISSION_DENIED if reason is Reason.BUSY else reason, text, advice)


async def _unusable(connection: Connection, request: Request, answer: Answer) -> Failed:
    """Return what is wrong with a path that is not a directory, or for which a command failed."""
    url, said = request.url, excerpt(answer.output)
    if answer.file:
        return Failed(Reason.NOT_A_DIRECTORY, f"{url} is a file")
    known = find_errno_message(answer.output)
    if known is None and not answer.directory:
        return await _unreachable(connection, request, answer)
    if known is None or (answer.directory and known[0].reason is Reason.NO_SUCH_PATH):
        # df may find no mount point for a path that exists; stat does not need one.
        return Unclear(Reason.NO_CAPACITY, f"{url} has no capacity to tell ({said})")
    return Failed(known[0].reason, f"{url} {_WORDS.get(known[0].reason, 'cannot be used')} ({said})", known[0].advice)


_WORDS = {
    Reason.NO_SUCH_PATH: "does not exist",
    Reason.NOT_A_DIRECTORY: "cannot be reached: something on the way is a file",
    Reason.PERMISSION_DENIED: "is not accessible",
    Reason.STALE_MOUNT: "is on a file system that is gone",
    Reason.IO_ERROR: "cannot be read",
}
_MEANING = {
    "dead": (Reason.STALE_MOUNT, "is there, but does not answer", None),
    "closed": (Reason.PERMISSION_DENIED, "is not accessible", None),
    "file": (Reason.NOT_A_DIRECTORY, _WORDS[Reason.NOT_A_DIRECTORY], None),
    "link": (Reason.NO_SUCH_PATH, "is a link that leads nowhere", "Correct the symbolic link in the path on the host."),
}


async def _unreachable(connection: Connection, request: Request, answer: Answer) -> Failed:
    """Return what is wrong with a path that is not a directory, after an unknown error text."""
    said = excerpt(answer.output)
    try:
        why = await ask(connection, replace(request, layout=Layout.ANY), _WHY)
    except (Unsupported, asyncssh.Error, OSError):
        why = Answer("", 1, directory=False)
    for word, (reason, words, advice) in _MEANING.items():
        if word in why.output.split():
            return Failed(reason, f"{request.url} {words} ({said})", advice)
    return Failed(Reason.NO_SUCH_PATH, f"{request.url} does not exist ({said})")

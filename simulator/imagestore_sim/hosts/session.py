"""A session of an SSH connection: a command, an interactive shell, or SFTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, cast

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.misc import SoftEOFReceived
from typing_extensions import override

from imagestore_sim.faults.behaviour import ForcedAnswer
from imagestore_sim.hosts.broken import BrokenSftp, flood
from imagestore_sim.hosts.link import Link
from imagestore_sim.hosts.sftp import SFTP_VERSION, DiskServer
from imagestore_sim.hosts.shell import Exit, Shell, Streams, Write
from imagestore_sim.hosts.syntax import Incomplete, Parser, Script, SyntaxProblem

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

INTERRUPTED = 130
CANNOT_FORK = 2
UNREAD_CHARACTERS = 64 * 2**20
"""Output that a client has not read from which on a command may print no more: its session ends."""
MOST_LINES = 1000
MOST_CHARACTERS = 64 * 1024
"""Lines and characters of one command that a client may type over several lines: each line is parsed with those before.
"""

SftpFactory = Callable[[SSHChannel[bytes]], DiskServer]


class Session(asyncssh.SSHServerProcess[str]):
    """One session: its command runs in a task that ends with its channel."""

    def __init__(
        self,
        host: SimulatedHost,
        username: str,
        link: Link,
        sftp: SftpFactory | None,
        forced: ForcedAnswer | None,
        ended: Callable[[], None],
    ) -> None:
        """Serve a session that a client has opened; call `ended` at its end.

        Without `sftp` there is no such subsystem. `forced` is the answer to every request.
        """
        super().__init__(self._begin, None if sftp is None else self._serve_disk, SFTP_VERSION, False)
        self._sftp = sftp
        self._disk_server: DiskServer | None = None
        """What may answer a request at once; none once a client has sent a part of one, or several together."""
        self._forced = forced
        self._host = host
        self._username = username
        self._link = link
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._broken: BrokenSftp | None = None

    @override
    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp" and (self._forced is not None or super().subsystem_requested(subsystem))

    @override
    def session_started(self) -> None:
        now = self._host.behaviour
        if now.flood == "session":
            flood(self.channel.get_connection())
        if now.kills_sessions:
            self._link.abort()
        elif self._forced is not None:
            self._answer(self._forced)
        elif self.channel.get_subsystem() is None:
            super().session_started()
        elif now.broken_sftp is not None:
            self._broken = BrokenSftp(now.broken_sftp)
            self.channel.set_encoding(None)
            self._encoding = None
        elif now.hung_sftp or now.hung_shell:
            # Bytes that come meanwhile are SFTP's, and no text.
            self.channel.set_encoding(None)
            self._encoding = None
            self._do(self._begin_late())
        else:
            self._begin_sftp()

    def _answer(self, forced: ForcedAnswer) -> None:
        if forced.text:
            self.channel.write(forced.text)
        self.channel.exit(forced.status)

    async def _begin_late(self) -> None:
        await self._host.wait_until(lambda now: not (now.hung_sftp or now.hung_shell))
        self._begin_sftp()

    def _begin_sftp(self) -> None:
        if self._host.behaviour.noise:
            self.channel.write(self._host.behaviour.noise)
        super().session_started()

    def _serve_disk(self, channel: SSHChannel[bytes]) -> DiskServer:
        assert self._sftp is not None
        self._disk_server = self._sftp(channel)
        return self._disk_server

    @override
    def data_received(self, data: str | bytes, datatype: int | None) -> None:
        if self._disk_server is not None and isinstance(data, bytes) and self._answer_at_once(self._disk_server, data):
            return
        if self._broken is None:
            super().data_received(cast(str, data), datatype)
        elif (answer := self._broken.answer(cast(bytes, data))) and not self.channel.is_closing():
            cast("SSHChannel[bytes]", self.channel).write(answer)

    def _answer_at_once(self, disk_server: DiskServer, data: bytes) -> bool:
        """Answer a request if that can be done without waiting; return whether it was."""
        if int.from_bytes(data[:4], "big") != len(data) - 4:
            self._disk_server = None
            return False
        waiter = self._read_waiters[None]
        if waiter is None or waiter.done() or self._recv_buf[None]:  # asyncssh has not answered an earlier one
            return False
        if (answer := disk_server.answer_at_once(data)) is None:
            return False
        if not self.channel.is_closing():
            cast("SSHChannel[bytes]", self.channel).write(answer)
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._ended()
        if self._task is not None:
            self._task.cancel()

    def _begin(self, _process: asyncssh.SSHServerProcess[str]) -> None:
        self._do(self._run())

    def _do(self, work: Coroutine[object, object, None]) -> None:
        self._task = self._host.tasks.begin(work, f"session on {self._host.name}")

    async def _run(self) -> None:
        shell = Shell.at_login(self._host, self._username)
        complaints = self.stderr if self.term_type is None else self.stdout
        streams = Streams(_Keyboard(self.stdin), self._bounded(self.stdout), self._bounded(complaints))
        try:
            await self._host.wait_until(lambda now: not now.hung_shell)
            if self._host.behaviour.noise:
                streams.write(self._host.behaviour.noise)
            if self.command is None:
                status = await self._converse(shell, streams)
            else:
                status = await shell.run(self.command, streams)
        except Interrupted:
            status = INTERRUPTED
        except BrokenPipeError:
            return  # the client has gone: there is no one to send the status to
        except _Unread:
            self.close()
            return
        except RecursionError:  # a script that runs itself, or brackets within brackets
            streams.complain("sh: 1: Cannot fork\n")
            status = CANNOT_FORK
        except Exception:
            self.close()  # so that the client does not wait for a command that failed; the task's owner logs it
            raise
        await self._host.wait_until(lambda now: not now.sessions_linger)
        self.exit(status)

    def _bounded(self, writer: asyncssh.SSHWriter[str]) -> Write:
        """Return what writes to a client. It raises _Unread while the client leaves too much of it unread."""

        def write(text: str) -> None:
            if self.channel.get_write_buffer_size() > UNREAD_CHARACTERS:
                raise _Unread
            writer.write(text)

        return write

    async def _converse(self, shell: Shell, streams: Streams) -> int:
        """Run the lines that come in, up to `exit` or the end; return the exit status."""
        while True:
            try:
                scripts = await self._read(shell, streams)
                if scripts is None:
                    return shell.status
                for script in scripts:
                    await shell.execute(script, streams)
            except Exit as ended:
                return ended.status
            except Interrupted:
                shell.status = INTERRUPTED
                streams.write("\n")
            except SyntaxProblem as problem:
                shell.complain(problem.line, f"Syntax error: {problem}", streams)
                shell.status = 2
                if self.term_type is None:
                    return shell.status

    async def _read(self, shell: Shell, streams: Streams) -> list[Script] | None:
        """Read lines until they make whole commands, and return these; None at the end. Raise SyntaxProblem."""
        text = ""
        problem: Incomplete | None = None
        lines = 0
        while True:
            if self.term_type is not None:
                streams.write("> " if text else prompt(shell))
            line = await streams.read.readline()
            if not line and problem is not None:
                raise problem
            if not line:
                return None
            text += line
            lines += 1
            try:
                return _parse(text)
            except Incomplete as incomplete:
                problem = incomplete
                if lines >= MOST_LINES or len(text) > MOST_CHARACTERS:
                    raise SyntaxProblem(incomplete.line, str(incomplete)) from None


class Interrupted(Exception):
    """The client pressed Ctrl-C, or sent a signal."""


class _Unread(Exception):
    """The client leaves more unread than is kept for it."""


class _Keyboard:
    """The standard input of a command, from the client."""

    def __init__(self, stdin: asyncssh.SSHReader[str]) -> None:
        self._stdin = stdin

    async def read(self) -> str:
        lines = []
        while line := await self.readline():
            lines.append(line)
        return "".join(lines)

    async def readline(self) -> str:
        """Return a line with its end; an empty text at the end of all. Raise Interrupted."""
        while True:
            try:
                return await self._stdin.readline()
            except asyncssh.TerminalSizeChanged:
                continue
            except SoftEOFReceived:
                return ""
            except (asyncssh.BreakReceived, asyncssh.SignalReceived) as error:
                raise Interrupted from error


def prompt(shell: Shell) -> str:
    """Return the prompt of a shell: `root@imagestore-1:~# `."""
    folder = "~" if shell.folder == shell.variables.get("HOME") else shell.folder
    return f"{shell.username}@{shell.machine.name}:{folder}{'#' if shell.username == 'root' else '$'} "


def _parse(text: str) -> list[Script]:
    parser = Parser(text)
    scripts: list[Script] = []
    while (script := parser.read()) is not None:
        scripts.append(script)
    return scripts

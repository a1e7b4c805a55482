"""A channel of an SSH connection: a command, an interactive shell, or SFTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.misc import SoftEOFReceived

from simulator.hosts.shell import Exit, Machine, Shell, Streams
from simulator.hosts.syntax import Incomplete, Parser, Script, SyntaxProblem
from simulator.tasks import Tasks

SFTP_VERSION = 3  # OpenSSH's
INTERRUPTED = 130

SftpFactory = Callable[[SSHChannel[bytes]], asyncssh.SFTPServer]


class Session(asyncssh.SSHServerProcess[str]):
    """What a client runs on a machine, in a task that ends with its channel."""

    def __init__(self, machine: Machine, username: str, tasks: Tasks, sftp: SftpFactory | None) -> None:
        super().__init__(self._begin, sftp, SFTP_VERSION, False)
        self._machine = machine
        self._username = username
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp" and super().subsystem_requested(subsystem)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()

    def _begin(self, _process: asyncssh.SSHServerProcess[str]) -> None:
        self._task = self._tasks.begin(self._run(), f"session on {self._machine.name}")

    async def _run(self) -> None:
        shell = Shell.at_login(self._machine, self._username)
        complaints = self.stderr if self.term_type is None else self.stdout
        streams = Streams(_Keyboard(self.stdin), self.stdout.write, complaints.write)
        try:
            if self.command is None:
                status = await self._converse(shell, streams)
            else:
                status = await shell.run(self.command, streams)
        except Interrupted:
            status = INTERRUPTED
        except BrokenPipeError:
            return  # the client has gone, and with it whoever would want to know the status
        except Exception:
            self.close()  # the client is not to wait for what has failed; the owner of the task logs it
            raise
        self.exit(status)

    async def _converse(self, shell: Shell, streams: Streams) -> int:
        """Run what comes in, line by line, up to `exit` or the end; answers the exit status."""
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
        """The commands in the next lines, as many as make them whole; None at the end. Raises SyntaxProblem."""
        text = ""
        problem: Incomplete | None = None
        while True:
            if self.term_type is not None:
                streams.write("> " if text else prompt(shell))
            line = await streams.read.readline()
            if not line and problem is not None:
                raise problem
            if not line:
                return None
            text += line
            try:
                return _parse(text)
            except Incomplete as incomplete:
                problem = incomplete


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


class _Keyboard:
    """What a client sends, as commands read it."""

    def __init__(self, stdin: asyncssh.SSHReader[str]) -> None:
        self._stdin = stdin

    async def read(self) -> str:
        lines = []
        while line := await self.readline():
            lines.append(line)
        return "".join(lines)

    async def readline(self) -> str:
        """Raises Interrupted."""
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
    """`root@imagestore-1:~# `."""
    folder = "~" if shell.folder == shell.variables.get("HOME") else shell.folder
    return f"{shell.username}@{shell.machine.name}:{folder}{'#' if shell.username == 'root' else '$'} "


def _parse(text: str) -> list[Script]:
    parser = Parser(text)
    scripts: list[Script] = []
    while (script := parser.read()) is not None:
        scripts.append(script)
    return scripts

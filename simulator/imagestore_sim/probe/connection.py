"""One SSH connection to a host: its SFTP session, and commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, cast

import asyncssh

from imagestore_sim.clock import Clock
from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.probe.failures import Unsupported
from imagestore_sim.probe.permit import Permit
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.receive_limits import PROBE_BYTES
from imagestore_sim.probe.sftp import SftpSession
from imagestore_sim.probe.target import Target

ConnectionChain = list[asyncssh.SSHClientConnection]
"""Connections through jump hosts, each made through the one before; the last is to the target."""

_PAUSES = (0.01, 0.03, 0.1)  # seconds
_KEEP_ALIVE = b"keepalive@openssh.com"
_OUTPUT = 65_536  # characters: the most that is read of what a command prints
_WINDOW = 2 * _OUTPUT  # bytes that a host may send on a channel before they have been read
_PACKET = 32_768  # bytes of one packet on a channel
_LINGER_SECONDS = 0.1  # for a session to close after its answer has come; one that lingers is left alone
_MOST_LINGERING = 3  # sessions of a connection: with more it is replaced


class OutputReader(Protocol):
    """Takes the output of a command as it comes."""

    length: int
    """Characters so far."""
    complete: bool
    """Whether no more output is needed."""

    def feed(self, chunk: str) -> None:
        """Add the next output."""


class Connection:
    """A connection that is logged in, with the SFTP session that it keeps for the next probe."""

    def __init__(self, chain: ConnectionChain, tunnel: BoundedTunnel, target: Target, clock: Clock) -> None:
        self._clock = clock
        self._chain = chain
        self._ssh = chain[-1]
        self._tunnel = tunnel
        self._login = (target.port, target.username, target.password)
        self._sftp: SftpSession | None = None
        self._closed_session = False
        self._lingering = 0
        self.used = clock.monotonic()
        """When the host last answered on it (monotonic seconds)."""
        self.probes = 0
        """Number of probes answered on it."""
        self._is_left_to_system: bool | None = None

    def serves(self, target: Target) -> bool:
        """Return whether it is open, and logged in with the port, user and password of `target`."""
        if self._ssh.is_closed() or self._lingering >= _MOST_LINGERING:
            return False
        return self._login == (target.port, target.username, target.password)

    @property
    def flooded(self) -> str | None:
        """Why the host was cut off; None if it was not."""
        return self._tunnel.flooded

    @property
    def noisy(self) -> bool:
        """Whether the host has sent much more in this probe than an answer takes."""
        return self._tunnel.noisy

    def use(self, permit: Permit) -> None:
        """Let a probe with that permit use the connection from now on, until the next one."""
        self._tunnel.use(permit)

    def begin_probe(self) -> None:
        """Allow the host to send what one more probe may need."""
        self._tunnel.limits.allow(PROBE_BYTES)

    async def sftp(self, phases: Phases) -> SftpSession:
        """Return the SFTP session, opening it at its first use. Raise Unsupported, asyncssh.Error, OSError."""
        if self._sftp is None:
            phases.begin("channel")
            self._sftp = await self._begin_sftp()
            self._sftp.become_idle()
            self._tunnel.end_login()
        phases.begin("command")
        return self._sftp

    async def _begin_sftp(self) -> SftpSession:
        sftp = SftpSession()
        try:
            with _opening_a_session():
                await self._ssh.create_session(
                    lambda: sftp, subsystem="sftp", encoding=None, window=_WINDOW, max_pktsize=_PACKET
                )
            await sftp.begin()
        except asyncssh.ChannelOpenError as error:
            if error.code != asyncssh.OPEN_REQUEST_SESSION_FAILED:
                raise
            self._closed_session = True
            raise Unsupported("no SFTP subsystem") from error
        except asyncssh.SFTPError as error:
            # A forced command, or a shell that prints something, answered in place of an SFTP server.
            if self._ssh.is_closed():
                raise
            self._closed_session = True
            raise Unsupported(f"no SFTP server ({error})") from error
        return sftp

    def leave_sftp(self) -> None:
        """Close the SFTP session, if it is open; the next use opens another."""
        sftp, self._sftp = self._sftp, None
        if sftp is not None:
            self._closed_session = True
            sftp.close()

    async def run(self, line: str, reader: OutputReader, phases: Phases) -> int | None:
        """Run a command line without a terminal, and return its exit status; None without one, or not yet.

        `reader` gets the output until it is complete, or longer than _OUTPUT characters; then the session is closed.
        Raise Unsupported when the host runs no commands, asyncssh.Error, OSError.
        """
        phases.begin("channel")
        process = await self._begin(line)
        self._closed_session = True
        try:
            self._tunnel.end_login()
            phases.begin("command")
            while not reader.complete and reader.length < _OUTPUT:
                chunk = await process.stdout.read(_OUTPUT)
                if not chunk:
                    break
                reader.feed(chunk)
            if reader.complete or reader.length >= _OUTPUT:
                process.close()
            await self._closing(process)
        finally:
            process.close()
        return process.exit_status

    async def _closing(self, process: asyncssh.SSHClientProcess[str]) -> None:
        try:
            await self._clock.wait_for(process.wait_closed(), _LINGER_SECONDS)
        except TimeoutError:
            self._lingering += 1

    async def _begin(self, line: str) -> asyncssh.SSHClientProcess[str]:
        """Start a command, retrying after another session has closed: sshd may not have noticed that yet."""
        pauses = list(_PAUSES) if self._closed_session else []
        while True:
            try:
                with _opening_a_session():
                    return await self._ssh.create_process(
                        line,
                        stdin=asyncssh.DEVNULL,
                        stderr=asyncssh.STDOUT,
                        errors="replace",
                        window=_WINDOW,
                        max_pktsize=_PACKET,
                    )
            except asyncssh.ChannelOpenError as error:
                if error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED:
                    raise Unsupported("the host runs no commands") from error
                if not pauses or self._ssh.is_closed():
                    raise
            await self._clock.sleep(pauses.pop(0))

    def served(self) -> None:
        """Count a probe that was answered."""
        self.probes += 1
        self.used = self._clock.monotonic()

    def leave_to_system(self, seconds: float) -> bool:
        """Do what `BoundedTunnel.end_without_acknowledgement` does, at the first call; return whether it can."""
        if self._is_left_to_system is None:
            self._is_left_to_system = self._tunnel.end_without_acknowledgement(seconds)
        return self._is_left_to_system

    async def is_alive(self, seconds: float) -> bool:
        """Return whether sshd itself answers within `seconds`, even if a command that it runs hangs."""
        return not await silent([self], self._clock, seconds)

    def ask_whether_alive(self) -> asyncio.Future[object]:
        """Return a future that is done when sshd itself answers, or the connection is lost; or has the error."""
        answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        ssh = cast("Any", self._ssh)
        if ssh._transport is None:
            answered.set_result(None)
            return answered
        # The request of OpenSSH's ServerAliveInterval. asyncssh's own keepalive uses the event loop's time, not the
        # lab's clock; and its method for a request takes a task for each.
        ssh._global_request_waiters.append(answered)
        try:
            ssh._send_global_request(_KEEP_ALIVE, want_reply=True)
        except (asyncssh.Error, OSError) as error:
            answered.set_exception(error)
        return answered

    def has_answered(self, answered: asyncio.Future[object]) -> bool:
        """Return whether sshd has answered what was asked, and has not closed the connection."""
        if not answered.done() or answered.exception() is not None:
            return False
        self.used = self._clock.monotonic()
        return not self._ssh.is_closed()

    def abort(self) -> None:
        """Close the connection at once, abandoning what runs over it."""
        for ssh in reversed(self._chain):
            ssh.abort()

    async def wait_closed(self) -> None:
        """Wait until an aborted connection is closed."""
        for ssh in self._chain:
            await ssh.wait_closed()

    async def close(self) -> None:
        """Log out; what still runs over it fails with ConnectionLost."""
        for ssh in reversed(self._chain):
            ssh.close()
            await ssh.wait_closed()


async def silent(connections: Iterable[Connection], clock: Clock, seconds: float) -> set[Connection]:
    """Return those of some connections on which sshd does not answer within `seconds`."""
    asked = [(connection, connection.ask_whether_alive()) for connection in connections]
    try:
        with suppress(TimeoutError):
            await clock.wait_for(asyncio.wait([answered for _, answered in asked]), seconds)
        return {connection for connection, answered in asked if not connection.has_answered(answered)}
    finally:
        for _, answered in asked:
            answered.cancel()


@contextmanager
def _opening_a_session() -> Iterator[None]:
    """Raise ConnectionLost when a host closes a session as it opens it: asyncssh raises AttributeError then."""
    try:
        yield
    except AttributeError as error:
        raise asyncssh.ConnectionLost("the session was closed as it was opened") from error

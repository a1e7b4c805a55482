"""Servers in the test's own process, for what a real sshd cannot be made to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import asyncssh

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.probe import Target
from processes import child

PASSWORD = "password"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Process = asyncssh.SSHServerProcess[str]


@dataclass
class SshStub:
    """A running SSH server and what it saw."""

    port: int = 0
    logins: int = 0
    logging_in: int = 0
    most_logging_in: int = 0
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    seconds_a_login: float = 0.0
    clock: Clock = field(default_factory=RealClock)
    """By which a login takes its time."""

    def target(self, hostname: str = "127.0.0.1", url: str = "/") -> Target:
        """Return a target on this server."""
        return Target(hostname, self.port, "root", url, PASSWORD)

    async def resolve(self, _hostname: str, port: int) -> tuple[str, int]:
        """Every name is this server's."""
        return "127.0.0.1", port

    async def until_logging_in(self) -> None:
        """Wait until somebody is."""
        async with asyncio.timeout(60):
            while not self.logging_in:
                await self.clock.sleep(0.005)

    async def until_left(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(60):
            while self.connections:
                await self.clock.sleep(0.005)


class _Account(asyncssh.SSHServer):
    """Accepts the password, and counts logins."""

    def __init__(self, stub: SshStub) -> None:
        self._stub = stub

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._stub.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stub.connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        stub = self._stub
        stub.logging_in += 1
        stub.most_logging_in = max(stub.most_logging_in, stub.logging_in)
        await stub.clock.sleep(stub.seconds_a_login)
        stub.logging_in -= 1
        stub.logins += 1
        return password == PASSWORD


@contextlib.asynccontextmanager
async def ssh_stub(
    *,
    sftp: Callable[[asyncssh.SSHServerChannel[bytes]], asyncssh.SFTPServer] | None = None,
    process: Callable[[Process], Awaitable[None]] | None = None,
    account: type[_Account] = _Account,
    clock: Clock | None = None,
) -> AsyncIterator[SshStub]:
    """Run an SSH server with the given SFTP server and shell."""
    stub = SshStub(clock=clock or RealClock())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: account(stub),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=sftp,
        process_factory=process,
    )
    stub.port = server.get_port()
    try:
        yield stub
    finally:
        server.close()
        for connection in set(stub.connections):
            connection.abort()
            await connection.wait_closed()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def tcp_server(handler: Handler, port: int = 0) -> AsyncIterator[int]:
    """Run a plain TCP server, and provide its port; each connection is closed when its handler returns."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield port


def posix_shell(path: str | None = None) -> Callable[[Process], Awaitable[None]]:
    """Return a login shell that runs commands for real, with `path` as its PATH."""

    async def run(process: Process) -> None:
        environment = None if path is None else {"PATH": path}
        command = ("/bin/sh", "-c", process.command or "")
        async with child(*command, stdout=asyncio.subprocess.PIPE, env=environment) as shell:
            output, _ = await shell.communicate()
        process.stdout.write(output.decode())
        process.exit(shell.returncode or 0)

    return run


def saying(text: str, status: int = 1) -> Callable[[Process], Awaitable[None]]:
    """Return a login shell that runs nothing, and prints a text."""

    async def run(process: Process) -> None:
        process.stdout.write(text)
        process.exit(status)

    return run

"""A simulated ImageStore host: a real SSH server on a loopback port, over a virtual disk."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Self, cast

import asyncssh
from asyncssh.channel import SSHChannel

from simulator.clock import Clock, RealClock
from simulator.hosts.commands import COMMANDS
from simulator.hosts.disk import VirtualDisk
from simulator.hosts.session import Session
from simulator.hosts.sftp import DiskServer
from simulator.hosts.shell import Command, home_of
from simulator.tasks import Tasks

LOOPBACK = "127.0.0.1"
FOLDERS = ("/etc", "/home", "/root", "/tmp", "/var")  # noqa: S108 - of virtual disks
# Cheap for both sides; the first of each is what OpenSSH and asyncssh agree on.
KEY_EXCHANGES = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
)
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may log in, with a password or a key; `keys` are lines of an authorized_keys file.

    Raises ValueError for a key that is none.
    """

    username: str
    password: str | None = field(default=None, repr=False)
    keys: Sequence[str] = ()

    def __post_init__(self) -> None:
        _ = self.public_keys

    @property
    def public_keys(self) -> list[asyncssh.SSHKey]:
        """The keys, read."""
        return [asyncssh.import_public_key(line) for line in self.keys]


class SimulatedHost:
    """A host that is reached by SSH as a real one is. What it has can be changed while it runs: see the attributes."""

    def __init__(
        self,
        name: str,
        *,
        port: int = 22,
        disk: VirtualDisk | None = None,
        credentials: Credentials | None = None,
        sftp: bool = True,
        statvfs: bool = True,
        commands: Mapping[str, Command] = COMMANDS,
        clock: Clock | None = None,
    ) -> None:
        """`port` is the one that the host is known by, not the real one. Without credentials anybody may log in.

        What differs between hosts is whether they have SFTP, its extension statvfs, and which commands.
        """
        self.name = name
        self.port = port
        self.clock = clock or RealClock()
        self.disk = disk or VirtualDisk(clock=self.clock)
        self.disk.furnish(FOLDERS)
        self.credentials = credentials
        self.trusted: list[asyncssh.SSHKey] = []
        """Keys that log in beside the credentials."""
        self.sftp = sftp
        self.statvfs = statvfs
        self.commands = commands
        self.logins = 0
        """Successful ones so far."""
        self.after_start: Callable[[], Awaitable[None]] | None = None
        """Called whenever it has begun to listen."""
        self.connections: dict[asyncssh.SSHServerConnection, None] = {}
        self.tasks = Tasks()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._address: tuple[str, int] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._acceptor is not None

    @property
    def address(self) -> tuple[str, int]:
        """The real address and port that it listens on, or did last; raises RuntimeError before the first start."""
        if self._address is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._address

    async def start(self, host: str = LOOPBACK, port: int = 0) -> None:
        """Listen, unless it does already: with port 0 where it did before if it can, else on any port that is free.

        Raises OSError.
        """
        if self._acceptor is not None:
            return
        before = self._address[1] if self._address else 0
        try:
            acceptor = await self._listen(host, port or before)
        except OSError as error:
            if port or not before or error.errno != errno.EADDRINUSE:
                raise
            acceptor = await self._listen(host, 0)
        self._acceptor = acceptor
        self._address = acceptor.get_addresses()[0][:2]
        if self.after_start is not None:
            await self.after_start()

    async def _listen(self, host: str, port: int) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(host, port, options=_options(), server_factory=lambda: Visitor(self))

    async def stop(self) -> None:
        """Listen no more, and cut every connection at once; does nothing when it has been stopped."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_closed()
        await self.tasks.close()
        if acceptor is not None:
            await acceptor.wait_closed()

    def knows(self, username: str, password: str) -> bool:
        """Whether a password logs in."""
        wanted = self.credentials
        return wanted is None or (wanted.username, wanted.password) == (username, password)

    def knows_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether a key logs in."""
        wanted = self.credentials
        if wanted is None:
            return True
        known = {one.public_data for one in (*wanted.public_keys, *self.trusted)}
        return username == wanted.username and key.public_data in known


class Visitor(asyncssh.SSHServer):
    """One connection to a host, from its TCP connection on: what can go wrong with logins and sessions goes here."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._host.connections[conn] = None
        if not self._host.listening:
            conn.abort()  # it was accepted before the host was stopped, and would be missed there

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.connections.pop(self._connection, None)

    def begin_auth(self, username: str) -> bool:
        self._username = username
        return True

    def password_auth_supported(self) -> bool:
        """By itself and as keyboard-interactive, which asyncssh derives from it."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._host.knows(username, password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._host.knows_key(username, key)

    def auth_completed(self) -> None:
        self._host.logins += 1

    def session_requested(self) -> Session:
        host = self._host
        return Session(host, self._username, host.tasks, self._serve_disk if host.sftp else None)

    def _serve_disk(self, channel: SSHChannel[bytes]) -> DiskServer:
        host = self._host
        server_channel = cast("asyncssh.SSHServerChannel[bytes]", channel)
        return DiskServer(server_channel, host.disk, home_of(host.disk, self._username), statvfs=host.statvfs)


@cache
def _options() -> asyncssh.SSHServerConnectionOptions:
    """What all hosts of this process have in common, their key too: to make it costs more than a login does."""
    return asyncssh.SSHServerConnectionOptions(
        config=None,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        server_version="imagestore_sim",
        kex_algs=list(KEY_EXCHANGES),
        encryption_algs=list(CIPHERS),
        compression_algs=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        host_based_auth=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        agent_forwarding=False,
        errors="surrogateescape",  # names of files are bytes
        login_timeout=0,  # a client that dawdles costs nothing here
    )

"""A simulated ImageStore host: a real SSH server on a loopback port, over a virtual disk."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from posixpath import normpath
from types import TracebackType
from typing import Self, cast

import asyncssh
from asyncssh.channel import SSHChannel

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.faults.base import Fault
from imagestore_sim.faults.behaviour import Behaviour, Port, Startups
from imagestore_sim.faults.target import DiskState, HostState
from imagestore_sim.hosts.applied_faults import Applied, Faults
from imagestore_sim.hosts.broken import flood_login
from imagestore_sim.hosts.commands import COMMANDS
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.link import Link
from imagestore_sim.hosts.listener import Listener
from imagestore_sim.hosts.session import Session
from imagestore_sim.hosts.sftp import DiskServer
from imagestore_sim.hosts.shell import Call, Command, home_of
from imagestore_sim.statvfs import BLOCK, Statvfs
from imagestore_sim.tasks import Tasks

LOOPBACK = "127.0.0.1"
FOLDERS = ("/etc", "/home", "/root", "/tmp", "/var")  # noqa: S108 - of virtual disks
# Commands whose operands are paths that they look at.
TOUCHING = frozenset(
    ("df", "stat", "test", "[", "ls", "cat", "cd", "mkdir", "rmdir", "rm", "touch", "chmod", "head", "tail", "mktemp")
)
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
    """A host that is reached by SSH as a real one is.

    What it has can be changed while it runs: see the attributes. What goes wrong with it is in `faults`.
    """

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
        seed: int = 0,
    ) -> None:
        """`port` is the one that the host is known by, not the real one. Without credentials anybody may log in.

        What differs between hosts is whether they have SFTP, its extension statvfs, and which commands. What its
        faults leave to chance follows from its name and `seed`.
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
        self._commands = commands
        self.random = random.Random(f"{seed} {name}")  # noqa: S311 - chance that can be repeated
        self.faults = Faults(self)
        self.logins = 0
        """Successful ones so far."""
        self.after_start: Callable[[], Awaitable[None]] | None = None
        """Called whenever it has begun to listen."""
        self.links: dict[Link, None] = {}
        """Connections that are open, from TCP on."""
        self.tasks = Tasks()
        self._listener: Listener | None = None
        self._address: tuple[str, int] | None = None
        self._serving: dict[asyncssh.SSHKey | None, asyncssh.SSHServerConnectionOptions] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def listening(self) -> bool:
        """Whether it runs; a fault may have closed its port all the same."""
        return self._listener is not None

    @property
    def address(self) -> tuple[str, int]:
        """The real address and port that it listens on, or did last; raises RuntimeError before the first start."""
        if self._address is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._address

    @property
    def behaviour(self) -> Behaviour:
        """What its faults make of it at present."""
        return self.faults.behaviour

    async def wait_until(self, met: Callable[[Behaviour], bool]) -> None:
        """Wait until its behaviour meets a condition."""
        await self.faults.wait_until(met)

    async def apply(self, fault: Fault) -> Applied:
        """Put a fault on it, beside those that are on it. Raise FaultProblem when it is not possible, and OSError."""
        return await self.faults.apply(fault)

    async def state(self) -> HostState:
        """Return how it is now, with the disk of its storage."""
        address, port = self.address
        return HostState(
            at=self.clock.monotonic(),
            name=self.name,
            port=self.port,
            listening=self.listening,
            address=f"{address}:{port}",
            disk=_disk_state(self.disk.storage_disk().numbers()),
            logins=self.logins,
            connections=len(self.links),
            username=self.credentials.username if self.credentials else None,
            faults=self.faults,
        )

    async def start(self, host: str = LOOPBACK, port: int = 0) -> None:
        """Listen, unless it does already: with port 0 where it did before if it can, else on any port that is free.

        Raises OSError.
        """
        if self._listener is not None:
            return
        before = self._address[1] if self._address else 0
        try:
            await self._listen(host, port or before)
        except OSError as error:
            if port or not before or error.errno != errno.EADDRINUSE:
                raise
            await self._listen(host, 0)
        self.faults.resume()
        if self.after_start is not None:
            await self.after_start()

    async def _listen(self, host: str, port: int) -> None:
        listener = Listener(lambda: Link(self), self.clock, self.tasks)
        await listener.open(host, port)
        self._listener = listener
        self._address = listener.address
        listener.become(self.behaviour.port)

    async def settle(self) -> None:
        """Have the port do what the behaviour says; raises OSError."""
        if self._listener is None:
            return
        try:
            self._listener.become(self.behaviour.port)
        except OSError as error:
            # The port was free for a moment, and somebody took it.
            if error.errno != errno.EADDRINUSE or self.behaviour.port is not Port.OPEN:
                raise
            self._listener = None
            await self.start(self.address[0])

    async def stop(self) -> None:
        """Listen no more, and cut every connection at once; does nothing when it has been stopped.

        Its faults stay on it, and are there when it is started again.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        await self.faults.pause()
        await self._cut_and_wait()
        await self.tasks.close()
        await self._cut_and_wait()  # what was being accepted meanwhile

    async def become(self, other: SimulatedHost) -> None:
        """Be as `other` is, a host that was never started: without faults, with its disk, who it lets in, its chance.

        It listens then, where it did before. Raises OSError.
        """
        await self.faults.heal_all()
        await self.stop()
        self.faults = Faults(self)
        self.port, self.disk, self.credentials = other.port, other.disk, other.credentials
        self.sftp, self.statvfs, self._commands = other.sftp, other.statvfs, other._commands
        self.random, self.logins = other.random, 0
        self._serving.clear()
        await self.start()

    async def _cut_and_wait(self) -> None:
        links = list(self.links)
        for link in links:
            link.abort()
        await asyncio.gather(*(link.closed for link in links))

    def cut_connections(self, count: int | None = None) -> None:
        """Reset connections that are open: all, or so many, the oldest first."""
        for link in sorted(self.links, key=lambda link: link.number)[:count]:
            link.reset()

    def has_too_many_startups(self, allowed: Startups) -> bool:
        """Whether sshd turns one more connection away (should_drop_connection in OpenSSH's sshd.c)."""
        under_way = sum(not link.logged_in for link in self.links) - 1  # the one in question
        if under_way < allowed.start:
            return False
        if under_way >= allowed.full or allowed.rate == 100:
            return True
        share = (100 - allowed.rate) * (under_way - allowed.start) / (allowed.full - allowed.start) + allowed.rate
        return self.random.random() * 100 < share

    def new_connection(self) -> asyncssh.SSHServerConnection:
        """An SSH server for one connection, with the key that the host has now."""
        key = self.behaviour.host_key
        if key not in self._serving:
            keys = {} if key is None else {"server_host_keys": [key]}
            self._serving[key] = asyncssh.SSHServerConnectionOptions(
                _options(), server_factory=lambda: Visitor(self), **keys
            )
        return asyncssh.SSHServerConnection(asyncio.get_running_loop(), self._serving[key])

    @property
    def commands(self) -> Mapping[str, Command]:
        """What it can run, by name; set it for a host that has others."""
        now = self.behaviour
        if not (now.missing or now.hung_commands or now.hung_shell or now.hung_paths):
            return self._commands
        return {
            name: replace(command, run=_Held(self, name, command))
            for name, command in self._commands.items()
            if name not in now.missing
        }

    @commands.setter
    def commands(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def knows(self, username: str, password: str) -> bool:
        """Whether a password logs in."""
        if not self._admits(username):
            return False
        wanted = self.credentials
        expected = self.behaviour.password or (wanted.password if wanted else None)
        if wanted is None:
            return expected in (None, password)
        return (wanted.username, expected) == (username, password)

    def knows_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether a key logs in."""
        if not self._admits(username):
            return False
        wanted = self.credentials
        if wanted is None:
            return True
        known = {one.public_data for one in (*wanted.public_keys, *self.trusted)}
        return username == wanted.username and key.public_data in known

    def _admits(self, username: str) -> bool:
        now = self.behaviour
        return not now.nobody_logs_in and username not in now.locked_out


def _disk_state(numbers: Statvfs) -> DiskState:
    return DiskState(
        size=numbers.blocks * BLOCK,
        used=numbers.used * BLOCK,
        reserved=numbers.reserved * BLOCK,
        available=numbers.available * BLOCK,
        inodes=numbers.inodes,
        free_inodes=numbers.free_inodes,
        read_only=numbers.read_only,
    )


class _Held:
    """A command of a host on which some hang: it begins when it can."""

    def __init__(self, host: SimulatedHost, name: str, command: Command) -> None:
        self._host = host
        self._name = name
        self._command = command

    async def __call__(self, call: Call) -> int:
        await self._host.wait_until(lambda now: not self._hangs(now, call))
        return await self._command.run(call)

    def _hangs(self, now: Behaviour, call: Call) -> bool:
        if self._name in now.hung_commands:
            return True
        if not now.hung_paths or self._name not in TOUCHING:
            return False
        paths = [call.path(argument) for argument in call.arguments if not argument.startswith("-")]
        return any(now.hangs(normpath(path)) for path in paths) or (self._name == "df" and not paths)


class Visitor(asyncssh.SSHServer):
    """One connection to a host, from its TCP connection on: what can go wrong with logins and sessions goes here."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._link: Link = conn.get_extra_info("link")
        self._connection = conn
        self._sessions = 0
        self._username = ""  # asyncssh begins no login of a user without a name: that is what it has at first
        self._configured = self._host.behaviour
        """A connection keeps the configuration that sshd had when it was made."""

    async def begin_auth(self, username: str) -> bool:
        self._username = username
        if self._host.behaviour.flood == "login":
            flood_login(self._connection)
        if self._host.behaviour.login_seconds:
            await self._link.hold(self._host.clock.sleep(self._host.behaviour.login_seconds))
        return True

    def password_auth_supported(self) -> bool:
        """By itself and as keyboard-interactive, which asyncssh derives from it."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        known = self._host.knows(username, password)
        if known and self._host.behaviour.expired_password:
            raise asyncssh.PasswordChangeRequired("Your password has expired. New password: ")
        return known and not self._is_sent_away()

    def _is_sent_away(self) -> bool:
        """Whether sshd closes the connection now that it knows the account."""
        if self._host.behaviour.expired_account:
            self._link.finish()
        return self._host.behaviour.expired_account

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._host.knows_key(username, key) and not self._is_sent_away()

    def auth_completed(self) -> None:
        self._host.logins += 1
        self._link.logged_in = True

    def session_requested(self) -> Session:
        host = self._host
        allowed = self._configured.max_sessions
        if allowed is not None and self._sessions >= allowed:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        self._sessions += 1
        has_sftp = host.sftp and not self._configured.no_sftp
        sftp = self._serve_disk if has_sftp else None
        return Session(host, self._username, self._link, sftp, self._configured.forced, self._session_ended)

    def _session_ended(self) -> None:
        self._sessions -= 1

    def _serve_disk(self, channel: SSHChannel[bytes]) -> DiskServer:
        host = self._host
        server_channel = cast("asyncssh.SSHServerChannel[bytes]", channel)
        return DiskServer(server_channel, host, self._link, home_of(host.disk, self._username))


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

"""Connections to hosts: opened with a bound, kept warm, replaced and dropped."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

import asyncssh

from simulator.clock import Clock
from simulator.probe.failures import Failed, Reason, Unsupported
from simulator.probe.host_keys import DEFAULT_PORT, HostKeyPolicy, HostKeys
from simulator.probe.names import check_names
from simulator.probe.phases import Phases
from simulator.probe.sftp import Sftp
from simulator.probe.ssh_config import SshConfig, Way
from simulator.probe.target import Target
from simulator.probe.wire import Wire
from simulator.tasks import Tasks

Address = tuple[str, int]
Route = list[asyncssh.SSHClientConnection]  # by way of which hosts, the one in question last
Resolve = Callable[[str, int], Awaitable[Address]]

_PAUSES = (0.01, 0.03, 0.1)  # seconds
_KEEP_ALIVE = b"keepalive@openssh.com"
_LOGINS_AN_ADDRESS = 5  # at once: sshd's MaxStartups begins to turn some away at 10
_OUTPUT = 65_536  # characters: a host that says more without coming to the point is not listened to


async def resolve_by_system(hostname: str, port: int) -> Address:
    """The address of `hostname` as the system knows it, IPv4 first like ZStack's own node; raises socket.gaierror."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def read_identity(path: Path) -> asyncssh.SSHKey:
    """The private key in a file; raises ValueError when there is none, or it needs a passphrase."""
    try:
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise ValueError(f"identity file {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"identity file {path}: {error}") from error


class Connection:
    """A login on a host, with the SFTP session that it keeps for the next probe."""

    def __init__(self, route: Route, wire: Wire, target: Target, clock: Clock) -> None:
        self._clock = clock
        self._route = route
        self._ssh = route[-1]
        self._wire = wire
        self._login = (target.port, target.username, target.password)
        self._sftp: Sftp | None = None
        self._closed_session = False
        self.used = clock.monotonic()
        """When it was last known to be alive."""
        self.probes = 0
        """How many it has served."""

    def serves(self, target: Target) -> bool:
        """Whether it is open and logged in the way `target` asks for."""
        return not self._ssh.is_closed() and self._login == (target.port, target.username, target.password)

    async def sftp(self, phases: Phases) -> Sftp:
        """The SFTP session of this connection, begun at its first use; raises Unsupported, asyncssh.Error, OSError."""
        if self._sftp is None:
            phases.begin("channel")
            self._sftp = await self._begin_sftp()
            self._wire.release()
        phases.begin("command")
        return self._sftp

    async def _begin_sftp(self) -> Sftp:
        sftp = Sftp()
        try:
            await self._ssh.create_session(lambda: sftp, subsystem="sftp", encoding=None)
            await sftp.begin()
        except asyncssh.ChannelOpenError as error:
            if error.code != asyncssh.OPEN_REQUEST_SESSION_FAILED:
                raise
            self._closed_session = True
            raise Unsupported("no SFTP subsystem") from error
        except asyncssh.SFTPError as error:
            # A forced command or a noisy shell answered instead of an SFTP server.
            if self._ssh.is_closed():
                raise
            self._closed_session = True
            raise Unsupported(f"no SFTP server ({error})") from error
        return sftp

    async def run(self, line: str, until: re.Pattern[str], phases: Phases) -> tuple[str, int | None]:
        """Run a command line without a terminal: all it says, and the exit status if it ended.

        Reading stops where `until` matches. Raises Unsupported when no command may be run, asyncssh.Error, OSError.
        """
        phases.begin("channel")
        process = await self._begin(line)
        self._closed_session = True
        said = ""
        async with process:
            self._wire.release()
            phases.begin("command")
            while not until.search(said) and len(said) < _OUTPUT:
                chunk = await process.stdout.read(_OUTPUT)
                if not chunk:
                    await process.wait_closed()
                    break
                said += chunk
        return said, process.exit_status

    async def _begin(self, line: str) -> asyncssh.SSHClientProcess[str]:
        """Begin a command; tries again for a moment after another session: sshd may not have seen that one's end."""
        pauses = list(_PAUSES) if self._closed_session else []
        while True:
            try:
                return await self._ssh.create_process(
                    line, stdin=asyncssh.DEVNULL, stderr=asyncssh.STDOUT, errors="replace"
                )
            except asyncssh.ChannelOpenError as error:
                if error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED:
                    raise Unsupported("the host runs no commands") from error
                if not pauses or self._ssh.is_closed():
                    raise
            await self._clock.sleep(pauses.pop(0))

    def served(self) -> None:
        """Note that a probe got its answer."""
        self.probes += 1
        self.used = self._clock.monotonic()

    async def is_alive(self, seconds: float) -> bool:
        """Whether sshd itself answers, whatever becomes of what it runs."""
        try:
            # What OpenSSH's ServerAliveInterval asks; asyncssh would go by the event loop's time.
            await self._clock.wait_for(self._ssh._make_global_request(_KEEP_ALIVE), seconds)
        except (TimeoutError, asyncssh.Error, OSError):
            return False
        self.used = self._clock.monotonic()
        return not self._ssh.is_closed()

    def abort(self) -> None:
        """Cut the connection: whatever runs over it is abandoned."""
        for ssh in reversed(self._route):
            ssh.abort()

    async def close(self) -> None:
        """Log out; what still runs over it fails as lost."""
        for ssh in reversed(self._route):
            ssh.close()
            await ssh.wait_closed()


class Connections:
    """Opens connections, `max_logins` at once at most and fewer to one address, and keeps one a host."""

    def __init__(
        self,
        clock: Clock,
        resolve: Resolve,
        identity: asyncssh.SSHKey | None,
        *,
        host_keys: HostKeys,
        ssh_config: Path | None,
        connect_timeout: float,
        max_logins: int,
        keep_alive: float,
    ) -> None:
        """`keep_alive` is how long a connection may be idle, in seconds; raises ValueError for a bad `ssh_config`."""
        self._clock = clock
        self._resolve = resolve
        self._host_keys = host_keys
        self._connect_timeout = connect_timeout
        self._keep_alive = keep_alive
        self._logins = asyncio.Semaphore(max_logins)
        self._logins_at: WeakValueDictionary[Address, asyncio.Semaphore] = WeakValueDictionary()
        self._kept: dict[str, Connection] = {}
        self._tasks = Tasks()
        self._closed = False
        base: dict[str, object] = {
            "config": None,
            "known_hosts": None if host_keys.policy is HostKeyPolicy.IGNORE else host_keys.trusted,
            "agent_path": None,
            "gss_host": None,
            "gss_kex": False,
            "gss_auth": False,
            "host_based_auth": False,
            "x509_trusted_certs": None,
            "x509_trusted_cert_paths": [],
            "encryption_algs": "^aes128-gcm@openssh.com",  # a third less work for Python than asyncssh's first choice
            "compression_algs": None,
            "login_timeout": 0,  # the clock bounds the login, not the event loop
        }
        self._has_key = identity is not None
        self._options = asyncssh.SSHClientConnectionOptions(**base, client_keys=[identity] if identity else None)
        self._ssh_config = None if ssh_config is None else SshConfig(ssh_config, identity, base)

    def warm(self, target: Target) -> Connection | None:
        """The connection that is kept for the host of `target`, if it serves it."""
        connection = self._kept.get(target.hostname)
        return connection if connection is not None and connection.serves(target) else None

    async def open(self, target: Target, phases: Phases, wire: Wire) -> Connection:
        """Log in over `wire` in place of the connection that was kept.

        Raises TimeoutError, OSError, asyncssh.Error, and Failed for a host key that is not trusted.
        """
        await self.drop(target.hostname)
        try:
            route = await self._log_in(target, phases, wire)
        except BaseException:
            wire.abort()
            raise
        phases.end()
        if self._closed:
            for ssh in route:
                ssh.abort()
            raise asyncssh.ConnectionLost("closed while logging in")
        connection = self._kept[target.hostname] = Connection(route, wire, target, self._clock)
        if not self._tasks:
            self._tasks.begin(self._keep_all_alive(), "keep connections alive")
        return connection

    async def _log_in(self, target: Target, phases: Phases, wire: Wire) -> Route:
        """Log in within the time for that; waiting for a turn does not count."""
        way = await self._way_to(target)
        if not way.direct:
            phases.begin("tcp")
            async with self._logins:
                return await self._clock.wait_for(self._by_hops(way, target, phases), self._connect_timeout)
        async with self._logins:
            began = self._clock.monotonic()
            phases.begin("resolve")
            wire.address = await self._clock.wait_for(self._resolve(way.host, way.port), self._connect_timeout)
            phases.end()
            left = self._connect_timeout - (self._clock.monotonic() - began)
        turn = self._logins_at.setdefault(wire.address, asyncio.Semaphore(_LOGINS_AN_ADDRESS))
        over = cast(asyncssh.SSHClientConnection, wire)  # whatever can create a connection will do
        async with turn, self._logins:
            return [await self._clock.wait_for(self._connect(way, over, target, phases), left)]

    async def _way_to(self, target: Target) -> Way:
        check_names(target)
        if self._ssh_config is None:
            return Way(self._options, target.hostname, target.port, self._has_key)
        try:
            return await asyncio.to_thread(self._ssh_config.way_to, target)
        except (OSError, ValueError) as error:
            raise Failed(Reason.AUTH_FAILED, f"the SSH configuration cannot be used ({error})") from error

    async def _by_hops(self, way: Way, target: Target, phases: Phases) -> Route:
        """Log in from one host on the way to the next; the last of the route is the target."""
        route: Route = []
        try:
            for hop in way.hops:
                route.append(await way.connect_hop(hop, route[-1] if route else None))
            route.append(await self._connect(way, route[-1] if route else None, target, phases))
        except BaseException:
            for ssh in reversed(route):
                ssh.abort()
            raise
        return route

    async def _connect(
        self, way: Way, over: asyncssh.SSHClientConnection | None, target: Target, phases: Phases
    ) -> asyncssh.SSHClientConnection:
        methods = ["publickey"] if way.has_keys else []
        if target.password is not None:
            methods += ["password", "keyboard-interactive"]
        client = _Client(phases, self._host_keys)
        more: dict[str, object] = {} if over is None else {"tunnel": over}
        if kinds := self._kinds_of_host_keys(way, over.address[0] if isinstance(over, Wire) else ""):
            more["server_host_key_algs"] = kinds
        try:
            return await asyncssh.connect(
                way.host,
                way.port,
                config=way.options.kwargs["config"],
                options=way.options,
                username=target.username,
                password=target.password,
                preferred_auth=methods or ["none"],
                client_factory=lambda: client,
                **more,
            )
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            ignored = self._host_keys.policy is HostKeyPolicy.IGNORE
            if client.complaint is None and (ignored or "host key" not in str(error)):
                raise
            raise Failed(Reason.HOST_KEY_CHANGED, client.complaint or f"no host key that is known ({error})") from error

    def _kinds_of_host_keys(self, way: Way, address: str) -> list[str]:
        """What to ask for where host keys are looked at; nothing where somebody else has said."""
        if self._host_keys.policy is HostKeyPolicy.IGNORE or way.options.config.get("HostKeyAlgorithms"):
            return []
        host = way.options.host_key_alias or way.host
        return self._host_keys.algorithms(host, address, None if way.port == DEFAULT_PORT else way.port)

    async def _keep_all_alive(self) -> None:
        """Ask connections that have been idle for long whether they live, and cut those that do not."""
        while self._kept:
            await self._clock.sleep(self._keep_alive)
            idle = self._clock.monotonic() - self._keep_alive
            await asyncio.gather(
                *(
                    self._check(hostname, connection)
                    for hostname, connection in list(self._kept.items())
                    if connection.used <= idle
                )
            )

    async def _check(self, hostname: str, connection: Connection) -> None:
        if not await connection.is_alive(self._connect_timeout) and self._kept.get(hostname) is connection:
            self.abort(hostname)

    async def drop(self, hostname: str) -> None:
        """Close the connection that is kept for `hostname`."""
        connection = self._kept.pop(hostname, None)
        if connection is not None:
            await connection.close()

    def abort(self, hostname: str) -> None:
        """Cut the connection that is kept for `hostname`, at once."""
        connection = self._kept.pop(hostname, None)
        if connection is not None:
            connection.abort()

    async def close(self) -> None:
        """Close every connection, and a login that is under way once it is through."""
        self._closed = True
        await self._tasks.close()
        for hostname in list(self._kept):
            await self.drop(hostname)


class _Client(asyncssh.SSHClient):
    """Hears from asyncssh when the keys are exchanged, and of a host key that is not trusted yet."""

    def __init__(self, phases: Phases, host_keys: HostKeys) -> None:
        self._phases = phases
        self._host_keys = host_keys
        self.complaint: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.complaint = self._host_keys.judge(host, addr, port, key)
        return self.complaint is None

    def begin_auth(self, username: str) -> None:
        self._phases.begin("auth")

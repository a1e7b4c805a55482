"""Connections to hosts: opened with a bound, kept warm, replaced and dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast
from weakref import WeakValueDictionary

import asyncssh

from imagestore_sim.clock import Clock
from imagestore_sim.probe.algorithms import CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS
from imagestore_sim.probe.bounded_tunnel import PROBE_BYTES, BoundedTunnel, RoundRobin
from imagestore_sim.probe.failures import Failed, Reason, Unsupported
from imagestore_sim.probe.host_keys import DEFAULT_PORT, HostKeyPolicy, HostKeys
from imagestore_sim.probe.login_client import LoginClient
from imagestore_sim.probe.login_slots import LoginSlots, Purpose
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.resolving import Address, Resolve, SystemResolver, literal_address
from imagestore_sim.probe.safe_names import check_names
from imagestore_sim.probe.sftp import SftpSession
from imagestore_sim.probe.ssh_config import Route, SshConfig
from imagestore_sim.probe.target import Target
from imagestore_sim.tasks import Tasks

__all__ = ["Address", "Connection", "Connections", "Resolve", "resolve_by_system"]

ConnectionChain = list[asyncssh.SSHClientConnection]  # by way of which hosts, the one in question last

_PAUSES = (0.01, 0.03, 0.1)  # seconds
_KEEP_ALIVE = b"keepalive@openssh.com"
_LOGINS_AN_ADDRESS = 5  # at once: sshd's MaxStartups begins to turn some away at 10
_OUTPUT = 65_536  # characters: a host that says more without coming to the point is not listened to
_WINDOW = 2 * _OUTPUT  # bytes that a host may send on a channel before they have been read
_PACKET = 32_768  # bytes of one packet on a channel
_LINGER_SECONDS = 0.1  # for a session to close when its answer has come; one that lingers is left alone
_MOST_LINGERING = 3  # sessions of a connection: with more it is replaced

resolve_by_system = SystemResolver()


class OutputReader(Protocol):
    """Takes what a command prints."""

    length: int
    """Characters so far."""
    complete: bool
    """Whether nothing more is wanted."""

    def feed(self, chunk: str) -> None:
        """Take what is printed next."""


class Connection:
    """A login on a host, with the SFTP session that it keeps for the next probe."""

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
        """When it was last known to be alive."""
        self.probes = 0
        """How many it has served."""

    def serves(self, target: Target) -> bool:
        """Whether it is open and logged in the way `target` asks for."""
        if self._ssh.is_closed() or self._lingering >= _MOST_LINGERING:
            return False
        return self._login == (target.port, target.username, target.password)

    @property
    def flooded(self) -> str | None:
        """Why the host was cut off, if it was."""
        return self._tunnel.flooded

    @property
    def noisy(self) -> bool:
        """Whether the host has sent much more in this probe than an answer takes."""
        return self._tunnel.noisy

    def begin_probe(self) -> None:
        """Let the host send what one more probe may need."""
        self._tunnel.allow(PROBE_BYTES)

    async def sftp(self, phases: Phases) -> SftpSession:
        """The SFTP session of this connection, begun at its first use; raises Unsupported, asyncssh.Error, OSError."""
        if self._sftp is None:
            phases.begin("channel")
            self._sftp = await self._begin_sftp()
            self._tunnel.settle()
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
            # A forced command or a noisy shell answered instead of an SFTP server.
            if self._ssh.is_closed():
                raise
            self._closed_session = True
            raise Unsupported(f"no SFTP server ({error})") from error
        return sftp

    def leave_sftp(self) -> None:
        """End the SFTP session, if there is one; the next question begins another."""
        sftp, self._sftp = self._sftp, None
        if sftp is not None:
            self._closed_session = True
            sftp.close()

    async def run(self, line: str, reader: OutputReader, phases: Phases) -> int | None:
        """Run a command line without a terminal; answers the exit status, None where there is none (yet).

        `reader` takes what it prints, until that is complete or too long: then the session is closed, and one that
        lingers is left alone. Raises Unsupported when no command may be run, asyncssh.Error, OSError.
        """
        phases.begin("channel")
        process = await self._begin(line)
        self._closed_session = True
        try:
            self._tunnel.settle()
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
        """Begin a command; tries again for a moment after another session: sshd may not have seen that one's end."""
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
        for ssh in reversed(self._chain):
            ssh.abort()

    async def close(self) -> None:
        """Log out; what still runs over it fails as lost."""
        for ssh in reversed(self._chain):
            ssh.close()
            await ssh.wait_closed()


@contextmanager
def _opening_a_session() -> Iterator[None]:
    """Raise ConnectionLost where a host closes a session in the moment that it opens it, which asyncssh trips over."""
    try:
        yield
    except AttributeError as error:
        raise asyncssh.ConnectionLost("the session was closed as it was opened") from error


class Connections:
    """Opens a bounded number of connections at once, fewer to one address, and keeps one a host."""

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
        """`max_logins` is how many places each purpose has for logins, `keep_alive` how long a connection may be idle,
        in seconds. Raises ValueError for a bad `ssh_config`."""
        self._clock = clock
        self._resolve = resolve
        self._host_keys = self.host_keys = host_keys
        self._connect_timeout = connect_timeout
        self._keep_alive = keep_alive
        self._login_slots = LoginSlots(clock, max_logins)
        self._logins_at: WeakValueDictionary[Address, asyncio.Semaphore] = WeakValueDictionary()
        self._round_robin = RoundRobin()
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
            "kex_algs": list(KEY_EXCHANGES.default),
            "encryption_algs": list(CIPHERS.default),
            "mac_algs": list(MACS.default),
            "server_host_key_algs": list(HOST_KEYS.default),
            "compression_algs": None,  # nor is there any to unpack that was made to grow
            "login_timeout": 0,  # the clock bounds the login, not the event loop
        }
        self._has_key = identity is not None
        self._options = asyncssh.SSHClientConnectionOptions(**base, client_keys=[identity] if identity else None)
        self._ssh_config = None if ssh_config is None else SshConfig(ssh_config, identity, base)

    def tunnel(self, phases: Phases) -> BoundedTunnel:
        """What a login is going to be made over."""
        return BoundedTunnel(phases, self._round_robin)

    def warm(self, target: Target) -> Connection | None:
        """The connection that is kept for the host of `target`, if it serves it."""
        connection = self._kept.get(target.hostname)
        return connection if connection is not None and connection.serves(target) else None

    async def open(
        self,
        target: Target,
        phases: Phases,
        tunnel: BoundedTunnel,
        purpose: Purpose = Purpose.COMMAND,
        *,
        suspect: bool = False,
    ) -> Connection:
        """Log in over `wire` in place of the connection that was kept; a `suspect` host waits behind others.

        Raises TimeoutError, OSError, asyncssh.Error, and Failed for a host key that is not trusted.
        """
        await self.drop(target.hostname)
        try:
            chain = await self._log_in(target, phases, tunnel, purpose, suspect)
        except BaseException:
            tunnel.abort()
            raise
        phases.end()
        if self._closed:
            for ssh in chain:
                ssh.abort()
            raise asyncssh.ConnectionLost("closed while logging in")
        connection = self._kept[target.hostname] = Connection(chain, tunnel, target, self._clock)
        if not self._tasks:
            self._tasks.begin(self._keep_all_alive(), "keep connections alive")
        return connection

    async def _log_in(
        self, target: Target, phases: Phases, tunnel: BoundedTunnel, purpose: Purpose, suspect: bool
    ) -> ConnectionChain:
        """Log in within the time for that; waiting for a turn does not count."""
        route = await self._route_to(target)
        if not route.direct:
            phases.begin("tcp")
            async with self._login_slots.place(purpose, suspect=suspect):
                return await self._clock.wait_for(self._by_hops(route, tunnel, target, phases), self._connect_timeout)
        began = self._clock.monotonic()
        phases.begin("resolve")
        tunnel.address = await self._clock.wait_for(self._resolve(route.host, route.port), self._connect_timeout)
        tunnel.local = route.local
        phases.end()
        left = self._connect_timeout - (self._clock.monotonic() - began)
        turn = self._logins_at.setdefault(tunnel.address, asyncio.Semaphore(_LOGINS_AN_ADDRESS))
        async with turn, self._login_slots.place(purpose, suspect=suspect):
            return [await self._clock.wait_for(self._connect(route, tunnel, target, phases), left)]

    async def _route_to(self, target: Target) -> Route:
        check_names(target)
        if self._ssh_config is None:
            host = literal_address(target.hostname) or target.hostname
            return Route(self._options, host, target.port, self._has_key)
        try:
            return await asyncio.to_thread(self._ssh_config.route_to, target)
        except (OSError, ValueError) as error:
            raise Failed(Reason.AUTH_FAILED, f"the SSH configuration cannot be used ({error})") from error

    async def _by_hops(self, route: Route, tunnel: BoundedTunnel, target: Target, phases: Phases) -> ConnectionChain:
        """Log in from one host on the way to the next; the last of the route is the target."""
        chain: ConnectionChain = []
        try:
            for hop in route.hops:
                chain.append(await route.connect_hop(hop, chain[-1] if chain else None))
            tunnel.through, tunnel.command = chain[-1] if chain else None, route.command
            chain.append(await self._connect(route, tunnel, target, phases))
        except BaseException:
            for ssh in reversed(chain):
                ssh.abort()
            raise
        return chain

    async def _connect(
        self, route: Route, tunnel: BoundedTunnel, target: Target, phases: Phases
    ) -> asyncssh.SSHClientConnection:
        client = LoginClient(phases, self._host_keys, target, tunnel.evidence)
        more: dict[str, object] = {}
        if kinds := self._kinds_of_host_keys(route, tunnel.address[0]):
            more["server_host_key_algs"] = kinds
        try:
            return await asyncssh.connect(
                route.host,
                route.port,
                config=route.options.kwargs["config"],
                options=route.options,
                username=target.username,
                preferred_auth=self._methods(route, target) or ["none"],
                client_factory=lambda: client,
                tunnel=cast(asyncssh.SSHClientConnection, tunnel),  # whatever can create a connection will do
                **more,
            )
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            ignored = self._host_keys.policy is HostKeyPolicy.IGNORE
            if client.complaint is None and (ignored or "host key" not in str(error)):
                raise
            raise Failed(Reason.HOST_KEY_CHANGED, client.complaint or f"no host key that is known ({error})") from error

    @staticmethod
    def _methods(route: Route, target: Target) -> list[str]:
        methods = ["publickey"] if route.has_keys else []
        if target.password is not None:
            methods += ["password", "keyboard-interactive"]
        if not route.preferred:
            return methods
        return [method for method in route.preferred if method in methods]

    def _kinds_of_host_keys(self, route: Route, address: str) -> list[str]:
        """What to ask for where host keys are looked at; nothing where somebody else has said."""
        if self._host_keys.policy is HostKeyPolicy.IGNORE or route.options.config.get("HostKeyAlgorithms"):
            return []
        host = route.options.host_key_alias or route.host
        return self._host_keys.algorithms(host, address, None if route.port == DEFAULT_PORT else route.port)

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
        await self._login_slots.close()
        for hostname in list(self._kept):
            await self.drop(hostname)

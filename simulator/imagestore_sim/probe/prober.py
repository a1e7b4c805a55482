"""probe(target): one SSH probe of the capacity of a path."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagestore_sim.clock import Clock
from imagestore_sim.probe import df, stat, statvfs
from imagestore_sim.probe.capacity import Capacity, Method, Space
from imagestore_sim.probe.connections import Connection, Connections, Resolve, resolve_by_system
from imagestore_sim.probe.failures import LoginEvidence, ProbeFailure, Reason, Unclear, Unsupported, explain
from imagestore_sim.probe.host_keys import HostKeyPolicy, HostKeys
from imagestore_sim.probe.identity import read_identity
from imagestore_sim.probe.login_slots import Purpose, current_purpose
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.target import Layout, Request, Target

Measure = Callable[[Connection, Request], Awaitable[Space]]
Observe = Callable[[Capacity | ProbeFailure], None]
"""Is told what a probe came to."""

_METHODS: Mapping[Method, Measure] = {
    Method.STATVFS: statvfs.measure,
    Method.DF: df.measure,
    Method.STAT: stat.measure,
}
# What a connection shows that went stale while it was kept, and whatever makes one useless for the next probe.
_STALE = (Reason.RESET, Reason.BUSY)
_ALIVE_SECONDS = 1.0  # for sshd to answer when what it runs does not
# A connection keeps the sshd_config that it was made under, so a missing capacity or command may be gone on a new one.
# An sshd that lets in an account whose password has expired turns down all that is asked over that connection.
_USELESS = (
    *_STALE, Reason.AUTH_FAILED, Reason.HUNG, Reason.NO_CAPACITY, Reason.NO_COMMAND, Reason.FLOOD, Reason.ERROR,
)  # fmt: skip
# What takes the time, or the work, of a login: a host that ended so waits behind those that did not.
_HINDERING = (Reason.TIMEOUT, Reason.HUNG, Reason.DNS, Reason.UNREACHABLE, Reason.FLOOD)


@dataclass(slots=True)
class _Host:
    """What is known of a host, by whose turn at most one probe is outstanding on it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    method: Method = Method.STATVFS
    probes: int = 0  # outstanding or queued
    forgotten: bool = False  # while a probe was outstanding
    suspect: bool = False  # its last probe hung
    file_systems: dict[str, str] = field(default_factory=dict)  # by url: where the folders of a storage were last seen


class Prober:
    """Probes hosts over SSH, each over the one connection that it keeps warm for the next probe."""

    def __init__(
        self,
        clock: Clock,
        *,
        resolve: Resolve | None = None,
        warm: bool = True,
        identity_file: Path | None = None,
        read_only_hosts: bool = False,
        connect_timeout: float = 5.0,
        command_timeout: float = 10.0,
        max_logins: int = 20,
        keep_alive: float = 30.0,
        busy_pauses: Sequence[float] = (0.1, 0.3, 0.6),
        host_keys: HostKeyPolicy = HostKeyPolicy.IGNORE,
        known_hosts: Path | None = None,
        ssh_config: Path | None = None,
        seed: int = 0,
        observe: Observe = lambda _: None,
    ) -> None:
        """Timeouts are seconds: one for all of a login, one for all that follows. `max_logins` is for each purpose.

        An idle connection is asked whether it lives each `keep_alive` seconds; an sshd that takes no more logins is
        tried again after each of `busy_pauses`, more or less. Raises ValueError for a file that cannot be used.
        """
        identity = None if identity_file is None else read_identity(identity_file)
        self._busy_pauses = busy_pauses
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - pauses that can be repeated
        self._clock = clock
        self._warm = warm
        self._observe = observe
        self._read_only_hosts = read_only_hosts
        self._command_timeout = command_timeout
        self._alive_timeout = min(_ALIVE_SECONDS, connect_timeout)
        self._connections = Connections(
            clock,
            resolve or resolve_by_system,
            identity,
            host_keys=HostKeys(host_keys, known_hosts or Path("known_hosts")),
            ssh_config=ssh_config,
            connect_timeout=connect_timeout,
            max_logins=max_logins,
            keep_alive=keep_alive,
        )
        self._hosts: dict[str, _Host] = {}
        # Whoever the system names lives in real time; who else resolves names has a say in how hosts live.
        self._outside = clock.outside if resolve is None else nullcontext
        self._closed = False

    async def probe(
        self,
        target: Target,
        *,
        layout: Layout = Layout.ANY,
        fresh: bool = False,
    ) -> Capacity | ProbeFailure:
        """The capacity of the target's url, or why there is none; `fresh` logs in anew whatever connection is kept.

        Waits for its turn when another probe is outstanding on the host, and for a place when it has to log in: see
        `probing_for`. Raises RuntimeError after `close`, and nothing else: an error that no rule knows is a failure.
        """
        if self._closed:
            raise RuntimeError("the prober is closed")
        host = self._hosts.get(target.hostname)
        if host is None:
            host = self._hosts[target.hostname] = _Host()
        host.probes += 1
        try:
            async with host.turn:
                with self._outside():
                    wanted = Layout.ANY if self._read_only_hosts else layout
                    found = await self._take_turn(host, target, wanted, fresh, current_purpose())
            host.suspect = isinstance(found, ProbeFailure) and found.reason in _HINDERING
            self._observe(found)
            return found
        finally:
            host.probes -= 1
            if host.forgotten and not host.probes:
                del self._hosts[target.hostname]

    async def forget(self, hostname: str) -> None:
        """Drop what is kept for `hostname`: at once, or at the end of the probe that is outstanding on it."""
        host = self._hosts.get(hostname)
        if host is not None and host.probes:
            host.forgotten = True
        elif host is not None:
            del self._hosts[hostname]
            await self._connections.drop(hostname)

    async def restart(self) -> None:
        """Drop what is kept of every host, the keys that were noted since the start included; chance begins again."""
        for hostname in list(self._hosts):
            await self.forget(hostname)
        self._connections.host_keys.restart()
        self._random.seed(self._seed)

    async def close(self) -> None:
        """Close every connection; a probe that is still outstanding fails as reset."""
        self._closed = True
        await self._connections.close()

    async def _take_turn(
        self, host: _Host, target: Target, layout: Layout, fresh: bool, purpose: Purpose
    ) -> Capacity | ProbeFailure:
        host.forgotten = False
        if fresh:
            host.method = Method.STATVFS
        connection = None if fresh else self._connections.warm(target)
        result = None
        if connection is not None:
            result = await self._use(connection, host, target, layout, Phases(self._clock))
        if result is None or (isinstance(result, ProbeFailure) and result.reason in _STALE):
            result = await self._log_in_and_use(host, target, layout, purpose)
        if host.forgotten or not self._warm:
            await self._connections.drop(target.hostname)
        return result

    async def _log_in_and_use(
        self, host: _Host, target: Target, layout: Layout, purpose: Purpose
    ) -> Capacity | ProbeFailure:
        """Log in and ask; while sshd has too many logins under way, or sessions, try again in a while."""
        for pause in self._busy_pauses:
            result = await self._log_in_and_use_once(host, target, layout, purpose)
            if not isinstance(result, ProbeFailure) or result.reason is not Reason.BUSY or self._closed:
                return result
            await self._clock.sleep(pause * self._random.uniform(0.5, 1.5))
        return await self._log_in_and_use_once(host, target, layout, purpose)

    async def _log_in_and_use_once(
        self, host: _Host, target: Target, layout: Layout, purpose: Purpose
    ) -> Capacity | ProbeFailure:
        phases = Phases(self._clock)
        tunnel = self._connections.tunnel(phases)
        try:
            connection = await self._connections.open(target, phases, tunnel, purpose, suspect=host.suspect)
        except Exception as error:
            phases.end()
            return explain(error, target, phases.current, phases.milliseconds, tunnel.close_up())
        return await self._use(connection, host, target, layout, phases)

    async def _use(
        self, connection: Connection, host: _Host, target: Target, layout: Layout, phases: Phases
    ) -> Capacity | ProbeFailure:
        """Ask over a connection, which is cut when it is of no use any more: lost, hung, or the probe cancelled."""
        result: Capacity | ProbeFailure | None = None
        try:
            result = await self._ask(connection, host, target, layout, phases)
        finally:
            if result is None or (isinstance(result, ProbeFailure) and result.reason in _USELESS):
                self._connections.abort(target.hostname)
        return result

    async def _ask(
        self, connection: Connection, host: _Host, target: Target, layout: Layout, phases: Phases
    ) -> Capacity | ProbeFailure:
        # The timeout on the host itself strikes first, so that no command is left behind there.
        request = Request(target.url, layout, phases, seconds=max(1, int(self._command_timeout) - 1))
        connection.begin_probe()
        try:
            method, space = await self._clock.wait_for(_measure(connection, host, request), self._command_timeout)
        except Exception as error:
            phases.end()
            evidence = LoginEvidence(flooded=connection.flooded, noisy=connection.noisy)
            failure = explain(error, target, phases.current, phases.milliseconds, evidence)
            hung = failure.reason is Reason.HUNG
            if hung and connection.probes and not await connection.is_alive(self._alive_timeout):
                # No file system hangs: the host has gone, or was restarted since. A login will tell.
                message = f"{target.hostname}:{target.port}: the connection does not answer any more"
                return replace(failure, reason=Reason.RESET, message=message)
            return failure
        phases.end()
        connection.served()
        return Capacity(space.total, space.available, space.inodes, space.read_only, method, phases.milliseconds)


async def _measure(connection: Connection, host: _Host, request: Request) -> tuple[Method, Space]:
    """The space, and a look at the storage's folders when it is on another file system than they were seen on.

    Without one of them it is the wrong file system: that of a mount point whose disk is not mounted (domain 6.3).
    """
    method, space = await _try_methods(connection, host, request)
    if request.layout in (Layout.CREATE, Layout.REQUIRE):
        host.file_systems[request.url] = space.file_system
    elif host.file_systems.get(request.url, space.file_system) != space.file_system:
        method, space = await _try_methods(connection, host, replace(request, layout=Layout.REQUIRE))
        host.file_systems[request.url] = space.file_system
    return method, space


async def _try_methods(connection: Connection, host: _Host, request: Request) -> tuple[Method, Space]:
    """Try the methods from the one that worked last; raises what the first one raises that the host supports.

    A method that fails without saying why is not given up for good: it is tried first again the next time.
    """
    methods = list(_METHODS)
    missing: list[str] = []
    unclear: Unclear | None = None
    for method in methods[methods.index(host.method) :]:
        try:
            space = await _METHODS[method](connection, request)
        except Unclear as error:
            unclear = unclear or error
            connection.leave_sftp()
            continue
        except Unsupported as error:
            missing.append(f"{method}: {error}")
            continue
        if unclear is None:
            host.method = method
        return method, space
    raise unclear or Unsupported("; ".join(missing))

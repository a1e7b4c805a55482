"""The prober: one SSH probe at a time on each host, of the capacity of a path."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.probe.agent import PORT as AGENT_PORT
from imagestore_sim.probe.agent import AgentClient
from imagestore_sim.probe.capacity import Capacity, Method, PingMode, Reached
from imagestore_sim.probe.classification import explain
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.connections import Connections
from imagestore_sim.probe.failures import Failed, LoginEvidence, ProbeFailure
from imagestore_sim.probe.files import FileRefused, refusing
from imagestore_sim.probe.host_keys import HostKeyPolicy, HostKeys
from imagestore_sim.probe.hosts_files import HostsFiles
from imagestore_sim.probe.identity import read_identity
from imagestore_sim.probe.login import Login
from imagestore_sim.probe.login_slots import Purpose, current_purpose
from imagestore_sim.probe.methods import HostState, measure
from imagestore_sim.probe.permit import current_permit
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.resolving import Resolve, SystemResolver
from imagestore_sim.probe.sftp import SftpSession
from imagestore_sim.probe.target import Layout, Request, Target
from imagestore_sim.reasons import Reason

R = TypeVar("R")
T = TypeVar("T")
Observe = Callable[[Capacity | Reached | ProbeFailure], None]
"""Called with the result of each probe."""
Watch = Callable[[str, Purpose], AbstractContextManager[None]]
"""Is entered while a probe, or a change of files, has the host of that name for itself."""
Use = Callable[[Connection, Phases], Awaitable[R | ProbeFailure]]
"""What is done over a connection that is logged in."""

# Failures of a kept connection that has gone stale: the probe is repeated after a new login.
_STALE = (Reason.RESET, Reason.BUSY)
_ALIVE_SECONDS = 1.0  # for sshd to answer when what it runs does not
# Failures after which the connection is closed. A connection keeps the sshd_config that it was made under, so a missing
# capacity or command may be there on a new one; and an sshd that lets in an account whose password has expired refuses
# everything on that connection.
_UNUSABLE = (
    *_STALE, Reason.AUTH_FAILED, Reason.HUNG, Reason.NO_CAPACITY, Reason.NO_COMMAND, Reason.FLOOD, Reason.ERROR,
)  # fmt: skip
# Failures that cost a login much time or work: the host queues behind others at its next login.
_SUSPICIOUS = (Reason.TIMEOUT, Reason.HUNG, Reason.DNS, Reason.UNREACHABLE, Reason.FLOOD)
MOST_LOGINS = 20
_resolve_by_system = SystemResolver()


class Prober:
    """Probes hosts over SSH, keeping one warm connection a host for the next probe."""

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
        max_logins: int = MOST_LOGINS,
        keep_alive: float = 30.0,
        busy_pauses: Sequence[float] = (0.1, 0.3, 0.6),
        host_keys: HostKeyPolicy = HostKeyPolicy.IGNORE,
        known_hosts: Path | None = None,
        ssh_config: Path | None = None,
        hosts_files: Sequence[Path] = (),
        seed: int = 0,
        observe: Observe = lambda _: None,
        agent_port: int = AGENT_PORT,
    ) -> None:
        """Take the timeouts of a login and of what follows it, in seconds, and `max_logins` for each purpose.

        An idle connection is checked each `keep_alive` seconds. A busy sshd is tried again after each of `busy_pauses`
        (seconds), varied by a random factor from `seed`. Names in `hosts_files` have the addresses there. Without
        `warm` every probe logs in. Agents are asked on `agent_port`. Raise ValueError for a file that cannot be used.
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
        self._host_keys = HostKeys(host_keys, known_hosts or Path("known_hosts"))
        by_name = self._by_name = HostsFiles(hosts_files, clock, resolve or _resolve_by_system)
        self._agents = AgentClient(clock, by_name, connect_timeout, agent_port)
        self._login = Login(
            clock,
            by_name,
            identity,
            self._host_keys,
            ssh_config,
            connect_timeout=connect_timeout,
            max_logins=max_logins,
        )
        self._connections = Connections(
            clock,
            self._login,
            alive_timeout=connect_timeout,
            keep_alive=keep_alive,
            filling=not isinstance(clock, RealClock),  # in virtual time, each turn of the event loop counts
        )
        self._hosts: dict[str, HostState] = {}
        self._all_outside = resolve is None
        self.watch: Watch = _watch_nothing
        """Watches who works on which host."""
        self._closed = False
        self._is_cut_off = False

    async def probe(
        self,
        target: Target,
        *,
        layout: Layout = Layout.ANY,
        fresh: bool = False,
    ) -> Capacity | ProbeFailure:
        """Return the capacity of the target's url, or the failure. `fresh` logs in even if a connection is kept.

        A probe waits for others on the same host, and for a slot when it has to log in: see `probing_for`. Raise
        RuntimeError after `close`, and nothing else: an unexpected error is a failure with Reason.ERROR.
        """
        purpose = current_purpose()
        allowed = Layout.ANY if self._read_only_hosts else layout
        found = await self._in_turn(target, lambda host: self._take_turn(host, target, allowed, fresh, purpose))
        self._observe(found)
        return found

    async def change_files(
        self, target: Target, change: Callable[[SftpSession], Awaitable[T]]
    ) -> T | FileRefused | ProbeFailure:
        """Run `change` over SFTP on the target's host, in the host's turn and over its warm connection.

        Return its result, what the host said when it refused, or the failure to reach it. `change` may run twice: the
        host may have closed the kept connection. Raise RuntimeError after `close`, or if hosts may only be read.
        """
        if self._read_only_hosts:
            raise RuntimeError("the prober may not write to hosts")
        purpose = current_purpose()

        async def use(connection: Connection, phases: Phases) -> T | FileRefused | ProbeFailure:
            async def work() -> T | FileRefused:
                return await refusing(change(await connection.sftp(phases)))

            return await self._bounded(connection, target, phases, work())

        return await self._in_turn(target, lambda host: self._use_warm_or_new(host, target, purpose, use, fresh=False))

    async def reach(self, target: Target, mode: PingMode, *, fresh: bool = False) -> Reached | ProbeFailure:
        """Return that the host of a target answers as `mode` asks, or the failure. No capacity is measured.

        `fresh` connects the agent: later calls expect the one that answers now. It waits for others, and raises, as
        `probe` does.
        """
        purpose = current_purpose()
        found = await self._in_turn(target, lambda host: self._reach(host, target, mode, fresh, purpose))
        self._observe(found)
        return found

    async def _in_turn(
        self, target: Target, work: Callable[[HostState], Awaitable[R | ProbeFailure]]
    ) -> R | ProbeFailure:
        """Return the result of `work`, which is the only work on the target's host until it ends."""
        if self._is_cut_off:  # as for what ran then: its connection was lost
            return ProbeFailure(Reason.RESET, "connection lost: the node was cut off from its hosts", {})
        if self._closed:
            raise RuntimeError("the prober is closed")
        host = self._hosts.get(target.hostname)
        if host is None:
            host = self._hosts[target.hostname] = HostState()
        host.probes += 1
        try:
            async with host.turn:
                with self._outside(target.hostname), self.watch(target.hostname, current_purpose()):
                    host.forgotten = False
                    found = await work(host)
                    if host.forgotten or not self._warm:
                        await self._connections.drop(target.hostname)
            host.suspect = isinstance(found, ProbeFailure) and found.reason in _SUSPICIOUS
            return found
        finally:
            host.probes -= 1
            if host.forgotten and not host.probes:
                del self._hosts[target.hostname]

    def _outside(self, hostname: str) -> AbstractContextManager[None]:
        """Let time pass as a host needs it, while that works.

        Hosts that the system's resolver or a file finds live in real time. A resolver of the lab's own finds simulated
        hosts, which live by its clock.
        """
        return self._clock.outside() if self._all_outside or hostname in self._by_name else nullcontext()

    async def forget(self, hostname: str) -> None:
        """Drop what is kept for `hostname`: at once, or at the end of the probes that run or wait there."""
        host = self._hosts.get(hostname)
        if host is not None and host.probes:
            host.forgotten = True
        elif host is not None:
            del self._hosts[hostname]
            await self._connections.drop(hostname)

    def abandon(self, hostname: str) -> None:
        """Drop what is kept for `hostname` without a word to the host; what works there, at the end of that."""
        host = self._hosts.get(hostname)
        if host is not None and host.probes:
            host.forgotten = True
        elif host is not None:
            del self._hosts[hostname]
            self._connections.abort(hostname)

    async def restart(self) -> None:
        """Drop what is kept for every host and the host keys added since the start, and restart the random pauses."""
        for hostname in list(self._hosts):
            await self.forget(hostname)
        self._host_keys.restart()
        self._random.seed(self._seed)

    def drop_connections(self) -> None:
        """Close every warm connection without a word to the host: what runs over them fails."""
        self._connections.abort_all()

    def cut_off(self) -> None:
        """Close every connection without a word to the host, as a kill -9 would; each later probe fails likewise."""
        self._is_cut_off = self._closed = True
        self._connections.cut_off()

    def end_with_process(self) -> None:
        """Let `close` leave very many connections to the system: this process ends right after it."""
        self._connections.end_with_process = True

    async def close(self) -> None:
        """Close every connection; a probe that still runs fails with Reason.RESET."""
        self._closed = True
        await self._connections.close()

    async def _take_turn(
        self, host: HostState, target: Target, layout: Layout, fresh: bool, purpose: Purpose
    ) -> Capacity | ProbeFailure:
        async def use(connection: Connection, phases: Phases) -> Capacity | ProbeFailure:
            return await self._measure(connection, host, target, layout, phases)

        if fresh:
            host.method = Method.STATVFS
        return await self._use_warm_or_new(host, target, purpose, use, fresh=fresh)

    async def _use_warm_or_new(
        self, host: HostState, target: Target, purpose: Purpose, use: Use[R], *, fresh: bool
    ) -> R | ProbeFailure:
        """Use the warm connection to a host; log in with `fresh`, without one, or if it has gone stale."""
        connection = None if fresh else self._connections.warm(target)
        result = None
        if connection is not None:
            connection.use(current_permit())
            result = await self._use(connection, target, Phases(self._clock), use)
        if result is None or (isinstance(result, ProbeFailure) and result.reason in _STALE):
            result = await self._log_in_and_use(host, target, purpose, use)
        return result

    async def _reach(
        self, host: HostState, target: Target, mode: PingMode, fresh: bool, purpose: Purpose
    ) -> Reached | ProbeFailure:
        async def use(connection: Connection, phases: Phases) -> Reached:
            connection.served()
            return Reached(mode, phases.milliseconds)

        if mode is PingMode.AGENT:
            return await self._ask_agent(host, target, fresh)
        if mode is PingMode.TCP:
            phases = Phases(self._clock)
            try:
                if await self._login.connect_only(target, phases):
                    return Reached(mode, phases.milliseconds)
            except Exception as error:
                return self._explain(error, target, phases, LoginEvidence())
        return await self._log_in_and_use(host, target, purpose, use)

    async def _ask_agent(self, host: HostState, target: Target, fresh: bool) -> Reached | ProbeFailure:
        phases = Phases(self._clock)
        try:
            run = await self._agents.ask(target, phases)
            if not fresh and host.agent is not None and run is not None and run != host.agent:
                raise Failed(Reason.AGENT_RESTARTED, "the agent was restarted since the storage was connected")
        except Exception as error:
            return self._explain(error, replace(target, port=self._agents.port), phases, LoginEvidence())
        host.agent = run
        return Reached(PingMode.AGENT, phases.milliseconds)

    async def _log_in_and_use(self, host: HostState, target: Target, purpose: Purpose, use: Use[R]) -> R | ProbeFailure:
        """Log in and use the connection; as long as sshd is busy, try again after each of the pauses."""
        for pause in self._busy_pauses:
            result = await self._log_in_and_use_once(host, target, purpose, use)
            if not isinstance(result, ProbeFailure) or result.reason is not Reason.BUSY or self._closed:
                return result
            await self._clock.sleep(pause * self._random.uniform(0.5, 1.5))
        return await self._log_in_and_use_once(host, target, purpose, use)

    async def _log_in_and_use_once(
        self, host: HostState, target: Target, purpose: Purpose, use: Use[R]
    ) -> R | ProbeFailure:
        phases = Phases(self._clock)
        tunnel = self._connections.tunnel(phases)
        try:
            connection = await self._connections.open(target, phases, tunnel, purpose, suspect=host.suspect)
        except Exception as error:
            return self._explain(error, target, phases, tunnel.collect_evidence())
        return await self._use(connection, target, phases, use)

    async def _use(self, connection: Connection, target: Target, phases: Phases, use: Use[R]) -> R | ProbeFailure:
        """Use a connection; close it when it cannot be used again, or the probe was cancelled."""
        result: R | ProbeFailure | None = None
        try:
            result = await use(connection, phases)
        finally:
            if result is None or (isinstance(result, ProbeFailure) and result.reason in _UNUSABLE):
                self._connections.abort(target.hostname)
        return result

    def _explain(self, error: Exception, target: Target, phases: Phases, evidence: LoginEvidence) -> ProbeFailure:
        phases.end()
        return explain(error, target, phases.current, phases.milliseconds, evidence)

    async def _measure(
        self, connection: Connection, host: HostState, target: Target, layout: Layout, phases: Phases
    ) -> Capacity | ProbeFailure:
        # The command's timeout on the host is the shorter one, so that no command is left running there.
        request = Request(target.url, layout, phases, seconds=max(1, int(self._command_timeout) - 1))
        found = await self._bounded(connection, target, phases, measure(connection, host, request))
        if isinstance(found, ProbeFailure):
            return found
        method, space = found
        return Capacity(space.total, space.available, space.inodes, space.read_only, method, phases.milliseconds)

    async def _bounded(
        self, connection: Connection, target: Target, phases: Phases, work: Awaitable[T]
    ) -> T | ProbeFailure:
        """Return the result of work over a connection, or its failure, within the time that a command may take."""
        connection.begin_probe()
        try:
            found = await self._clock.wait_for(work, self._command_timeout)
        except Exception as error:
            evidence = LoginEvidence(flooded=connection.flooded, noisy=connection.noisy)
            failure = self._explain(error, target, phases, evidence)
            hung = failure.reason is Reason.HUNG
            if hung and connection.probes and not await connection.is_alive(self._alive_timeout):
                # Not a hanging file system: the host is gone, or was restarted. A new login will show which.
                message = f"{target.where}: the connection does not answer any more"
                return replace(failure, reason=Reason.RESET, message=message)
            return failure
        phases.end()
        connection.served()
        return found


def _watch_nothing(hostname: str, purpose: Purpose) -> AbstractContextManager[None]:
    return nullcontext()

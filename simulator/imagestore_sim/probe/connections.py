"""The warm connections: one for each host, kept alive between probes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

import asyncssh

from imagestore_sim.clock import Clock, RealClock, Spread
from imagestore_sim.pieces import in_pieces
from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.probe.connection import Connection, silent
from imagestore_sim.probe.login import Login
from imagestore_sim.probe.login_slots import Purpose
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.round_robin import RoundRobin
from imagestore_sim.probe.target import Target
from imagestore_sim.tasks import Tasks

_AT_ONCE = 10
"""Connections that are asked at once whether they still work, where very many are kept."""
_LEFT_AT_ONCE = 250
"""Connections that are left to the next probe in one turn of the event loop."""
MOST_LOGOUTS = 250
"""Connections that are logged out of at the end. More are cut off, which takes a third of the time, or left to the
end of the process: a node with thousands has two seconds to stop in, also on a busy machine."""
_CUT_AT_ONCE = 50
"""Connections that are cut off in one turn of the event loop."""


class Connections:
    """Keeps one warm connection a host, by host name."""

    def __init__(
        self, clock: Clock, login: Login, *, alive_timeout: float, keep_alive: float, filling: bool = True
    ) -> None:
        """Check connections that have been idle for `keep_alive` seconds; they answer within `alive_timeout`.

        `filling`: see BoundedTunnel.
        """
        self._filling = filling
        self._clock = clock
        self._login = login
        self._alive_timeout = alive_timeout
        self._keep_alive = keep_alive
        self._round_robin = RoundRobin()
        self._kept: dict[str, Connection] = {}
        self._tasks = Tasks()
        self._checks = Tasks()
        self._closed = False
        self.end_with_process = False
        """Whether `close` may leave very many connections to the system, which closes them as the process ends."""

    def tunnel(self, phases: Phases) -> BoundedTunnel:
        """Return a tunnel for a new login."""
        return BoundedTunnel(phases, self._round_robin, filling=self._filling)

    def warm(self, target: Target) -> Connection | None:
        """Return the connection kept for the host of `target`; None without one that serves it."""
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
        """Log in over `tunnel`, and keep the connection in place of the previous one.

        A `suspect` host, whose last probe hung, queues behind others. Raise what `Login.log_in` raises.
        """
        await self.drop(target.hostname)
        try:
            chain = await self._login.log_in(target, phases, tunnel, purpose, suspect=suspect)
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

    async def _keep_all_alive(self) -> None:
        """Ask connections that have been idle whether they still work, and close those that do not answer.

        Very many are asked one after the other, each once in an interval.
        """
        while self._kept:
            before = self._clock.monotonic()
            asked = await self._asked_by_us()
            spread = Spread(self._clock, len(asked), self._keep_alive)
            if spread.at_once:
                await self._clock.sleep(self._keep_alive)
                await self._check(self._idle(await self._asked_by_us()))  # they may have become very many
                continue
            for some in in_pieces(list(asked), _AT_ONCE):
                self._checks.begin(self._check(self._idle(some)), "check of connections")
                for _ in some:
                    await spread.turn()
            await self._clock.sleep(before + self._keep_alive - self._clock.monotonic())

    async def _asked_by_us(self) -> Collection[str]:
        """Return the hosts whose connections are not left to the next probe, by name.

        To ask and to answer costs as much as a ping, so very many connections are not asked. The next probe finds a
        host that is gone as fast as a check would: the system ends a connection on which nothing is acknowledged. In
        virtual time all are asked: the system's time is real.

        TCP keep-alive would not do. Linux has timers of half a minute expire together, once in two seconds: the packets
        for 100,000 connections do not fit in its queue (net.core.netdev_max_backlog), so connections ended that were in
        order, and data of others was lost.
        """
        if Spread(self._clock, len(self._kept), self._keep_alive).at_once or not isinstance(self._clock, RealClock):
            return self._kept
        ours = []
        for number, (hostname, connection) in enumerate(list(self._kept.items()), 1):
            if not connection.leave_to_system(self._alive_timeout):
                ours.append(hostname)
            if number % _LEFT_AT_ONCE == 0:
                await asyncio.sleep(0)
        return ours

    def _idle(self, hostnames: Iterable[str]) -> dict[str, Connection]:
        """Return those connections of some hosts that have been idle."""
        since = self._clock.monotonic() - self._keep_alive
        kept = ((hostname, self._kept.get(hostname)) for hostname in hostnames)
        return {hostname: one for hostname, one in kept if one is not None and one.used <= since}

    async def _check(self, idle: Mapping[str, Connection]) -> None:
        """Close those of some connections that do not answer."""
        if not idle:
            return
        dead = await silent(idle.values(), self._clock, self._alive_timeout)
        for hostname, connection in idle.items():
            if connection in dead and self._kept.get(hostname) is connection:
                self.abort(hostname)

    async def drop(self, hostname: str) -> None:
        """Log out of the connection kept for `hostname`."""
        connection = self._kept.pop(hostname, None)
        if connection is not None:
            await connection.close()

    def abort(self, hostname: str) -> None:
        """Close the connection kept for `hostname` at once."""
        connection = self._kept.pop(hostname, None)
        if connection is not None:
            connection.abort()

    def abort_all(self) -> None:
        """Close every connection that is kept at once."""
        for hostname in list(self._kept):
            self.abort(hostname)

    def cut_off(self) -> None:
        """Close every connection without a word to the host, as a kill -9 would."""
        self._closed = True
        self.abort_all()

    async def close(self) -> None:
        """Close every connection; a login that is under way is closed when it completes."""
        self._closed = True
        await self._tasks.close()
        await self._checks.close()
        await self._login.close()
        if len(self._kept) > MOST_LOGOUTS:
            if self.end_with_process:
                return
            await self._cut_all()
        for hostname in list(self._kept):
            await self.drop(hostname)

    async def _cut_all(self) -> None:
        """Close every connection without a word to the host, a few in a turn; return once all are closed."""
        kept = list(self._kept.values())
        for number, hostname in enumerate(list(self._kept), 1):
            self.abort(hostname)
            if number % _CUT_AT_ONCE == 0:
                await asyncio.sleep(0)
        for connection in kept:
            await connection.wait_closed()

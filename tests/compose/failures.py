"""Failures of nodes and database servers in containers, and the time lines of who pinged a host meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import aiohttp

from compose.cluster_lab import MEASURED, NODES, ClusterLab, until
from compose.wire import Ping, Wire
from imagestore_sim.testing import CallFailed, Client

HOST = MEASURED[0]
HELD = 2.0
"""Seconds that a fault lasts once another node pings, or nothing has changed."""
BEFORE = 15.0
"""Seconds before a failure from which pings are looked at."""
LONGEST_GAP = 60.0
"""Seconds between two pings on a machine with much other work; docs/cluster.md has measured ones."""


async def members(lab: ClusterLab) -> int:
    """Return how many nodes are members; 0 while the proxy finds none that answers."""
    try:
        async with Client(lab.url) as client:
            await client.log_in()
            return len(await client.query("/management-nodes"))
    except (aiohttp.ClientError, CallFailed, TimeoutError):
        return 0


def longest_overlap(pings: Sequence[Ping]) -> float:
    """Return for how long, in seconds, a node went on to send to a host after another one had begun to."""
    pairs = itertools.combinations(pings, 2)
    return max([0.0, *(one.sent - other.began for one, other in pairs if one.node != other.node)])


def latest_answer(pings: Sequence[Ping]) -> float:
    """Return for how long, in seconds, a host went on to answer one node after another one had begun."""
    pairs = itertools.combinations(pings, 2)
    return max([0.0, *(one.answered - other.began for one, other in pairs if one.node != other.node)])


class Failures:
    """Failures of nodes and servers, one after the other, and what has gone over the wires of hosts meanwhile."""

    def __init__(self, lab: ClusterLab, wires: Mapping[str, Wire], *, quick: bool = True) -> None:
        self.lab = lab
        self._wires = wires
        self.quick = quick
        """Whether no two nodes ever ping one host at once: in ZStack's mode they do."""
        self.owner = ""
        """The node that pings HOST while all nodes are members."""
        self._nodes: dict[str, str] = {}
        """By their addresses; a container that is stopped has none."""

    async def pings(self, host: str) -> list[Ping]:
        """Return all pings of a host since the beginning."""
        self._nodes |= await self.lab.addresses(NODES)
        return await self._wires[host].pings(self._nodes)

    async def whole(self) -> None:
        """Wait until all nodes are members, and the one that owns the storage then pings it."""

        async def holds() -> bool:
            return await members(self.lab) == len(NODES)

        await until("three members", holds)
        if not self.owner:
            for host in MEASURED:
                await self.pinged(host, time.time())
            self.owner = (await self.pings(HOST))[-1].node
        await self.pinged(HOST, time.time(), by=(self.owner,))

    async def pinged(self, host: str, since: float, *, by: tuple[str, ...] = NODES) -> None:
        """Wait until one of some nodes pings a host."""

        async def holds() -> bool:
            return any(one.began > since and one.node in by for one in await self.pings(host))

        await until(f"a ping of {host} by {by}", holds)

    async def go_through(self, what: str, failure: AbstractAsyncContextManager[None], *, moves: bool) -> None:
        """Wait while something fails until its effect is there and for some seconds more, then until all is whole.

        `moves` says whether another node has to take over.
        """
        others = tuple(node for node in NODES if node != self.owner)
        async with failure:
            at = time.time()
            await self.pinged(HOST, at, by=others if moves else (self.owner,))
            await asyncio.sleep(HELD)
            healed = time.time()
        try:
            await self.whole()
        finally:
            await self._report(what, at, healed)

    async def _report(self, what: str, at: float, healed: float) -> None:
        """Print when which node pinged the host, in seconds after a failure, and assert what the mode promises."""
        pings = [one for one in await self.pings(HOST) if at - BEFORE <= one.began]
        starts = [one.began for one in pings if one.began <= healed]
        gap = max((after - before for before, after in itertools.pairwise(starts) if after > at), default=0.0)
        line = ", ".join(f"{one.began - at:+.1f} {one.node}" for one in pings)
        overlap, late = longest_overlap(pings), latest_answer(pings)
        print(
            f"\n{what}: gap {gap:.1f} s, healed at {healed - at:+.1f} s, two sent for {overlap:.1f} s,"
            f" the host answered both for {late:.1f} s; load {os.getloadavg()[0]:.0f}\n  {line}"
        )
        if overlap and self.quick:
            print("\n".join(f"  {one}" for one in pings))
        assert not overlap or not self.quick
        assert gap < LONGEST_GAP


@asynccontextmanager
async def failures_of(lab: ClusterLab, *, quick: bool = True) -> AsyncIterator[Failures]:
    """Watch the wires of hosts, and yield what fails once all nodes are members and ping."""
    async with AsyncExitStack() as stack:
        wires = {host: await stack.enter_async_context(lab.watching(host)) for host in MEASURED}
        failures = Failures(lab, wires, quick=quick)
        await failures.whole()
        yield failures

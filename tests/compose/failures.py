"""Failures of nodes and database servers in containers, and the time lines of who pinged a host meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AbstractAsyncContextManager

import aiohttp

from compose.cluster_lab import NODES, ClusterLab, Halt, Ping, longest_overlap, until
from compose.compose_lab import HOSTS
from imagestore_sim.testing import CallFailed, Client

HOST = HOSTS[0]
SLACK = 1.0
"""Seconds by which a busy sshd may log the end of a connection too late."""
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


class Failures:
    """Failures of nodes and servers, one after the other, and what the hosts have logged meanwhile."""

    def __init__(self, lab: ClusterLab, *, quick: bool = True) -> None:
        self.lab = lab
        self.quick = quick
        """Whether no two nodes ever ping one host at once: in ZStack's mode they do."""
        self.owner = ""
        """The node that pings HOST while all nodes are members."""
        self.halted: list[Halt] = []
        self._began = time.time()
        self._nodes: dict[str, str] = {}
        """By their addresses; a container that is stopped has none."""

    async def pings(self, host: str) -> list[Ping]:
        """Return all pings of a host's own storage since the beginning."""
        self._nodes |= await self.lab.addresses(NODES)
        return await self.lab.pings(host, self._nodes, self._began)

    async def whole(self) -> None:
        """Wait until all nodes are members, and the one that owns the storage then pings it."""

        async def holds() -> bool:
            return await members(self.lab) == len(NODES)

        await until("three members", holds)
        if not self.owner:
            for host in HOSTS:
                await self.pinged(host, time.time())
            self.owner = (await self.pings(HOST))[-1].node
        await self.pinged(HOST, time.time(), by=(self.owner,))

    async def pinged(self, host: str, since: float, *, by: tuple[str, ...] = NODES) -> None:
        """Wait until one of some nodes pings a host."""

        async def holds() -> bool:
            return any(one.began > since and one.node in by for one in await self.pings(host))

        await until(f"a ping of {host} by {by}", holds)

    async def go_through(
        self, what: str, failure: AbstractAsyncContextManager[None], *, moves: bool, halts: bool = False
    ) -> None:
        """Wait while something fails until its effect is there and for some seconds more, then until all is whole.

        `moves` says whether another node has to take over; `halts` that the owner does nothing at all meanwhile.
        """
        others = tuple(node for node in NODES if node != self.owner)
        before = time.time()
        async with failure:
            at = time.time()
            await self.pinged(HOST, at, by=others if moves else (self.owner,))
            await asyncio.sleep(HELD)
            healed = time.time()
        if halts:
            self.halted.append(Halt(self.owner, before, time.time()))
        await self.whole()
        await self._report(what, at, healed)

    async def _report(self, what: str, at: float, healed: float) -> None:
        """Print when which node pinged the host, in seconds after a failure, and assert what the mode promises."""
        pings = [one for one in await self.pings(HOST) if at - BEFORE <= one.began]
        starts = [one.began for one in pings if one.began <= healed]
        gap = max((after - before for before, after in itertools.pairwise(starts) if after > at), default=0.0)
        line = ", ".join(f"{one.began - at:+.1f} {one.node}" for one in pings)
        overlap = longest_overlap(pings, self.halted)
        print(f"\n{what}: gap {gap:.1f} s, at once {overlap:.1f} s, healed at {healed - at:+.1f} s\n  {line}")
        assert overlap < SLACK or not self.quick
        assert gap < LONGEST_GAP

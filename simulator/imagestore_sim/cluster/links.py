"""What connects a node to the world, and can be cut in a test: its store, the other nodes, the hosts, time itself.

A node that runs in a process of its own is cut off by the machine. Several in one process are cut off here.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from enum import StrEnum

from imagestore_sim.clock import Clock
from imagestore_sim.database import StoreUnavailable

STORE_SECONDS = 1.0
"""How long a node that is cut off from the store waits for it at each use."""
Address = tuple[str, int]
Resolve = Callable[[str, int], Awaitable[Address]]
"""Returns the address and port at which a host is reached."""


class Link(StrEnum):
    """What a node can be cut off from."""

    STORE = "store"
    PEERS = "peers"
    HOSTS = "hosts"


class Links:
    """The links of one node. `skew` is how many seconds its clock is ahead."""

    def __init__(self) -> None:
        self.skew = 0.0
        self._cut: set[Link] = set()
        self._lost_nodes: set[str] = set()
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._on_change: list[Callable[[], None]] = []

    @property
    def paused(self) -> bool:
        """Whether the node stands still, as a stopped process does."""
        return not self._goes_on.is_set()

    def pause(self) -> None:
        """Let nothing in and out, and no sleep end, until `resume`."""
        self._goes_on.clear()

    def resume(self) -> None:
        """Continue, with all that came meanwhile."""
        self._goes_on.set()

    def cut(self, link: Link) -> None:
        """Cut the node off: calls to the store and other nodes fail, hosts cannot be reached."""
        self._cut.add(link)
        self._changed()

    def join(self, link: Link) -> None:
        """Undo a cut."""
        self._cut.discard(link)
        self._changed()

    def is_cut(self, link: Link) -> bool:
        """Return whether the node is cut off from that."""
        return link in self._cut

    def lose_node(self, uuid: str) -> None:
        """Cut the way to one other node. It is the test that cuts that node's way back, too."""
        self._lost_nodes.add(uuid)

    def find_node(self, uuid: str) -> None:
        """Undo that."""
        self._lost_nodes.discard(uuid)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each cut, and each that is undone."""
        self._on_change.append(callback)

    async def until_running(self) -> None:
        """Wait while the node is paused."""
        await self._goes_on.wait()

    async def pass_store(self, clock: Clock) -> None:
        """Wait while the node is paused. Raise StoreUnavailable after STORE_SECONDS of being cut off from the store."""
        await self.until_running()
        if self.is_cut(Link.STORE):
            await clock.sleep(STORE_SECONDS)
            if self.is_cut(Link.STORE):
                raise StoreUnavailable("the store cannot be reached: the node is cut off from it")

    async def pass_peers(self, uuid: str) -> None:
        """Wait while the node is paused. Raise ConnectionRefusedError if it is cut off from that other node."""
        await self.until_running()
        if self.is_cut(Link.PEERS) or uuid in self._lost_nodes:
            raise ConnectionRefusedError("the node is cut off from the others")

    def resolving(self, resolve: Resolve) -> Resolve:
        """Return `resolve`, which finds no way to a host while the node is cut off from hosts."""

        async def through(hostname: str, port: int) -> Address:
            await self.until_running()
            if self.is_cut(Link.HOSTS):
                raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
            return await resolve(hostname, port)

        return through

    def _changed(self) -> None:
        for callback in self._on_change:
            callback()

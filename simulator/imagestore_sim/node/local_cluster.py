"""Several management nodes in one process, over one database file: what a test kills, pauses and cuts off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Link, Links
from imagestore_sim.node.kill_at_commit import kill_at_commit
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.probe import Resolve
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import cancel_and_wait

Watch = Callable[[str, ManagementNode], None]
"""Called with the name of a node, and the node, before it starts."""
Killed = Callable[[str], None]
"""Called with the name of a node in the moment in which it is killed."""


class LocalCluster:
    """The nodes of one store, by names of the test's own. All of them run on one event loop and by one clock.

    In mode faithful a node that the others took for dead is stopped, as `serve` stops then.
    """

    def __init__(
        self,
        file: Path,
        settings: Settings,
        clock: Clock,
        resolve: Resolve,
        watch: Watch = lambda *_: None,
        killed: Killed = lambda _: None,
    ) -> None:
        """Take the database file, and the settings of every node but for `database`. `resolve` finds hosts."""
        self._settings = settings.model_copy(update={"database": str(file), "port": 0})
        self._clock = clock
        self._resolve = resolve
        self._watch = watch
        self._killed = killed
        self._nodes: dict[str, ManagementNode] = {}
        self._links: dict[str, Links] = {}
        self._uuids: dict[str, str] = {}
        """Of the nodes that run or have run last."""
        self._watching: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop every node."""
        for name in list(self._watching):
            self._links[name].resume()
            await self.stop(name)

    @property
    def nodes(self) -> Mapping[str, ManagementNode]:
        """The nodes that run."""
        return MappingProxyType(self._nodes)

    def links(self, name: str) -> Links:
        """Return what can be cut of a node; `skew` sets its clock."""
        return self._links[name]

    async def start(self, name: str, bootstrap: Bootstrap | None = None) -> ManagementNode:
        """Start a node, and return it once it is ready. Raise what ManagementNode.start raises.

        One of that name that stops by itself has ended before: `serve` starts no sooner on a machine.
        """
        await self._until_stopped(name)
        links = self._links[name] = Links()
        for other in self._links.values():
            other.find_node(self._uuids.get(name, ""))
        node = ManagementNode(self._settings, clock=self._clock, resolve=self._resolve, links=links)
        self._watch(name, node)
        await node.start(bootstrap or Bootstrap())
        self._uuids[name] = node.parts.cluster.peers.uuid
        self._nodes[name] = node
        self._watching[name] = asyncio.create_task(self._stop_when_excluded(name, node), name=f"watch of {name}")
        return node

    async def stop(self, name: str) -> None:
        """Stop a node cleanly: the others take over at once. One that stands still stops once it continues."""
        await self._links[name].until_running()
        if (node := self._nodes.pop(name, None)) is not None:
            await cancel_and_wait(self._watching.pop(name))
            await node.stop()
        await self._until_stopped(name)

    async def kill(self, name: str, *, commits: int = 0, within: float = 60.0) -> None:
        """End a node as by a kill -9: nothing that it still does reaches anything.

        That comes at once, or right after its commit with the number `commits` from now on; after `within` seconds in
        any case.
        """
        node, links = self._nodes[name], self._links[name]

        def die() -> None:
            for link in Link:
                links.cut(link)
            node.cut_off()
            links.resume()
            self._killed(name)

        await kill_at_commit(node.parts.store.database, self._clock, die, commits=commits, within=within)
        if self._nodes.get(name) is node:
            del self._nodes[name]
            await cancel_and_wait(self._watching.pop(name))
            await node.stop()

    def pause(self, name: str) -> None:
        """Let a node stand still, as a stopped process does."""
        self._links[name].pause()

    def resume(self, name: str) -> None:
        """Let a node that stands still continue."""
        self._links[name].resume()

    def cut(self, name: str, link: Link) -> None:
        """Cut a node off from the store, the other nodes or the hosts."""
        self._links[name].cut(link)

    def join(self, name: str, link: Link) -> None:
        """Undo a cut."""
        self._links[name].join(link)

    def part(self, name: str, other: str) -> None:
        """Cut two nodes off from each other; both reach all others."""
        self._links[name].lose_node(self._uuids[other])
        self._links[other].lose_node(self._uuids[name])

    def reunite(self, name: str, other: str) -> None:
        """Undo that."""
        self._links[name].find_node(self._uuids[other])
        self._links[other].find_node(self._uuids[name])

    async def _until_stopped(self, name: str) -> None:
        """Wait for the end of a node that stops by itself."""
        if (watching := self._watching.get(name)) is not None:
            await asyncio.wait([watching])
            self._watching.pop(name, None)

    async def _stop_when_excluded(self, name: str, node: ManagementNode) -> None:
        membership = node.parts.cluster.membership
        assert membership is not None, "a node with links shares its store"
        await membership.excluded.wait()
        self._nodes.pop(name)
        await node.stop()

"""The world of simulated hosts and several management nodes in this process, over one database file."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from typing_extensions import override

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Link
from imagestore_sim.faults import FaultProblem, NodeFault
from imagestore_sim.node.local_cluster import LocalCluster
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.node_faults import TooManyFaults
from imagestore_sim.scenario.format.api_steps import ADMIN, ApiCall
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.node_steps import Neighbour
from imagestore_sim.scenario.format.vacuity import NO_OWNER
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.local_node import forward
from imagestore_sim.scenario.worlds.node_client import NodeClient
from imagestore_sim.scenario.worlds.simulated import SimulatedWorld
from imagestore_sim.testing.client import Answer
from imagestore_sim.units import duration_text

T = TypeVar("T")
LINKS: dict[Neighbour, Link] = {"database": Link.STORE, "nodes": Link.PEERS, "hosts": Link.HOSTS}
LONGEST_JOB = 120.0
"""Seconds that the story's own calls wait: in mode faithful, the job of a node that has left never ends."""
LONGEST_STANDSTILL = 120.0
"""Seconds for which a step waits that needs a node to go on which stands still."""
SETTLED_SECONDS = 0.5
MOST_LOOKS = 120
"""How often, and how far apart, it is asked whether the nodes agree before the story begins."""


@contextmanager
def unheard_logs() -> Iterator[None]:
    """Keep from the terminal what nodes log while the block runs: that others are gone is what the story is about."""
    logger, nowhere = logging.getLogger("imagestore_sim"), logging.NullHandler()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(nowhere)
    try:
        yield
    finally:
        logger.removeHandler(nowhere)
        logger.propagate = before


class SimulatedCluster(SimulatedWorld):
    """Simulated hosts, and nodes that share a database: each can be stopped, killed, paused and cut off.

    Calls that name no node are made at the nodes in turn, past those that do not run, are paused, or do not reach the
    database, as behind a proxy that sees this at once.
    """

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent) -> None:
        """`on_event` is called with every event, and the name of the node that has recorded it."""
        super().__init__(scenario, clock, seed, on_event)
        self.nodes: Sequence[str] = scenario.all_nodes()
        self._cluster = LocalCluster(
            self._database, self._settings(), clock, self.resolve, self._watch, self._on_killed
        )
        self._of_nodes: dict[str, ExitStack] = {}
        """By node: what listens to its events."""
        self._urls: dict[str, str] = {}
        """By node: where it listens, or has listened last."""
        self._names: dict[str, str] = {}
        """By URL: the node that listens there, or has."""
        self._callers: dict[tuple[str, str], NodeClient] = {}
        """By account and URL."""
        self._faults: dict[str, list[tuple[ManagementNode, str]]] = {}
        """By id: the faults of the nodes that were set as one."""
        self._asked = 0
        self._owners_changed: list[Callable[[], None]] = []

    # The nodes

    @override
    async def start_node(self) -> None:
        """Start all nodes, one after the other; return once they agree which of them pings which storage."""
        self._listening.enter_context(unheard_logs())
        for name in self.nodes:
            await self.start_one(name)
        for _ in range(MOST_LOOKS):
            if self._agree():
                break
            await self.clock.sleep(SETTLED_SECONDS)

    def _agree(self) -> bool:
        nodes = self._cluster.nodes.values()
        return len({node.parts.cluster.peers.epoch for node in nodes}) == 1 and all(
            self.owner_of(uuid) in self.nodes for uuid in self.storages.values()
        )

    async def start_one(self, node: str) -> None:
        """Start a node that does not run, and return once it is ready. Raise StartError or WorldProblem."""
        if node in self._cluster.nodes:
            return
        records: Bootstrap = self._records()
        self._has_begun = True
        started = await self._cluster.start(node, records)
        self._urls[node] = started.url
        self._names[started.url] = node
        started.storages.tracker.on_change = self._tell_owners
        self._tell_owners()

    def _watch(self, name: str, node: ManagementNode) -> None:
        """Listen to a node that is about to start."""
        listening = self._of_nodes[name] = ExitStack()
        events = listening.enter_context(node.events.subscribe())
        self._tasks.begin(forward(events, self._on_event, name), f"events of {name}")

    def _on_killed(self, name: str) -> None:
        """Hear nothing more of a node."""
        self._of_nodes[name].close()

    async def stop_one(self, node: str) -> None:
        """Stop a node cleanly, if it runs. Raise WorldProblem if it stands still for LONGEST_STANDSTILL."""
        if node in self._cluster.nodes:
            await self._once_it_goes_on(node, self._cluster.links(node).until_running())
            await self._cluster.stop(node)
            self._tell_owners()

    async def kill_one(self, node: str, commits: int, within: float) -> None:
        """Kill a node that runs at once, or right after its commit with that number from now on, as `kill_node`."""
        if node in self._cluster.nodes:
            await self._cluster.kill(node, commits=commits, within=within)
            self._tell_owners()

    @override
    async def stop_node(self) -> None:
        """Stop every node, and close the connections to them."""
        while self._callers:
            await self._callers.popitem()[1].close()
        await self._cluster.close()
        for listening in self._of_nodes.values():
            listening.close()
        self._listening.close()
        await self._tasks.close()

    def pause(self, node: str) -> None:
        """Let a node stand still, if it runs."""
        if node in self._cluster.nodes:
            self._cluster.pause(node)
            self._tell_owners()

    def resume(self, node: str) -> None:
        """Let a node that stands still continue."""
        if node in self._cluster.nodes:
            self._cluster.resume(node)
            self._tell_owners()

    def cut(self, node: str, neighbours: Sequence[Neighbour]) -> None:
        """Cut a node off, if it runs."""
        for neighbour in neighbours if node in self._cluster.nodes else ():
            self._cluster.cut(node, LINKS[neighbour])

    def join(self, node: str, neighbours: Sequence[Neighbour]) -> None:
        """Undo that."""
        for neighbour in neighbours if node in self._cluster.nodes else ():
            self._cluster.join(node, LINKS[neighbour])

    def part(self, node: str, other: str) -> None:
        """Cut two nodes off from each other, if both run."""
        if node in self._cluster.nodes and other in self._cluster.nodes:
            self._cluster.part(node, other)

    def reunite(self, node: str, other: str) -> None:
        """Undo that."""
        if node in self._cluster.nodes and other in self._cluster.nodes:
            self._cluster.reunite(node, other)

    def skew(self, node: str, seconds: float) -> None:
        """Set how far the clock of a node is ahead, if it runs."""
        if node in self._cluster.nodes:
            self._cluster.links(node).skew = seconds

    # Owners

    def owner_of(self, storage: str) -> str:
        """Return the name of the node that pings a storage, by its uuid; `none` without one, or several names."""
        names = [
            name
            for name in self.nodes
            if (node := self._cluster.nodes.get(name)) is not None
            and not self._cluster.links(name).paused
            and storage in node.storages.tracker.owned()
        ]
        return ", ".join(names) or NO_OWNER

    def on_owners_changed(self, callback: Callable[[], None]) -> None:
        """Call back when what nodes ping may have changed."""
        self._owners_changed.append(callback)

    def _tell_owners(self) -> None:
        for callback in self._owners_changed:
            callback()

    # What a client does

    @override
    def node_to_ask(self, wanted: str | None = None) -> str:
        if wanted is not None:
            return wanted
        turns = [*self.nodes[self._asked :], *self.nodes[: self._asked]]
        chosen = next((one for one in turns if self._is_well(one)), turns[0])
        self._asked = (self.nodes.index(chosen) + 1) % len(self.nodes)
        return chosen

    def _is_well(self, name: str) -> bool:
        """Return whether a node runs and can answer."""
        links = self._cluster.links(name) if name in self._cluster.nodes else None
        return links is not None and not links.paused and not links.is_cut(Link.STORE)

    @override
    def node_at(self, url: str) -> str:
        return next((name for known, name in self._names.items() if url.startswith(f"{known}/")), "")

    @override
    async def request(
        self, method: str, path: str, body: Any = None, *, account: str = ADMIN, node: str = ""
    ) -> Answer:
        return await self._caller(account, node or self.node_to_ask()).request(method, path, body)

    @override
    async def node_for(self, call: ApiCall, node: str | None = None) -> str:
        return self._urls[self.node_to_ask(node)]

    @override
    async def page(self, path: str, node: str | None = None) -> str:
        names = [node] if node is not None else [one for one in self.nodes if self._is_well(one)]
        return "\n".join([await self._caller(ADMIN, name).page(path) for name in names])

    def _caller(self, account: str, node: str) -> NodeClient:
        url = self._urls[node]
        if (caller := self._callers.get((account, url))) is None:
            caller = NodeClient(url, self.clock, account, longest_job=LONGEST_JOB)
            self._callers[account, url] = caller
        return caller

    @override
    async def apply_to_node(self, fault: NodeFault) -> str:
        """Set a fault of the management plane on each node that runs, and return the id of the first one.

        That takes until a node that stands still goes on. Meanwhile others may start, and stop. Raise FaultProblem,
        TooManyFaults, and WorldProblem if it stands still for LONGEST_STANDSTILL; then no node keeps the fault.
        """
        set_on: list[tuple[ManagementNode, str]] = []
        for name, node in list(self._cluster.nodes.items()):
            if self._cluster.nodes.get(name) is node:
                try:
                    applied = await self._once_it_goes_on(name, node.foundation.node_faults.apply(fault))
                except (FaultProblem, TooManyFaults, WorldProblem):
                    await self._heal_on(set_on)
                    raise
                set_on.append((node, applied.id))
        if not set_on:
            raise WorldProblem("no management node runs")
        identity = set_on[0][1]
        self._faults[identity] = set_on
        return identity

    @override
    async def heal_node(self, fault: str) -> None:
        """Heal the fault on each node that has it, once all of these go on.

        Raise WorldProblem if one stands still for LONGEST_STANDSTILL; then they all keep it.
        """
        set_on = self._faults.get(fault, ())
        for name, node in list(self._cluster.nodes.items()):
            if any(node is one for one, _ in set_on):
                await self._once_it_goes_on(name, self._cluster.links(name).until_running())
        self._faults.pop(fault, None)
        await self._heal_on(set_on)

    async def _heal_on(self, set_on: Sequence[tuple[ManagementNode, str]]) -> None:
        for node, identity in set_on:
            faults = node.foundation.node_faults
            if (applied := faults.find(identity)) is not None:
                await faults.heal(applied)

    async def _once_it_goes_on(self, node: str, work: Awaitable[T]) -> T:
        """Return the result of work that a node does once it goes on. Raise WorldProblem after LONGEST_STANDSTILL."""
        try:
            return await self.clock.wait_for(work, LONGEST_STANDSTILL)
        except TimeoutError:
            seconds = duration_text(LONGEST_STANDSTILL)
            hint = "give pause_node a `for`, or put resume_node before this step"
            raise WorldProblem(f"{node} has stood still for {seconds}, and this waits for it: {hint}") from None

    @override
    def _running_node(self) -> ManagementNode:
        """Return the node that is asked for what all know: one that is well."""
        names = [one for one in self.nodes if self._is_well(one)] or list(self._cluster.nodes)
        if not names:
            raise WorldProblem("no management node runs")
        return self._cluster.nodes[names[0]]

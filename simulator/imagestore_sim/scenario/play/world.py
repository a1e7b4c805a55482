"""The world that a scenario is played in, as its runner sees it: hosts, a management node, one clock.

The worlds themselves are in `scenario.worlds`; `scenario.replay` chooses one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import aiohttp

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.clock import Clock
from imagestore_sim.faults import Host, NodeFault
from imagestore_sim.scenario.format.api_steps import ADMIN, ApiCall
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.node_steps import Neighbour
from imagestore_sim.testing.client import Answer, CallFailed

NO_ANSWER = (aiohttp.ClientError, OSError, CallFailed, TimeoutError)
"""What a call raises when the node does not answer."""


class OnEvent(Protocol):
    """Called with every event of the nodes, one at a time."""

    def __call__(self, event: Event, node: str = "") -> None:
        """Take an event; `node` names the one of several that has told it."""


class WorldProblem(Exception):
    """The world cannot be entered, or was lost; the text says why."""


class World(AbstractAsyncContextManager["World"], Protocol):
    """The hosts and the node of a scenario, while the context is entered.

    Entering returns once every storage has been tried; it raises WorldProblem, OSError or StartError. Leaving removes
    whatever the scenario made; it raises WorldProblem if the world was lost meanwhile.
    """

    storages: dict[str, str]
    """The uuids of storages, by their names in the scenario. Calls of the scenario add to them."""
    zones: dict[str, str]
    """The uuids of zones, by their names in the scenario."""
    images: dict[str, str]
    """The uuids of images, by their names in the scenario. Steps that make images add to them."""
    long_jobs: dict[str, str]
    """The uuids of long jobs, by their names in the scenario. Steps that submit some add to them."""
    folder: Path
    """The folder of its files: a path that differs from run to run."""

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts, by their names in the scenario."""

    def concerns(self, uuid: str) -> bool:
        """Return whether the storage or image `uuid` belongs to the scenario, and was not on the node before."""

    async def settle(self) -> None:
        """Wait until the work that is under way is done and its events have been reported."""

    def node_to_ask(self, wanted: str | None = None) -> str:
        """Return the name of the node that is asked next, if it is one of several; '' for the only one."""

    async def request(
        self, method: str, path: str, body: Any = None, *, account: str = ADMIN, node: str = ""
    ) -> Answer:
        """Call the API (`path` is below /zstack/v1), follow the job to its end, and return the last answer.

        Of several nodes, `node` is asked, or one of them in turn. Raise one of NO_ANSWER when it does not answer.
        """

    async def file_size(self, host: str, path: str) -> int:
        """Return the bytes of a file on the disk of a host; 0 if it is missing. Raise WorldProblem."""

    async def node_for(self, call: ApiCall, node: str | None = None) -> str:
        """Return the URL of the node for a call of a client under test; what that makes is removed in the end.

        Of several nodes, it is that of `node`, or of one of them in turn. Raise one of NO_ANSWER.
        """

    def node_at(self, url: str) -> str:
        """Return the name of the one of several nodes that a URL leads to, or ''."""

    async def apply_to_node(self, fault: NodeFault) -> str:
        """Set a fault of the management plane, and return its id. Raise FaultProblem, or one of NO_ANSWER."""

    async def heal_node(self, fault: str) -> None:
        """Heal a fault of the management plane by its id, unless that has happened. Raise one of NO_ANSWER."""

    async def page(self, path: str, node: str | None = None) -> str:
        """Return a page outside of ZStack's API, such as /metrics: that of `node`, or those of all one after another.

        Raises as `request` does.
        """


@runtime_checkable
class RestartableWorld(World, Protocol):
    """A world whose node can be stopped and started, over the same database."""

    async def start_node(self) -> None:
        """Start the node and listen to its events; return once every storage has been tried."""

    async def stop_node(self) -> None:
        """Stop the node, and close the connections to it."""

    async def kill_node(self, commits: int, within: float) -> None:
        """Kill the node at once, or right after the commit with that number from now on; after `within` in any case."""


@runtime_checkable
class ClusterWorld(World, Protocol):
    """A world with several nodes over one database, by their names."""

    @property
    def nodes(self) -> Sequence[str]:
        """The names of the nodes."""

    def owner_of(self, storage: str) -> str:
        """Return the name of the node that pings a storage, by its uuid; `none` without one, or several names."""

    def on_owners_changed(self, callback: Callable[[], None]) -> None:
        """Call back when what nodes ping may have changed."""

    async def start_one(self, node: str) -> None:
        """Start a node that does not run, and return once it is ready. Raise StartError or WorldProblem."""

    async def stop_one(self, node: str) -> None:
        """Stop a node cleanly, if it runs."""

    async def kill_one(self, node: str, commits: int, within: float) -> None:
        """Kill a node that runs at once, or right after its commit with that number from now on, as `kill_node`."""

    def pause(self, node: str) -> None:
        """Let a node stand still, if it runs."""

    def resume(self, node: str) -> None:
        """Let a node that stands still continue."""

    def cut(self, node: str, neighbours: Sequence[Neighbour]) -> None:
        """Cut a node off, if it runs."""

    def join(self, node: str, neighbours: Sequence[Neighbour]) -> None:
        """Undo that."""

    def part(self, node: str, other: str) -> None:
        """Cut two nodes off from each other, if both run."""

    def reunite(self, node: str, other: str) -> None:
        """Undo that."""

    def skew(self, node: str, seconds: float) -> None:
        """Set how far the clock of a node is ahead, if it runs."""


@runtime_checkable
class ProgramWorld(World, Protocol):
    """A world whose node a program can be run against."""

    async def run_program(self, command: str, within: float) -> tuple[int | None, str]:
        """Run a shell command to its end; return its exit status and the end of what it wrote.

        The status is None if it was killed after `within` real seconds.
        """


WorldFactory = Callable[[Scenario, Clock, int, OnEvent], World]
"""Makes the world of a scenario, from its clock, its seed, and the listener to its events."""

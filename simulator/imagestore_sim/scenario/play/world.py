"""The world that a scenario is played in, as its runner sees it: hosts, a management node, one clock.

The worlds themselves are in `scenario.worlds`; `scenario.replay` chooses one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import aiohttp

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.clock import Clock
from imagestore_sim.faults import Host, NodeFault
from imagestore_sim.scenario.format.api_steps import ADMIN, ApiCall
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.testing.client import Answer, CallFailed

NO_ANSWER = (aiohttp.ClientError, OSError, CallFailed, TimeoutError)
"""What a call raises when the node does not answer."""
OnEvent = Callable[[Event], None]
"""Called with every event of the node, one at a time."""


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
    folder: Path
    """The folder of its files: a path that differs from run to run."""

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts, by their names in the scenario."""

    def concerns(self, uuid: str) -> bool:
        """Return whether the storage or image `uuid` belongs to the scenario, and was not on the node before."""

    async def settle(self) -> None:
        """Wait until the work that is under way is done and its events have been reported."""

    async def request(self, method: str, path: str, body: Any = None, *, account: str = ADMIN) -> Answer:
        """Call the API (`path` is below /zstack/v1), follow the job to its end, and return the last answer.

        Raise one of NO_ANSWER when the node does not answer.
        """

    async def file_size(self, host: str, path: str) -> int:
        """Return the bytes of a file on the disk of a host; 0 if it is missing. Raise WorldProblem."""

    async def node_for(self, call: ApiCall) -> str:
        """Return the URL of the node for a call of a client under test; what that makes is removed in the end.

        Raise one of NO_ANSWER.
        """

    async def apply_to_node(self, fault: NodeFault) -> str:
        """Set a fault of the management plane, and return its id. Raise FaultProblem, or one of NO_ANSWER."""

    async def heal_node(self, fault: str) -> None:
        """Heal a fault of the management plane by its id, unless that has happened. Raise one of NO_ANSWER."""

    async def page(self, path: str) -> str:
        """Return a page outside of ZStack's API, such as /metrics. Raises as `request` does."""


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
class ProgramWorld(World, Protocol):
    """A world whose node a program can be run against."""

    async def run_program(self, command: str, within: float) -> tuple[int | None, str]:
        """Run a shell command to its end; return its exit status and the end of what it wrote.

        The status is None if it was killed after `within` real seconds.
        """


WorldFactory = Callable[[Scenario, Clock, int, OnEvent], World]
"""Makes the world of a scenario, from its clock, its seed, and the listener to its events."""

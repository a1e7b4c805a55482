"""Where a scenario is played, as its runner sees it: hosts that can be broken, a node that is asked, one clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.clock import Clock
from imagestore_sim.faults import Host
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.testing.client import Answer

Heard = Callable[[Event], None]


class WorldProblem(Exception):
    """Where a scenario was to be played cannot be used, or is there no more; the text says why."""


class World(AbstractAsyncContextManager["World"], Protocol):
    """The hosts and the node of a scenario. Entered, all storages have been tried once; left, nothing remains.

    To enter one may raise WorldProblem, OSError, StartError; left, it raises WorldProblem when it was lost meanwhile.
    """

    storages: dict[str, str]
    """The uuids of storages by the names that the scenario has for them, to which calls may add."""
    zones: dict[str, str]
    """And those of zones."""
    folder: Path
    """Where its files are: a path that differs from run to run."""

    @property
    def hosts(self) -> Mapping[str, Host]:
        """By the names that the scenario has for them."""

    def concerns(self, uuid: str) -> bool:
        """Whether a storage of the node is part of the scenario, and not of what was there before."""

    async def start_node(self) -> None:
        """Start the node, and what hears of its events; returns when every storage has been tried once."""

    async def stop_node(self) -> None:
        """Stop the node, and what the client has of it."""

    async def settle(self) -> None:
        """Returns when what is under way at this moment has been done and told."""

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """One call of the API (`path` below /zstack/v1), followed to its job's end; the answer as it came.

        Raises OSError, TimeoutError and aiohttp.ClientError when the node does not answer.
        """

    async def page(self, path: str) -> str:
        """What the node answers outside of ZStack's API, such as /metrics. Raises as `request` does."""


NewWorld = Callable[[Scenario, Clock, int, Heard], World]
"""Makes one of a scenario, its clock, its seed, and who is told of every event, one at a time."""

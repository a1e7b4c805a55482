"""GET /lab/v1/nodes: the management nodes that share the store, as the node that answers sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Row, func, select

from imagestore_sim.backup_storage.events import Event, EventLog
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import LIFECYCLE, Mode, Peers
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, Cluster, ManagementNodeRecord
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape
from imagestore_sim.units import read_date

PATH = "/lab/v1/nodes"
MOST_CHANGES = 50
"""Joins and leaves that are returned: the latest."""
_NODES = select(
    ManagementNodeRecord.uuid,
    ManagementNodeRecord.hostName,
    ManagementNodeRecord.port,
    ManagementNodeRecord.state,
    ManagementNodeRecord.joinDate,
    ManagementNodeRecord.heartBeat,
    ManagementNodeRecord.beatAt,
    select(Cluster.epoch).scalar_subquery().label("clusterEpoch"),
).order_by(ManagementNodeRecord.hostName, ManagementNodeRecord.port, ManagementNodeRecord.uuid)
_OWNERS = select(BackupStorage.ownerUuid, func.count()).where(BackupStorage.tracked).group_by(BackupStorage.ownerUuid)


class NodeShape(Shape):
    """A management node that is a member, with the fields of ZStack's inventory first."""

    uuid: str = Field(description="the uuid of the node")
    host_name: str = Field(description="the host at which clients and other nodes reach it")
    join_date: float = Field(description="since when its heart beats: seconds since the epoch, by the store's clock")
    heart_beat: float = Field(description="when it beat last: seconds since the epoch, by the store's clock")
    port: int | None = Field(description="the port at which it is reached; null for a node that is alone")
    state: Literal["JOINING", "RUNNING"] = Field(description="RUNNING: it owns storages")
    silent_for: float = Field(description="seconds since its last heartbeat")
    storages: int = Field(description="how many storages it owns: it pings them, and its writes about them count")


class NodeChange(Shape):
    """A node that joined or left."""

    id: int = Field(description="the number of the event")
    time: float = Field(description="seconds since the epoch, by the clock of the node that recorded it")
    life_cycle: Literal["NodeJoin", "NodeLeft"] = Field(description="what it did")
    uuid: str = Field(description="the uuid of the node")
    host_name: str = Field(description="its host")
    silent_for: float | None = Field(
        description="seconds from its last heartbeat until it left, to a second: few after a clean stop, more when it"
        " was taken for dead; null: it joined"
    )


class NodesShape(Shape):
    """The management nodes that share a store."""

    answered_by: str = Field(description="the uuid of the node that answers; a proxy may choose another one each time")
    shared: bool = Field(description="whether other nodes may share the store; false: the node has it to itself")
    mode: Literal["faithful", "quick"] | None = Field(description="as `--cluster-mode` says; null: nothing is shared")
    beats_every: float | None = Field(description="seconds between two heartbeats")
    dead_after: float | None = Field(description="seconds without a heartbeat after which others take a node for dead")
    epoch: int = Field(description="grows with each change of the members")
    time: float = Field(description="seconds since the epoch, by the store's clock")
    nodes: list[NodeShape] = Field(description="the members, by host name")
    unowned: int = Field(description="storages that no member owns, such as those of a node that has just left")
    changes: list[NodeChange] = Field(description="who joined and left, the latest first")


@dataclass(frozen=True, slots=True)
class NodesView:
    """What a node knows of those that share its store."""

    database: Database
    log: EventLog
    clock: Clock
    peers: Peers
    mode: Mode | None
    """None where the store is not shared."""
    beat: Callable[[], Awaitable[None]]
    """Writes the heartbeat of a node that has the store to itself."""

    async def read(self) -> NodesShape:
        """Return all nodes, and who joined and left. Raise StoreUnavailable."""
        await self.beat()
        rows = await self.database.read(_NODES)
        now = await self.database.now()
        owners = {str(owner): count for owner, count in await self.database.read(_OWNERS)}
        if self.mode is None:  # no owner is written where there is one node
            owners = {self.peers.uuid: sum(owners.values())}
        nodes = [self._node(row, now, owners) for row in rows]
        changes = await self.log.latest(LIFECYCLE, MOST_CHANGES)
        return NodesShape(
            answered_by=self.peers.uuid,
            shared=self.mode is not None,
            mode=None if self.mode is None else self.mode.name,
            beats_every=None if self.mode is None else self.mode.beat,
            dead_after=None if self.mode is None else self.mode.silent,
            epoch=rows[0].clusterEpoch or 0 if rows else self.peers.epoch,
            time=now,
            nodes=nodes,
            unowned=sum(owners.values()) - sum(one.storages for one in nodes),
            changes=[self._change(one) for one in changes],
        )

    def _node(self, row: Row[Any], now: float, owners: Mapping[str, int]) -> NodeShape:
        beaten = row.beatAt / 1000 if row.beatAt else self._seconds(row.heartBeat, now)
        return NodeShape(
            uuid=row.uuid,
            host_name=row.hostName,
            join_date=self._seconds(row.joinDate, now),
            heart_beat=beaten,
            port=row.port or None,
            state=row.state,
            silent_for=round(max(0.0, now - beaten), 3),
            storages=owners.get(row.uuid, 0),
        )

    def _change(self, event: Event) -> NodeChange:
        content: Mapping[str, Any] = event.content
        has_left = content["lifeCycle"] == "NodeLeft"
        inventory = content["inventory"]
        return NodeChange(
            id=event.id,
            time=round(event.time, 3),
            life_cycle=content["lifeCycle"],
            uuid=event.resource_uuid,
            host_name=inventory["hostName"],
            silent_for=self._silence(event.time, inventory["heartBeat"]) if has_left else None,
        )

    def _silence(self, until: float, heart_beat: str) -> float | None:
        """Return how long a heart had stood still at a moment; it is known to the second."""
        with suppress(ValueError):
            return max(0.0, round(until - self._seconds(read_date(heart_beat), until)))
        return None

    def _seconds(self, local: datetime, near: float) -> float:
        """Return the epoch seconds of a local time, which is not long before or after the moment `near`."""
        found = near - (self.clock.local(near) - local).total_seconds()
        found -= (self.clock.local(found) - local).total_seconds()  # the zone's offset may have changed in between
        return float(int(found))


class NodesRoutes:
    """Serves `/lab/v1/nodes`."""

    def __init__(self, view: Callable[[], NodesView | None]) -> None:
        """`view` returns None while the node starts."""
        self._view = view

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        problems = {503: "the node is starting, or cannot reach the store"}
        summary = "The management nodes that share the store, and which of them answers"
        return [Route("GET", PATH, summary, Handler(self.show), NodesShape, problems=problems)]

    async def show(self, request: web.Request) -> Answer:
        """Return the members with the age of their heartbeats and what each owns, and who joined and left."""
        view = self._view()
        if view is None:
            raise Refused(503, "the management node is starting")
        return await view.read()

"""Faults of a management node as a whole: it is not ready, it has left, or it starts again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.exchange import Exchange, Loss, Point
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets

OTHER_NODE = "e0000000000000000000000000000002"


@node_fault(
    Layer.NODE,
    heals="Calls are carried out again.",
    meets=Meets.CALL,
    example={"for": "30s"},
)
class NotReady(NodeFault):
    """The node is not ready: each call, asynchronous or not, is answered with SYS.1010 at once."""

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.fail("SYS.1010", None, f"management node[uuid:{exchange.node_uuid()}] is not ready yet")


@node_fault(
    Layer.NODE,
    heals="Calls are carried out again.",
    meets=Meets.CALL,
    example={"when": {"api": "ReconnectBackupStorage"}, "for": "40s"},
)
class NodeLeft(NodeFault):
    """The node that a call is for has left: the call ends with SYS.1012, an asynchronous one by its job.

    ZStack answers like that until another node has taken over, 30 to 40 s later.
    """

    uuid: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] = Field(
        OTHER_NODE, description="the uuid of the node that has left"
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        details = f"management node[uuid:{self.uuid}] is unavailable"
        if exchange.begins_job():
            exchange.fail_job(Point.BEFORE, "SYS.1012", None, details)
        else:
            exchange.fail("SYS.1012", None, details)


@node_fault(
    Layer.NODE,
    heals="No later request makes the node start again; what a start has ended stays ended.",
    meets=Meets.REQUEST,
    example={"when": {"api": "api-jobs", "nth": 1}},
)
class Restart(NodeFault):
    """The node starts again, all at once: every connection of a client is reset, that of the request among them.

    Jobs that run end with SYS.1012, as after a real start; long jobs, uploads and web hooks that wait go as they go
    then; sessions live on, and all storages are connected again. Connections below `/lab/v1` stay.
    """

    count: int | None = Field(1, ge=1, description="how many requests it meets before it heals by itself", examples=[1])
    point: Point = Field(
        Point.BEFORE, description="`before`: the call is not carried out; `after`: it is, and its job has begun"
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.point is Point.BEFORE:
            await self._restart(exchange)

    @override
    async def after(self, exchange: Exchange) -> None:
        if self.point is Point.AFTER:
            await self._restart(exchange)

    async def _restart(self, exchange: Exchange) -> None:
        await exchange.restart_node()
        exchange.lose(Loss.RESET)

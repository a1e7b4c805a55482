"""Faults of the jobs of asynchronous calls: late, without end, forgotten, or with another result than they had."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.exchange import Exchange, Point
from imagestore_sim.faults.node_fault import FailingFault, NodeFault
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets
from imagestore_sim.units import Seconds

SLOW_JOB = 30.0
"""Seconds: more polls than most clients make in their tests, and far less than the three hours that a job may take."""


@node_fault(
    Layer.JOB,
    heals="Jobs end when their work does; those that are held end at once.",
    meets=Meets.ASYNC_CALL,
    example={"by": "2m", "when": {"api": "Add*"}},
)
class JobSlow(NodeFault):
    """The job takes long: a poll is answered 202 for that much longer. Several such faults add up."""

    by: Seconds = Field(SLOW_JOB, description="how much later the job ends")
    point: Point = Field(
        Point.AFTER,
        description="`before`: its work begins late; `after`: the work is done at once, and its end is late",
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.hold_job(self.point, self.by)


@node_fault(
    Layer.JOB,
    heals="The jobs that are stuck go on.",
    meets=Meets.ASYNC_CALL,
    example={"point": "after", "when": {"api": "AddImageStoreBackupStorage", "first": 1}},
)
class JobStuck(NodeFault):
    """The job never ends: each poll is answered 202.

    ZStack leaves a job like that when the node that ran it dies and no other takes it over.
    """

    point: Point = Field(Point.AFTER, description="`before`: its work never begins; `after`: the work is done")

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.hold_job(self.point, None)


@node_fault(
    Layer.JOB,
    heals="New jobs are stored; those that were lost stay lost.",
    meets=Meets.ASYNC_CALL,
    example={"point": "before", "when": {"api": "Delete*", "nth": 2}},
)
class JobLost(NodeFault):
    """The job is forgotten, though its work is done: a poll is answered 404, as after the time that jobs are kept.

    No web hook of the job is posted.
    """

    point: Point = Field(
        Point.BEFORE, description="`before`: it is unknown from the start; `after`: from the end of its work"
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.lose_job(self.point)


@node_fault(
    Layer.JOB,
    heals="New jobs do their work.",
    meets=Meets.ASYNC_CALL,
    example={"code": "SYS.1000", "details": "no space left in the database", "when": {"api": "Add*", "first": 1}},
)
class JobFails(FailingFault):
    """The job fails without its work: nothing has changed."""

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.fail_job(Point.BEFORE, self.code, self.summary, self.details)


@node_fault(
    Layer.JOB,
    heals="New jobs end with the result of their work.",
    meets=Meets.ASYNC_CALL,
    example={"when": {"api": "AddImageStoreBackupStorage", "first": 1}},
)
class JobDoneButReportedFailed(FailingFault):
    """The job does its work and ends with an error all the same: a client that tries again finds it done.

    A job that fails by itself keeps its own error.
    """

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.fail_job(Point.AFTER, self.code, self.summary, self.details)

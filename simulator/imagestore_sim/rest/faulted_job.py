"""The job of a call that has met faults: it may wait, fail, be reported as failed, or be forgotten."""

from __future__ import annotations

from collections import defaultdict

from imagestore_sim.faults.exchange import Point
from imagestore_sim.rest.errors import ApiError
from imagestore_sim.rest.node_faults import AppliedNodeFault, NodeFaults


class FaultedJob:
    """What faults do to a job, in the order in which they were set."""

    def __init__(self, faults: NodeFaults) -> None:
        self._faults = faults
        self._holds: defaultdict[Point, list[tuple[AppliedNodeFault, float | None]]] = defaultdict(list)
        self._failures: dict[Point, ApiError] = {}
        self.lost: Point | None = None
        """When it is forgotten: from the start, or at its end; None: it is not."""

    def hold(self, point: Point, applied: AppliedNodeFault, seconds: float | None) -> None:
        """Wait before the work or after it, for `seconds` of the clock, but no longer than the fault lasts."""
        self._holds[point].append((applied, seconds))

    def fail(self, point: Point, failure: ApiError) -> None:
        """End with an error in place of the work, or of its result, unless an earlier fault does."""
        self._failures.setdefault(point, failure)

    async def pass_point(self, point: Point) -> None:
        """Wait as the faults want it, before the work or after it. Raise ApiError for a fault that fails the job."""
        for applied, seconds in self._holds[point]:
            await self._faults.hold(applied, seconds)
        if point in self._failures:
            raise self._failures[point]

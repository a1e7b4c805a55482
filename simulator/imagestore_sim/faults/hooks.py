"""Faults of web hooks: of the results of jobs, and of events."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.posting import Posting
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets
from imagestore_sim.units import Seconds


@node_fault(
    Layer.HOOKS,
    heals="New posts arrive; those that were lost stay lost.",
    meets=Meets.HOOK,
    example={"when": {"api": "APIAdd*", "first": 1}},
)
class HookLost(NodeFault):
    """The post never arrives, and is not tried again, as when the node stops before it has sent it."""

    @override
    def post(self, posting: Posting) -> None:
        posting.lose()


@node_fault(
    Layer.HOOKS,
    heals="Posts are prompt again; those that wait are sent at once.",
    meets=Meets.HOOK,
    example={"by": "1m", "when": {"path": "*/results"}},
)
class HookDelayed(NodeFault):
    """The post is late. Several such faults add up."""

    by: Seconds = Field(30.0, description="how much later it is sent")

    @override
    def post(self, posting: Posting) -> None:
        posting.delay(self.by)


@node_fault(
    Layer.HOOKS,
    heals="New posts arrive once.",
    meets=Meets.HOOK,
    example={"copies": 2, "when": {"probability": 0.3}},
)
class HookDuplicated(NodeFault):
    """The post arrives more than once: the receiver took it, and the node did not see that."""

    copies: int = Field(1, ge=1, le=100, description="how often it arrives beside the first time")

    @override
    def post(self, posting: Posting) -> None:
        posting.repeat(self.copies)


@node_fault(
    Layer.HOOKS,
    heals="Posts are sent in order again; those that wait are sent at once.",
    meets=Meets.HOOK,
    example={"when": {"nth": 1}},
)
class HookReordered(NodeFault):
    """The post arrives after the next one to the same address."""

    within: Seconds = Field(10.0, description="how long it waits for a next one before it is sent all the same")

    @override
    def post(self, posting: Posting) -> None:
        posting.send_after_the_next(self.within)

"""What a kind of fault of the management plane is: a class whose fields are its parameters, with its traits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from pydantic import Field

from imagestore_sim.faults.base import AnyFault
from imagestore_sim.faults.exchange import Exchange
from imagestore_sim.faults.posting import Posting
from imagestore_sim.faults.selection import Meets, When

Undo = Callable[[], None]


class FaultyNode(Protocol):
    """A management node, as `NodeFault.begin` sees it."""

    async def remember(self, seconds: float) -> Undo:
        """Keep what the store held in the last `seconds`, for `Exchange.read_past`; return what ends that."""


EVENTS = "/management-node/fault/"
"""How the paths of the events begin that tell of these faults. They are the lab's own: no web hook gets them."""
ALWAYS = When.model_construct()


class NodeFault(AnyFault):
    """What can be wrong with a management node; `registry.node_fault` declares it.

    Override what the kind does to a request; all faults that meet it act, in the order in which they were set.
    """

    meets: ClassVar[Meets]
    """What a request has to be, to be counted by `when`."""
    example: ClassVar[Mapping[str, Any]]
    """Parameters that show a typical use."""

    when: When = Field(ALWAYS, description="which requests it meets")
    count: int | None = Field(
        None, ge=1, description="how many requests it meets before it heals by itself", examples=[3]
    )

    async def begin(self, node: FaultyNode) -> Undo | None:
        """Do to the node what the fault needs while it is set; return what undoes it.

        Raise FaultProblem when the fault is not possible on this node.
        """

    async def before(self, exchange: Exchange) -> None:
        """Act once the request is understood, before it is carried out."""

    async def after(self, exchange: Exchange) -> None:
        """Act once there is an answer, before it is sent."""

    def post(self, posting: Posting) -> None:
        """Act on a post to a web hook, before it is sent for the first time."""

    @property
    def most_hits(self) -> int | None:
        """How many requests it can meet; None: it has no end."""
        known = [most for most in (self.count, self.when.most_hits) if most is not None]
        return min(known, default=None)


class FailingFault(NodeFault):
    """A fault that answers an error of ZStack, or ends a job with one."""

    code: str = Field("SYS.1000", min_length=1, max_length=64, description="ZStack's code of the error")
    summary: str | None = Field(
        None,
        alias="description",
        max_length=4096,
        description="ZStack's summary of the error; if unset, the code's",
        examples=["An internal error happened in system"],
    )
    details: str = Field("a fault of the lab", max_length=4096, description="what went wrong")

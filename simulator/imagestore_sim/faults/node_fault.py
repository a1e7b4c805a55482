"""What a kind of fault of the management plane is: a class whose fields are its parameters, with its traits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from pydantic import Field

from imagestore_sim.faults.base import AnyFault
from imagestore_sim.faults.exchange import Exchange
from imagestore_sim.faults.selection import Meets, When

Undo = Callable[[], None]


class FaultyNode(Protocol):
    """A management node, as `NodeFault.begin` sees it."""

    async def remember(self, seconds: float) -> Undo:
        """Keep what the store held in the last `seconds`, for `Exchange.read_past`; return what ends that."""


ALWAYS = When.model_validate({})


class NodeFault(AnyFault):
    """What can be wrong with a management node; `registry.node_fault` declares it.

    Override what the kind does to a request; all faults that meet it act, in the order in which they were set.
    """

    meets: ClassVar[Meets]
    """What a request has to be, to be counted by `when`."""
    example: ClassVar[Mapping[str, Any]]
    """Parameters that show a typical use."""

    when: When = Field(ALWAYS, description="which requests it meets")
    count: int | None = Field(None, ge=1, description="how many requests it meets before it heals by itself")

    async def begin(self, node: FaultyNode) -> Undo | None:
        """Do to the node what the fault needs while it is set; return what undoes it.

        Raise FaultProblem when the fault is not possible on this node.
        """

    async def before(self, exchange: Exchange) -> None:
        """Act once the request is understood, before it is carried out."""

    async def after(self, exchange: Exchange) -> None:
        """Act once there is an answer, before it is sent."""

    @property
    def most_hits(self) -> int | None:
        """How many requests it can meet; None: it has no end."""
        known = [most for most in (self.count, self.when.most_hits) if most is not None]
        return min(known, default=None)

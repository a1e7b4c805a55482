"""The faults of the management plane: `/lab/v1/node/faults`. Healing them all is a call of `hosts`."""

from __future__ import annotations

from aiohttp import web

from imagestore_sim.faults import FaultProblem, read_node_fault
from imagestore_sim.lab_api.node_fault_shapes import (
    NodeFaultShape,
    NodeFaultsShape,
    NodeFaultToSet,
    node_fault_shape,
)
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, with_body
from imagestore_sim.rest.node_faults import AppliedNodeFault, NodeFaults, TooManyFaults

NO_FAULT = {404: "there is no such fault, and none among the latest that were healed"}


class NodeFaultsRoutes:
    """Serves `/lab/v1/node/faults`."""

    def __init__(self, faults: NodeFaults) -> None:
        self._faults = faults

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        path, one = "/lab/v1/node/faults", "/lab/v1/node/faults/{id}"
        refused = {400: "a field cannot be used", 409: "as many faults are set as can be at once"}
        return [
            Route("GET", path, "The faults of the management plane", Handler(self.show_all), NodeFaultsShape),
            Route(
                "POST",
                path,
                "Set a fault of the management plane",
                with_body(NodeFaultToSet, self.set),
                NodeFaultShape,
                201,
                refused,
            ),
            Route("DELETE", path, "Heal all faults of the management plane", Handler(self.heal_all), NodeFaultsShape),
            Route("GET", one, "A fault of the management plane", Handler(self.show), NodeFaultShape, problems=NO_FAULT),
            Route(
                "DELETE",
                one,
                "Heal one fault of the management plane",
                Handler(self.heal),
                NodeFaultShape,
                problems=NO_FAULT,
            ),
        ]

    async def show_all(self, request: web.Request) -> Answer:
        """Return the faults that are set, and the latest that were healed."""
        return NodeFaultsShape(
            faults=[self._show(one) for one in self._faults],
            healed=[self._show(one) for one in self._faults.healed()],
        )

    async def show(self, request: web.Request) -> Answer:
        """Return a fault that is set or was healed lately, with the requests that it has met."""
        return self._show(self._find(request))

    async def set(self, request: web.Request, body: NodeFaultToSet) -> Answer:
        """Set the fault that a body describes, and return it with its id. Raise Refused."""
        try:
            applied = await self._faults.apply(read_node_fault(body.kind, body.model_extra or {}))
        except FaultProblem as problem:
            raise Refused(400, str(problem)) from None
        except TooManyFaults as problem:
            raise Refused(409, str(problem)) from None
        return self._show(applied)

    async def heal(self, request: web.Request) -> Answer:
        """Heal one fault, and let the requests go on that it holds; return it with its hits."""
        applied = self._find(request)
        await self._faults.heal(applied)
        return self._show(applied)

    async def heal_all(self, request: web.Request) -> Answer:
        """Heal every fault, the latest first, and return what was healed."""
        await self._faults.heal_all()
        return await self.show_all(request)

    def _show(self, applied: AppliedNodeFault) -> NodeFaultShape:
        return node_fault_shape(applied, self._faults.clock)

    def _find(self, request: web.Request) -> AppliedNodeFault:
        identity = request.match_info["id"]
        applied = self._faults.find(identity)
        if applied is None:
            raise Refused(404, f"there is no fault {identity}")
        return applied

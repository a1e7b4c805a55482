"""The hosts of a lab, simulated or in containers, and the faults on them: `/lab/v1/hosts` and `/lab/v1/faults`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeVar

from aiohttp import web

from imagestore_sim.faults import FAULTS, NODE_FAULTS, Fault, FaultProblem, Host, read_fault
from imagestore_sim.faults.disk import Fill, Resize
from imagestore_sim.faults.target import AgentState
from imagestore_sim.lab_api.host_shapes import (
    AgentShape,
    FaultId,
    FaultToApply,
    FormShape,
    HostShape,
    HostsShape,
    WhatToHeal,
    agent_shape,
    fault_id,
    host_shape,
    kind_shape,
    schema_of,
)
from imagestore_sim.lab_api.node_fault_shapes import KindsShape, node_kind_shape
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, with_body
from imagestore_sim.probe.agent import PORT as AGENT_PORT
from imagestore_sim.rest.node_faults import NodeFaults
from imagestore_sim.tasks import together

NO_HOSTS = "this node has no simulated hosts"
NO_HOST = {404: "there is no such host, or the node has no hosts"}
NOT_VALID = {400: "a field cannot be used"}
CONFLICT = {409: "the host cannot do that as it is"}
T = TypeVar("T")


class Hosts(Protocol):
    """The hosts of a lab."""

    async def all(self) -> Iterable[Host]:
        """Return every host. Raise OSError."""

    async def host(self, name: str) -> Host:
        """Return the host of that name. Raise KeyError, OSError."""

    async def host_to_change(self, name: str) -> Host:
        """Return the host of that name, which is about to be started, stopped or broken by hand.

        The lab keeps it until it is removed, though it was made on the spot. Raise KeyError, OSError.
        """

    async def agent(self, name: str) -> AgentState:
        """Return the agent of the host of that name. Raise KeyError, ValueError while the host is stopped, OSError."""

    async def container_forms(self) -> Mapping[str, FormShape]:
        """Return how they have each kind of fault, by its name; nothing for simulated hosts. Raise OSError."""


class HostsRoutes:
    """Answers the requests about hosts of any kind. A node without a lab has no hosts, and answers 404."""

    def __init__(self, hosts: Hosts | None, node_faults: NodeFaults | None = None) -> None:
        """`node_faults` are those of the management plane, of which a lab of hosts alone has none."""
        self._hosts = hosts
        self._node_faults = node_faults

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        one, faults = "/lab/v1/hosts/{name}", "/lab/v1/hosts/{name}/faults"
        conflict = NO_HOST | CONFLICT
        return [
            Route("GET", "/lab/v1/hosts", "All hosts", Handler(self.show_all), HostsShape, problems=NO_HOST),
            Route("GET", one, "A host", Handler(self.show), HostShape, problems=NO_HOST),
            Route("GET", f"{one}/agent", "The agent of a host", Handler(self.agent), AgentShape, problems=conflict),
            Route("POST", f"{one}/start", "Start a host", Handler(self.start), HostShape, problems=conflict),
            Route("POST", f"{one}/stop", "Stop a host", Handler(self.stop), HostShape, problems=conflict),
            Route(
                "POST",
                faults,
                "Put a fault on a host",
                with_body(FaultToApply, self.read_and_apply),
                FaultId,
                201,
                NOT_VALID | conflict,
            ),
            Route(
                "POST",
                f"{one}/fill",
                "Fill a host's disk, or empty it",
                with_body(Fill, self.apply),
                FaultId,
                201,
                NOT_VALID | conflict,
            ),
            Route(
                "POST",
                f"{one}/resize",
                "Let a host's disk grow or shrink",
                with_body(Resize, self.apply),
                FaultId,
                201,
                NOT_VALID | conflict,
            ),
            Route(
                "POST",
                f"{one}/heal",
                "Heal a host of every fault, or of those of a kind",
                with_body(WhatToHeal, self.heal_host),
                HostShape,
                problems=NOT_VALID | conflict,
            ),
            Route(
                "POST",
                "/lab/v1/heal",
                "Heal all hosts and the management plane of every fault, or of those of a kind",
                with_body(WhatToHeal, self.heal_hosts),
                HostsShape,
                problems=NOT_VALID | conflict,
            ),
            Route("DELETE", faults, "Heal a host of every fault", Handler(self.heal_all), HostShape, problems=conflict),
            Route(
                "DELETE",
                f"{faults}/{{id}}",
                "Heal a host of one fault",
                Handler(self.heal),
                HostShape,
                problems=CONFLICT | {404: "there is no such host, or no such fault on it"},
            ),
            Route("GET", "/lab/v1/faults", "The kinds of fault", Handler(self.kinds), KindsShape, problems=NO_HOST),
        ]

    async def show_all(self, request: web.Request) -> Answer:
        """Return every host with its disk, its logins and the faults that are on it."""
        hosts = await _refusing(self._present().all())
        return HostsShape(hosts=await together(*(_show(host) for host in hosts)))

    async def show(self, request: web.Request) -> Answer:
        """Return a host with its disk, its logins and the faults that are on it."""
        return await _show(await self._host(request))

    async def agent(self, request: web.Request) -> Answer:
        """Return the address and the certificate of a host's agent, which listens from then on."""
        name = request.match_info["name"]
        try:
            return agent_shape(await _refusing(self._present().agent(name)), AGENT_PORT)
        except KeyError:
            raise Refused(404, f"there is no host {name}") from None

    async def start(self, request: web.Request) -> Answer:
        """Let a host listen at its address again, and return it. One that runs stays as it is."""
        host = await self._host_to_change(request)
        try:
            await host.start()
        except OSError as error:
            raise Refused(409, f"{host.name} cannot be started: {error}") from None
        return await _show(host)

    async def stop(self, request: web.Request) -> Answer:
        """Shut a host down, so that nothing answers at its address, and return it."""
        host = await self._host_to_change(request)
        await _refusing(host.stop())
        return await _show(host)

    async def read_and_apply(self, request: web.Request, body: FaultToApply) -> Answer:
        """Apply the fault that a body describes, until it is healed or its time is over; return its id."""
        await self._host(request)
        try:
            fault = read_fault(body.kind, body.model_extra or {})
        except FaultProblem as problem:
            raise Refused(400, str(problem)) from None
        return await self.apply(request, fault)

    async def apply(self, request: web.Request, fault: Fault) -> Answer:
        """Apply this to the host's disk, until it is healed or its time is over; return the id of the fault."""
        host = await self._host_to_change(request)
        return FaultId(id=fault_id(await _refusing(host.apply(fault))))

    async def heal(self, request: web.Request) -> Answer:
        """Heal a host of one fault, and return the host."""
        host, identity = await self._host(request), request.match_info["id"]
        for applied in host.faults:
            if fault_id(applied) == identity:
                await _refusing(applied.heal())
                return await _show(host)
        raise Refused(404, f"there is no fault {identity} on {host.name}")

    async def heal_all(self, request: web.Request) -> Answer:
        """Heal a host of every fault, the latest first, and return the host."""
        return await self.heal_host(request, WhatToHeal())

    async def heal_host(self, request: web.Request, what: WhatToHeal) -> Answer:
        """Heal a host of all faults, or of those of a kind, and return the host."""
        _check_kind(what, FAULTS)
        host = await self._host(request)
        await _heal(host, what)
        return await _show(host)

    async def heal_hosts(self, request: web.Request, what: WhatToHeal) -> Answer:
        """Heal all hosts and the management plane of all faults, or of those of a kind; return the hosts."""
        _check_kind(what, FAULTS if self._node_faults is None else {**FAULTS, **NODE_FAULTS})
        if self._node_faults is not None:
            await self._node_faults.heal_all(what.kind)
            if self._hosts is None:
                return HostsShape(hosts=[])
        for host in await _refusing(self._present().all()):
            await _heal(host, what)
        return await self.show_all(request)

    async def kinds(self, request: web.Request) -> Answer:
        """Return every kind of fault with its parameters and JSON Schemas: of hosts, and of the management plane."""
        for kind in (*FAULTS.values(), *NODE_FAULTS.values()):
            schema_of(kind)  # kept; the first time all together would block the event loop for half a second
            await asyncio.sleep(0)
        node = [] if self._node_faults is None else [node_kind_shape(NODE_FAULTS[name]) for name in sorted(NODE_FAULTS)]
        if self._hosts is None and node:
            return KindsShape(faults=[], node_faults=node)
        forms = await _refusing(self._present().container_forms())
        kinds = [kind_shape(FAULTS[name], forms.get(name)) for name in sorted(FAULTS)]
        return KindsShape(faults=kinds, node_faults=node)

    def _present(self) -> Hosts:
        if self._hosts is None:
            raise Refused(404, NO_HOSTS)
        return self._hosts

    async def _host(self, request: web.Request) -> Host:
        return await _found(self._present().host, request.match_info["name"])

    async def _host_to_change(self, request: web.Request) -> Host:
        return await _found(self._present().host_to_change, request.match_info["name"])


async def _found(find: Callable[[str], Awaitable[Host]], name: str) -> Host:
    """Return the host that `find` has of that name. Raise Refused."""
    try:
        return await _refusing(find(name))
    except KeyError:
        raise Refused(404, f"there is no host {name}") from None


async def _refusing(work: Awaitable[T]) -> T:
    """Return the result of `work`. Raise Refused (409) for its ValueError or OSError."""
    try:
        return await work
    except (ValueError, OSError) as problem:
        raise Refused(409, str(problem)) from None


async def _heal(host: Host, what: WhatToHeal) -> None:
    """Heal a host, the latest fault first. Raise Refused."""
    for applied in reversed(list(host.faults)):
        if what.kind in (None, applied.fault.kind):
            await _refusing(applied.heal())


def _check_kind(what: WhatToHeal, kinds: Collection[str]) -> None:
    """Raise Refused for a kind that is not one of `kinds`."""
    if what.kind is not None and what.kind not in kinds:
        raise Refused(400, f"kind: there is no fault {what.kind!r}; there are {', '.join(sorted(kinds))}")


async def _show(host: Host) -> HostShape:
    return host_shape(await host.state())

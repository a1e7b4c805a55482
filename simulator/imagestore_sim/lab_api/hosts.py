"""The hosts of a lab, simulated or containers: `/lab/v1/hosts` and what is wrong with them, `/lab/v1/faults`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from aiohttp import web
from pydantic import ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from imagestore_sim.faults import FAULTS, AppliedFault, Fault, FaultProblem, Host, HostState, read_fault
from imagestore_sim.faults.disk import Fill, Resize
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_body

NO_HOSTS = "this node has no simulated hosts"
NO_HOST = {404: "there is no such host, or the node has none at all"}
NOT_VALID = {400: "a field cannot be used"}
CONFLICT = {409: "the host cannot do that as it is"}
T = TypeVar("T")


class FaultShape(Shape):
    """A fault that is on a host."""

    id: str
    kind: str
    parameters: dict[str, JsonValue] = Field(description="those that are not as by default")
    seconds_left: float | None = Field(description="until it heals by itself, by the lab's clock; null: it does not")


class HostShape(Shape):
    """A host: bytes, and as df would show it, faults included. A simulated one tells all of it."""

    name: str
    port: int = Field(description="the port that storages know it by")
    listening: bool = Field(description="whether it runs")
    address: str = Field(description="where it really listens, or did last")
    size: int | None = Field(description="null, here and below: its disk cannot be asked now")
    used: int | None
    reserved: int | None = Field(description="kept for root, so not available")
    available: int | None
    inodes: int | None
    free_inodes: int | None
    read_only: bool | None
    logins: int | None = Field(description="successful ones so far; null: a container, which does not count them")
    connections: int | None = Field(description="those that are open")
    username: str | None = Field(description="who may log in; null: anybody")
    faults: list[FaultShape]


class HostsShape(Shape):
    """All hosts."""

    hosts: list[HostShape]


class FormShape(Shape):
    """What a kind of fault is on hosts in containers."""

    how: str | None = Field(description="by which means a container has it; null: none can")
    why_not: str | None = Field(description="why no container can have it")
    hosts: list[str] = Field(description="those that may do what it takes")


class Hosts(Protocol):
    """The hosts of a lab."""

    async def all(self) -> Iterable[Host]:
        """Every host. Raises OSError."""

    async def host(self, name: str) -> Host:
        """Return the host of that name. Raise KeyError, OSError."""

    async def host_to_change(self, name: str) -> Host:
        """Return the host of that name, which is about to be started, stopped or broken by hand.

        The lab keeps it until it is removed, though it was made on the spot. Raise KeyError, OSError.
        """

    async def forms(self) -> Mapping[str, FormShape]:
        """What kinds of fault are on them, by name; none where that needs no words. Raises OSError."""


class FaultToApply(Shape):
    """A fault: its kind, the parameters of that kind, and `for`: how long until it heals by itself."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", frozen=True)

    kind: str

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "title": cls.__name__,
            "description": cls.__doc__,
            "oneOf": [_with_kind(one) for one in FAULTS.values()],
        }


class WhatToHeal(Shape):
    """What to heal; without a kind, every fault."""

    kind: str | None = Field(None, description="a kind of fault")


class FaultId(Shape):
    """What heals the fault."""

    id: str


class ParameterShape(Shape):
    """A parameter of a kind of fault."""

    name: str
    default: str
    description: str


class KindShape(Shape):
    """A kind of fault."""

    kind: str
    layer: str
    description: str
    heals: str
    parameters: list[ParameterShape]
    json_schema: dict[str, JsonValue] = Field(alias="schema", description="the JSON Schema of its parameters")
    form: FormShape | None = Field(description="what it is on hosts in containers; null: the hosts are simulated")


class KindsShape(Shape):
    """The kinds of fault that there are."""

    faults: list[KindShape]


class HostsRoutes:
    """Answers the requests about hosts of any kind; a node by itself has none, and says so."""

    def __init__(self, hosts: Hosts | None) -> None:
        self._hosts = hosts

    def routes(self) -> list[Route]:
        """The calls."""
        one, faults = "/lab/v1/hosts/{name}", "/lab/v1/hosts/{name}/faults"
        conflict = NO_HOST | CONFLICT
        return [
            Route("GET", "/lab/v1/hosts", "All hosts", Handler(self.show_all), HostsShape, problems=NO_HOST),
            Route("GET", one, "A host", Handler(self.show), HostShape, problems=NO_HOST),
            Route("POST", f"{one}/start", "Start a host", Handler(self.start), HostShape, problems=conflict),
            Route("POST", f"{one}/stop", "Stop a host", Handler(self.stop), HostShape, problems=conflict),
            Route(
                "POST",
                faults,
                "Put a fault on a host",
                with_body(FaultToApply, self.break_host),
                FaultId,
                201,
                NOT_VALID | conflict,
            ),
            Route(
                "POST",
                f"{one}/fill",
                "Fill a host's disk, or empty it",
                with_body(Fill, self.break_so),
                FaultId,
                201,
                NOT_VALID | conflict,
            ),
            Route(
                "POST",
                f"{one}/resize",
                "Let a host's disk grow or shrink",
                with_body(Resize, self.break_so),
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
                "Heal all hosts of every fault, or of those of a kind",
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
        """All hosts."""
        hosts = await _asked(self._all().all())
        return HostsShape(hosts=await asyncio.gather(*(_show(host) for host in hosts)))

    async def show(self, request: web.Request) -> Answer:
        """One host."""
        return await _show(await self._host(request))

    async def start(self, request: web.Request) -> Answer:
        """Start a host."""
        host = await self._host_to_change(request)
        try:
            await host.start()
        except OSError as error:
            raise Refused(409, f"{host.name} cannot be started: {error}") from None
        return await _show(host)

    async def stop(self, request: web.Request) -> Answer:
        """Stop a host."""
        host = await self._host_to_change(request)
        await _asked(host.stop())
        return await _show(host)

    async def break_host(self, request: web.Request, wanted: FaultToApply) -> Answer:
        """Apply a fault."""
        await self._host(request)
        try:
            fault = read_fault(wanted.kind, wanted.model_extra or {})
        except FaultProblem as problem:
            raise Refused(400, str(problem)) from None
        return await self.break_so(request, fault)

    async def break_so(self, request: web.Request, fault: Fault) -> Answer:
        """Apply a fault that has been read."""
        host = await self._host_to_change(request)
        return FaultId(id=fault_id(await _asked(host.apply(fault))))

    async def heal(self, request: web.Request) -> Answer:
        """Heal one fault."""
        host, wanted = await self._host(request), request.match_info["id"]
        for applied in host.faults:
            if fault_id(applied) == wanted:
                await _asked(applied.heal())
                return await _show(host)
        raise Refused(404, f"there is no fault {wanted} on {host.name}")

    async def heal_all(self, request: web.Request) -> Answer:
        """Heal every fault."""
        return await self.heal_host(request, WhatToHeal())

    async def heal_host(self, request: web.Request, wanted: WhatToHeal) -> Answer:
        """Heal what is meant of one host."""
        host = await self._host(request)
        await _heal(host, wanted)
        return await _show(host)

    async def heal_hosts(self, request: web.Request, wanted: WhatToHeal) -> Answer:
        """Heal what is meant of all hosts."""
        for host in await _asked(self._all().all()):
            await _heal(host, wanted)
        return await self.show_all(request)

    async def kinds(self, request: web.Request) -> Answer:
        """The registry."""
        forms = await _asked(self._all().forms())
        return KindsShape(faults=[_kind(FAULTS[name], forms.get(name)) for name in sorted(FAULTS)])

    def _all(self) -> Hosts:
        if self._hosts is None:
            raise Refused(404, NO_HOSTS)
        return self._hosts

    async def _host(self, request: web.Request) -> Host:
        return await _found(self._all().host, request.match_info["name"])

    async def _host_to_change(self, request: web.Request) -> Host:
        return await _found(self._all().host_to_change, request.match_info["name"])


async def _found(find: Callable[[str], Awaitable[Host]], name: str) -> Host:
    """Return the host that `find` has of that name. Raise Refused."""
    try:
        return await _asked(find(name))
    except KeyError:
        raise Refused(404, f"there is no host {name}") from None


async def _asked(work: Awaitable[T]) -> T:
    """What a host answers; raises Refused when it cannot do it."""
    try:
        return await work
    except (ValueError, OSError) as problem:
        raise Refused(409, str(problem)) from None


async def _heal(host: Host, wanted: WhatToHeal) -> None:
    """The latest first, as those before them have left the host. Raises Refused, for a kind that there is not too."""
    if wanted.kind is not None and wanted.kind not in FAULTS:
        raise Refused(400, f"kind: there is no fault {wanted.kind!r}; there are {', '.join(sorted(FAULTS))}")
    for applied in reversed(list(host.faults)):
        if wanted.kind in (None, applied.fault.kind):
            await _asked(applied.heal())


async def _show(host: Host) -> HostShape:
    return host_shape(await host.state())


def host_shape(state: HostState) -> HostShape:
    """Return a host as the API shows it."""
    disk = state.disk
    return HostShape(
        name=state.name,
        port=state.port,
        listening=state.listening,
        address=state.address,
        size=disk.size if disk else None,
        used=disk.used if disk else None,
        reserved=disk.reserved if disk else None,
        available=disk.available if disk else None,
        inodes=disk.inodes if disk else None,
        free_inodes=disk.free_inodes if disk else None,
        read_only=disk.read_only if disk else None,
        logins=state.logins,
        connections=state.connections,
        username=state.username,
        faults=[_fault_shape(applied, state.at) for applied in state.faults],
    )


def _fault_shape(applied: AppliedFault, now: float) -> FaultShape:
    left = None if applied.expires_at is None else max(0.0, applied.expires_at - now)
    fault = applied.fault
    return FaultShape(id=fault_id(applied), kind=fault.kind, parameters=fault.values(), seconds_left=left)


def fault_id(applied: AppliedFault) -> str:
    """What heals it."""
    return f"{applied.fault.kind}-{applied.number}"


def _kind(kind: type[Fault], form: FormShape | None) -> KindShape:
    return KindShape(
        kind=kind.kind,
        layer=kind.layer,
        description=kind.description(),
        heals=kind.heals,
        parameters=[
            ParameterShape(name=name, default=default, description=description)
            for name, default, description in kind.parameters()
        ],
        json_schema=_schema(kind),
        form=form,
    )


def _schema(kind: type[Fault]) -> dict[str, Any]:
    schema = kind.model_json_schema(by_alias=True)
    return schema | {"title": kind.kind, "description": kind.description()}


def _with_kind(kind: type[Fault]) -> dict[str, Any]:
    schema = _schema(kind)
    return schema | {
        "properties": {"kind": {"const": kind.kind}, **schema["properties"]},
        "required": ["kind", *schema.get("required", ())],
    }

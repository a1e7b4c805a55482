"""The simulated hosts of a lab: `/lab/v1/hosts` and what is wrong with them, `/lab/v1/faults`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from pydantic import ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.control.routes import Done, Given, Handler, Refused, Route, Shape, with_body
from simulator.hosts import Credentials, SimulatedHost, VirtualDisk
from simulator.hosts.disk import mounted_on_root
from simulator.hosts.faults import FAULTS, Applied, Fault, FaultProblem, read_fault
from simulator.hosts.faults.disk import Fill, Resize
from simulator.hosts.faults.quantities import Bytes, BytesOrShare, Path
from simulator.hosts.network import AnyHost
from simulator.hosts.nodes import BLOCK

NO_HOSTS = "this node has no simulated hosts"
USERNAME = "root"
NO_HOST = {404: "there is no such host, or the node has no simulated hosts"}
NOT_VALID = {400: "a field cannot be used"}


class Network(Protocol):
    """What is asked of the network of a lab."""

    def __getitem__(self, name: str) -> SimulatedHost:
        """The host of that name; raises KeyError."""

    def __iter__(self) -> Iterator[str]:
        """All names."""

    async def add(self, host: SimulatedHost) -> None:
        """Start a host and make it known. Raises ValueError when its name is taken, RuntimeError, OSError."""

    async def remove(self, name: str) -> None:
        """Stop a host and forget it. Raises KeyError."""


@dataclass(frozen=True, slots=True)
class LabHosts:
    """The hosts of a lab, and what makes one of a name and a port."""

    network: Network
    new_host: AnyHost


class FaultShape(Shape):
    """A fault that is on a host."""

    id: str
    kind: str
    parameters: dict[str, JsonValue] = Field(description="those that are not as by default")
    seconds_left: float | None = Field(description="until it heals by itself, by the lab's clock; null: it does not")


class HostShape(Shape):
    """A simulated host: bytes, and as df would show it, faults included."""

    name: str
    port: int = Field(description="the port that storages know it by")
    listening: bool
    address: str = Field(description="where it really listens, or did last")
    size: int
    used: int
    reserved: int = Field(description="kept for root, so not available")
    available: int
    inodes: int
    free_inodes: int
    read_only: bool
    logins: int = Field(description="successful ones so far")
    connections: int = Field(description="those that are open")
    username: str | None = Field(description="who may log in; null: anybody")
    faults: list[FaultShape]


class HostsShape(Shape):
    """All hosts."""

    hosts: list[HostShape]


class HostToAdd(Shape):
    """A host to add; what is not given follows from its name."""

    name: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,255}$", description="what storages have as hostname")
    port: int = Field(22, ge=1, le=65535, description="the port that storages know it by")
    size: Bytes | None = Field(None, description="of its disk, none of which is in use then unless `used` says so")
    used: BytesOrShare | None = Field(None, description="a size, or a share of all")
    reserved: BytesOrShare | None = Field(None, description="kept for root: a size, or a share of all")
    inodes: int | None = Field(None, ge=0, description="0: not counted, as on btrfs")
    mount: Path | None = Field(None, description="where the disk is mounted, beside a root's of 50 GiB; / if unset")
    read_only: bool = False
    username: str | None = Field(None, min_length=1, description="who may log in; without it and a password: anybody")
    password: str | None = None
    sftp: bool = Field(True, description="whether its sshd has SFTP")
    statvfs: bool = Field(True, description="whether its SFTP has statvfs@openssh.com")


class HostChange(Shape):
    """What to change of a host; the rest stays."""

    size: Bytes | None = None
    used: BytesOrShare | None = Field(None, description="a size, or a share of all")
    reserved: BytesOrShare | None = Field(None, description="kept for root: a size, or a share of all")
    read_only: bool | None = None
    username: str | None = Field(None, min_length=1)
    password: str | None = Field(None, description="asked for at the next login; connections that are open stay")


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


class KindsShape(Shape):
    """The kinds of fault that there are."""

    faults: list[KindShape]


class HostsDoor:
    """Answers the requests; a node by itself has no hosts, and says so."""

    def __init__(self, hosts: LabHosts | None) -> None:
        self._hosts = hosts

    def routes(self) -> list[Route]:
        """The calls."""
        one, faults = "/lab/v1/hosts/{name}", "/lab/v1/hosts/{name}/faults"
        conflict = {409: "the host cannot do that as it is"}
        taken = {404: NO_HOST[404], 409: "there is a host of that name already"}
        return [
            Route("GET", "/lab/v1/hosts", "All simulated hosts", Handler(self.show_all), HostsShape, problems=NO_HOST),
            Route(
                "POST",
                "/lab/v1/hosts",
                "Add a simulated host",
                with_body(HostToAdd, self.add),
                HostShape,
                201,
                NOT_VALID | taken,
            ),
            Route("GET", one, "A simulated host", Handler(self.show), HostShape, problems=NO_HOST),
            Route(
                "PATCH",
                one,
                "Change a host's disk or credentials",
                with_body(HostChange, self.change),
                HostShape,
                problems=NOT_VALID | NO_HOST | conflict,
            ),
            Route("DELETE", one, "Remove a host", Handler(self.remove), Done, problems=NO_HOST),
            Route("POST", f"{one}/start", "Start a host", Handler(self.start), HostShape, problems=NO_HOST | conflict),
            Route("POST", f"{one}/stop", "Stop a host", Handler(self.stop), HostShape, problems=NO_HOST),
            Route(
                "POST",
                faults,
                "Put a fault on a host",
                with_body(FaultToApply, self.break_host),
                FaultId,
                201,
                NOT_VALID | NO_HOST | conflict,
            ),
            Route(
                "POST",
                f"{one}/fill",
                "Fill a host's disk, or empty it",
                with_body(Fill, self.break_so),
                FaultId,
                201,
                NOT_VALID | NO_HOST | conflict,
            ),
            Route(
                "POST",
                f"{one}/resize",
                "Let a host's disk grow or shrink",
                with_body(Resize, self.break_so),
                FaultId,
                201,
                NOT_VALID | NO_HOST | conflict,
            ),
            Route(
                "POST",
                f"{one}/heal",
                "Heal a host of every fault, or of those of a kind",
                with_body(WhatToHeal, self.heal_host),
                HostShape,
                problems=NOT_VALID | NO_HOST,
            ),
            Route(
                "POST",
                "/lab/v1/heal",
                "Heal all hosts of every fault, or of those of a kind",
                with_body(WhatToHeal, self.heal_hosts),
                HostsShape,
                problems=NOT_VALID | NO_HOST,
            ),
            Route("DELETE", faults, "Heal a host of every fault", Handler(self.heal_all), HostShape, problems=NO_HOST),
            Route(
                "DELETE",
                f"{faults}/{{id}}",
                "Heal a host of one fault",
                Handler(self.heal),
                HostShape,
                problems={404: "there is no such host, or no such fault on it"},
            ),
            Route("GET", "/lab/v1/faults", "The kinds of fault", Handler(self.kinds), KindsShape, problems=NO_HOST),
        ]

    async def show_all(self, request: web.Request) -> Given:
        """All hosts."""
        network = self._lab().network
        return HostsShape(hosts=[_shape(network[name]) for name in network])

    async def show(self, request: web.Request) -> Given:
        """One host."""
        return _shape(self._host(request))

    async def add(self, request: web.Request, wanted: HostToAdd) -> Given:
        """Make a host, and start it."""
        lab = self._lab()
        host = lab.new_host(wanted.name, wanted.port)
        host.sftp, host.statvfs = wanted.sftp, wanted.statvfs
        if wanted.size is not None:
            host.disk.reserved = 0
            host.disk.used = 0
        if wanted.inodes is not None:
            host.disk.inodes = wanted.inodes
        _change_credentials(host, wanted.username, wanted.password)
        _change_disk(host.disk, wanted)
        if wanted.mount not in (None, "/"):
            host.disk = mounted_on_root(host.disk, wanted.mount, lab.new_host(wanted.name, wanted.port).clock)
        try:
            await lab.network.add(host)
        except ValueError as error:
            raise Refused(409, f"name: {error}") from None
        except (RuntimeError, OSError) as error:
            raise Refused(409, f"{wanted.name} cannot be started: {error}") from None
        return _shape(host)

    async def change(self, request: web.Request, wanted: HostChange) -> Given:
        """Change a host: all that is asked for, or nothing."""
        host = self._host(request)
        before = host.credentials
        _change_credentials(host, wanted.username, wanted.password)
        try:
            _change_disk(_disk(host), wanted)
        except Refused:
            host.credentials = before
            raise
        return _shape(host)

    async def remove(self, request: web.Request) -> Given:
        """Stop a host and forget it."""
        await self._lab().network.remove(self._host(request).name)
        return Done()

    async def start(self, request: web.Request) -> Given:
        """Let a host listen."""
        host = self._host(request)
        try:
            await host.start()
        except OSError as error:
            raise Refused(409, f"{host.name} cannot be started: {error}") from None
        return _shape(host)

    async def stop(self, request: web.Request) -> Given:
        """Let a host listen no more."""
        host = self._host(request)
        await host.stop()
        return _shape(host)

    async def break_host(self, request: web.Request, wanted: FaultToApply) -> Given:
        """Apply a fault."""
        self._host(request)
        try:
            fault = read_fault(wanted.kind, wanted.model_extra or {})
        except FaultProblem as problem:
            raise Refused(400, str(problem)) from None
        return await self.break_so(request, fault)

    async def break_so(self, request: web.Request, fault: Fault) -> Given:
        """Apply a fault that has been read."""
        host = self._host(request)
        try:
            return FaultId(id=_id(await host.faults.apply(fault)))
        except (FaultProblem, OSError) as problem:
            raise Refused(409, str(problem)) from None

    async def heal(self, request: web.Request) -> Given:
        """Heal one fault."""
        host, wanted = self._host(request), request.match_info["id"]
        for applied in host.faults:
            if _id(applied) == wanted:
                await applied.heal()
                return _shape(host)
        raise Refused(404, f"there is no fault {wanted} on {host.name}")

    async def heal_all(self, request: web.Request) -> Given:
        """Heal every fault."""
        host = self._host(request)
        await host.faults.heal_all()
        return _shape(host)

    async def heal_host(self, request: web.Request, wanted: WhatToHeal) -> Given:
        """Heal what is meant of one host."""
        host = self._host(request)
        await _heal(host, wanted)
        return _shape(host)

    async def heal_hosts(self, request: web.Request, wanted: WhatToHeal) -> Given:
        """Heal what is meant of all hosts."""
        network = self._lab().network
        for name in list(network):
            await _heal(network[name], wanted)
        return await self.show_all(request)

    async def kinds(self, request: web.Request) -> Given:
        """The registry."""
        self._lab()
        return KindsShape(faults=[_kind(FAULTS[name]) for name in sorted(FAULTS)])

    def _lab(self) -> LabHosts:
        if self._hosts is None:
            raise Refused(404, NO_HOSTS)
        return self._hosts

    def _host(self, request: web.Request) -> SimulatedHost:
        name = request.match_info["name"]
        try:
            return self._lab().network[name]
        except KeyError:
            raise Refused(404, f"there is no host {name}") from None


def _disk(host: SimulatedHost) -> VirtualDisk:
    """The one that is mounted beside the root's, if it is the only one; else the root's, as disk faults take it."""
    _, *mounted = (disk for _, disk in host.disk.mounts())
    return mounted[0] if len(mounted) == 1 else host.disk


async def _heal(host: SimulatedHost, wanted: WhatToHeal) -> None:
    """The latest first, as those before them have left the host. Raises Refused for a kind that there is not."""
    if wanted.kind is not None and wanted.kind not in FAULTS:
        raise Refused(400, f"kind: there is no fault {wanted.kind!r}; there are {', '.join(sorted(FAULTS))}")
    for applied in reversed(list(host.faults)):
        if wanted.kind in (None, applied.fault.kind):
            await applied.heal()


def _shape(host: SimulatedHost) -> HostShape:
    volume = _disk(host).volume()
    address, port = host.address
    return HostShape(
        name=host.name,
        port=host.port,
        listening=host.listening,
        address=f"{address}:{port}",
        size=volume.blocks * BLOCK,
        used=volume.used * BLOCK,
        reserved=volume.reserved * BLOCK,
        available=volume.available * BLOCK,
        inodes=volume.inodes,
        free_inodes=volume.free_inodes,
        read_only=volume.read_only,
        logins=host.logins,
        connections=len(host.links),
        username=host.credentials.username if host.credentials else None,
        faults=[_fault_shape(host, applied) for applied in host.faults],
    )


def _fault_shape(host: SimulatedHost, applied: Applied) -> FaultShape:
    left = None if applied.until is None else max(0.0, applied.until - host.clock.monotonic())
    return FaultShape(id=_id(applied), kind=applied.fault.kind, parameters=applied.fault.values(), seconds_left=left)


def _id(applied: Applied) -> str:
    return f"{applied.fault.kind}-{applied.number}"


def _change_credentials(host: SimulatedHost, username: str | None, password: str | None) -> None:
    """Raises Refused for a name without a password, and changes nothing."""
    if username is None and password is None:
        return
    before = host.credentials
    if password is None and before is None:
        raise Refused(400, "password: is required with a username")
    host.credentials = Credentials(
        username or (before.username if before else USERNAME),
        password if password is not None or before is None else before.password,
        before.keys if before else (),
    )


def _change_disk(disk: VirtualDisk, wanted: HostToAdd | HostChange) -> None:
    """Raises Refused when the files on the disk take more than it is said to have in use, and changes nothing."""
    whole = disk.size if wanted.size is None else wanted.size
    if wanted.used is not None:
        try:
            disk.used = wanted.used.of(whole)
        except ValueError as error:
            raise Refused(409, str(error)) from None
    if wanted.size is not None:
        disk.resize(wanted.size)
    if wanted.reserved is not None:
        disk.reserved = wanted.reserved.of(whole)
    if wanted.read_only is not None:
        disk.read_only = wanted.read_only


def _kind(kind: type[Fault]) -> KindShape:
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

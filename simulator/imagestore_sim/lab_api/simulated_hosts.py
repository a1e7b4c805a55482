"""Simulated hosts in the lab's API: listed as any hosts are, and added, changed and removed."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from imagestore_sim.host_names import is_user_name
from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.disk import mounted_on_root
from imagestore_sim.lab_api.host_shapes import HostShape, host_shape
from imagestore_sim.lab_api.hosts import CONFLICT, NO_HOST, NO_HOSTS, NOT_VALID
from imagestore_sim.lab_api.lab_hosts import LabHosts, SimulatedHosts
from imagestore_sim.lab_api.routes import Answer, Done, Handler, Refused, Route, Shape, with_body
from imagestore_sim.units import Bytes, BytesOrShare, Path

USERNAME = "root"


def _check_user(name: str) -> str:
    if not is_user_name(name):
        raise ValueError("has characters that ssh refuses in the name of a user")
    return name


def _check_host(name: str) -> str:
    if name.startswith("-") or not name.strip("."):
        raise ValueError("is no name of a host: ssh would take it for an option, or a URL for a folder")
    return name


HostName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._:-]{1,255}$", description="the hostname of its storages"),
    AfterValidator(_check_host),
]
UserName = Annotated[str, Field(min_length=1), AfterValidator(_check_user)]


class HostToAdd(Shape):
    """A host to add. What is left out follows from its name."""

    name: HostName
    port: int = Field(22, ge=1, le=65535, description="the port that storages know it by")
    size: Bytes | None = Field(None, description="the size of its disk; with it, none is in use unless `used` is given")
    used: BytesOrShare | None = Field(None, description="a size, or a share of all")
    reserved: BytesOrShare | None = Field(None, description="kept for root: a size, or a share of all")
    inodes: int | None = Field(None, ge=0, description="0: not counted, as on btrfs")
    mount: Path | None = Field(None, description="where the disk is mounted, beside a root's of 50 GiB; / if unset")
    read_only: bool = Field(False, description="whether the disk refuses writes")
    username: UserName | None = Field(
        None, description="the only account that may log in; without it and a password any may"
    )
    password: str | None = Field(None, description="the password of the SSH login; any one without it")
    sftp: bool = Field(True, description="whether its sshd has SFTP")
    statvfs: bool = Field(True, description="whether its SFTP has statvfs@openssh.com")


class HostChange(Shape):
    """Changes of a host. What is left out stays."""

    size: Bytes | None = Field(None, description="the size of the disk")
    used: BytesOrShare | None = Field(None, description="a size, or a share of all")
    reserved: BytesOrShare | None = Field(None, description="kept for root: a size, or a share of all")
    read_only: bool | None = Field(None, description="whether the disk refuses writes")
    username: UserName | None = Field(None, description="the user of the SSH login")
    password: str | None = Field(None, description="checked at the next login; open connections stay")


class HostChangesRoutes:
    """Answers the requests that change a simulated host itself, not by a fault."""

    def __init__(self, hosts: SimulatedHosts | None) -> None:
        self._hosts = hosts

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        return [
            Route(
                "PATCH",
                "/lab/v1/hosts/{name}",
                "Change a host's disk or credentials",
                with_body(HostChange, self.change),
                HostShape,
                problems=NOT_VALID | NO_HOST | CONFLICT,
            )
        ]

    async def change(self, request: web.Request, change: HostChange) -> Answer:
        """Make all the changes of a host, or none, and return the host. Members that are absent stay as they are."""
        name = request.match_info["name"]
        if self._hosts is None:
            raise Refused(404, NO_HOSTS)
        try:
            host = await self._hosts.host_to_change(name)
        except KeyError:
            raise Refused(404, f"there is no host {name}") from None
        before = host.credentials
        _change_credentials(host, change.username, change.password)
        try:
            change_disk(host.disk.storage_disk(), change)
        except Refused:
            host.credentials = before
            raise
        return host_shape(await host.state())


class SimulatedHostsRoutes:
    """Answers the requests that only the simulated hosts of a lab support."""

    def __init__(self, hosts: LabHosts | None) -> None:
        self._hosts = hosts

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        one = "/lab/v1/hosts/{name}"
        taken = {404: NO_HOST[404], 409: "there is a host of that name already"}
        return [
            Route(
                "POST",
                "/lab/v1/hosts",
                "Add a simulated host",
                with_body(HostToAdd, self.add),
                HostShape,
                201,
                NOT_VALID | taken,
            ),
            *HostChangesRoutes(self._hosts).routes(),
            Route("DELETE", one, "Remove a host", Handler(self.remove), Done, problems=NO_HOST),
        ]

    async def add(self, request: web.Request, new: HostToAdd) -> Answer:
        """Add a host, start it, and return it. A backup storage can be added on it at once."""
        lab = self._lab()
        host = lab.new_host(new.name, new.port)
        host.sftp, host.statvfs = new.sftp, new.statvfs
        if new.size is not None:
            host.disk.reserved = 0
            host.disk.used = 0
        if new.inodes is not None:
            host.disk.inodes = new.inodes
        _change_credentials(host, new.username, new.password)
        change_disk(host.disk, new)
        if new.mount not in (None, "/"):
            host.disk = mounted_on_root(host.disk, new.mount, host.clock)
        try:
            await lab.network.add(host)
        except ValueError as error:
            raise Refused(409, f"name: {error}") from None
        except (RuntimeError, OSError) as error:
            raise Refused(409, f"{new.name} cannot be started: {error}") from None
        return host_shape(await host.state())

    async def remove(self, request: web.Request) -> Answer:
        """Stop a host and forget it; records of it stay, and lose their storage at the next ping."""
        name = request.match_info["name"]
        try:
            await self._lab().network.remove(name)
        except KeyError:
            raise Refused(404, f"there is no host {name}") from None
        return Done()

    def _lab(self) -> LabHosts:
        if self._hosts is None:
            raise Refused(404, NO_HOSTS)
        return self._hosts


def _change_credentials(host: SimulatedHost, username: str | None, password: str | None) -> None:
    """Change who may log in. Raise Refused, before any change, for a name without a password."""
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


def change_disk(disk: VirtualDisk, change: HostToAdd | HostChange) -> None:
    """Change the numbers of a disk.

    Raise Refused, before any change, when its files take more than `used`, and for more than the disk has.
    """
    whole = disk.size if change.size is None else change.size
    for name, amount in (("used", change.used), ("reserved", change.reserved)):
        if amount is not None and amount.of(whole) > whole:
            raise Refused(400, f"{name}: expected no more than the disk's {whole} bytes, but got {amount}")
    if change.used is not None:
        try:
            disk.used = change.used.of(whole)
        except ValueError as error:
            raise Refused(409, str(error)) from None
    if change.size is not None:
        disk.resize(change.size)
    if change.reserved is not None:
        disk.reserved = change.reserved.of(whole)
    if change.read_only is not None:
        disk.read_only = change.read_only

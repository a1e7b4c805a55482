"""The Compose project of one run: its network, containers and volumes, removed at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import aiodocker

from imagestore_sim.containers.container import Container
from imagestore_sim.containers.engine import connect, engine_errors
from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.labels import FOLDER, KEPT, OWNER, PROJECT
from imagestore_sim.containers.leftovers import remove_project
from imagestore_sim.containers.ownership import Owner
from imagestore_sim.containers.reachability import address_pools
from imagestore_sim.ids import new_uuid

if TYPE_CHECKING:
    from aiodocker.networks import DockerNetwork

ATTEMPTS = 20
"""To get a free subnet, for which other runs compete."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """What a container may do. By default it has no capability and no device."""

    capabilities: Sequence[str] = ()
    device_rules: Sequence[str] = ()
    """Rules of its device group, such as `b 7:* rwm`."""
    device_files: Sequence[str] = ()
    security_options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume, and where it is mounted."""

    volume: str
    path: str


class RunProject:
    """What one run has in an engine: connected in `async with`, and removed at its end unless it is kept."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        """`folder` has the run's temporary files; a later run removes it with the rest if this one is killed."""
        self.folder = folder
        self.name = f"imagestore-sim-{new_uuid()[:8]}"
        self.keep = keep
        self._owner = Owner.of_this_process()
        self._engine: aiodocker.Docker | None = None
        self._network: DockerNetwork | None = None
        self._free_addresses: list[str] = []

    async def __aenter__(self) -> Self:
        """Connect. Raise EngineProblem."""
        self._engine = await connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        docker, self._engine = self._docker, None
        try:
            if not self.keep:
                await remove_project(docker, self.name)
        finally:
            await docker.close()

    @property
    def _docker(self) -> aiodocker.Docker:
        assert self._engine is not None, "connected only in `async with`"
        return self._engine

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of all that the run makes: Compose's tools list it, and a later run knows its owner."""
        labels = {PROJECT: self.name, OWNER: str(self._owner), FOLDER: str(self.folder)}
        return labels | ({KEPT: "true"} if self.keep else {})

    async def create_network(self, hosts: int) -> None:
        """Create the run's network, with addresses for `hosts` containers. Raise ContainerProblem."""
        with engine_errors("making a network"):
            for _ in range(ATTEMPTS):
                subnet, gateway = await self._find_free_subnet()
                pool = {"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": gateway}]}
                try:
                    self._network = await self._docker.networks.create(self._network_settings(pool))
                except aiodocker.DockerError as error:
                    if "overlap" not in error.message:
                        raise  # else another run was faster
                else:
                    break
            else:
                raise ContainerProblem("making a network: no free subnet was found")
        self._free_addresses = _addresses(subnet, gateway, hosts)

    async def _find_free_subnet(self) -> tuple[str, str]:
        """Return the subnet and gateway that the engine gives a new network, and remove that network.

        The engine lets containers keep their addresses only in a network that was created with its subnet.
        """
        network = await self._docker.networks.create(self._network_settings(None))
        try:
            described = await network.show()
        finally:
            await network.delete()
        for pool in address_pools(described):
            return pool
        raise ContainerProblem("making a network: the engine gave it no IPv4 addresses")

    def _network_settings(self, pool: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "Name": f"{self.name}_default",
            "CheckDuplicate": True,
            "Labels": self.labels | {"com.docker.compose.network": "default"},
            **({} if pool is None else {"IPAM": pool}),
        }

    async def create_volume(self, name: str, filesystem: str, device: str) -> str:
        """Create a volume of the file system on `device`, of the engine's machine. Return the volume's name."""
        return await self._create_volume(name, {"type": filesystem, "device": device})

    async def _create_volume(self, name: str, options: Mapping[str, str]) -> str:
        volume = f"{self.name}_{name}"
        with engine_errors(f"making the volume {volume}"):
            await self._docker.volumes.create(
                {
                    "Name": volume,
                    "Driver": "local",
                    "DriverOpts": dict(options),
                    "Labels": self.labels | {"com.docker.compose.volume": name},
                }
            )
        return volume

    async def create_shared_volume(self, name: str) -> str:
        """Create a volume for files of all hosts. Return its name. Raise ContainerProblem."""
        return await self._create_volume(name, {})

    async def create_container(
        self,
        name: str,
        image: str,
        *,
        privileges: Privileges,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
        tmpfs: Mapping[str, str] | None = None,
        networked: bool = True,
    ) -> Container:
        """Create a container without starting it. `tmpfs` has mount options by path. Raise ContainerProblem."""
        network, address = (self._network, self._free_addresses.pop(0)) if networked else (None, "")
        host: dict[str, Any] = {
            "CapDrop": ["ALL"],
            "CapAdd": sorted(privileges.capabilities),
            "SecurityOpt": list(privileges.security_options),
            "DeviceCgroupRules": list(privileges.device_rules),
            "Devices": [
                {"PathOnHost": one, "PathInContainer": one, "CgroupPermissions": "rwm"}
                for one in privileges.device_files
            ],
            "Mounts": [
                {"Type": "volume", "Source": one.volume, "Target": one.path, "VolumeOptions": {"NoCopy": True}}
                for one in mounts
            ],
            "Tmpfs": dict(tmpfs or {}),
            "NetworkMode": network.id if network is not None else "none",
        }
        endpoint = {"IPAMConfig": {"IPv4Address": address}}
        with engine_errors(f"making the container {name}"):
            made = await self._docker.containers.create(
                {
                    "Image": image,
                    "Hostname": name,
                    "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
                    "Labels": self.labels | _service_labels(name),
                    "HostConfig": host,
                    **({"NetworkingConfig": {"EndpointsConfig": {network.id: endpoint}}} if network else {}),
                },
                name=f"{self.name}-{name}-1",
            )
        return Container(made, name, network, address)


def _service_labels(name: str) -> dict[str, str]:
    """Return the labels by which Compose's tools know the container of a service."""
    prefix = "com.docker.compose"
    return {f"{prefix}.service": name, f"{prefix}.container-number": "1", f"{prefix}.oneoff": "False"}


def _addresses(subnet: str, gateway: str, count: int) -> list[str]:
    """Return the first `count` addresses of a subnet that are not its gateway's."""
    free = (str(one) for one in ip_network(subnet).hosts() if str(one) != gateway)
    return list(islice(free, count))

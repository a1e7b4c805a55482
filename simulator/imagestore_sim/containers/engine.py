"""A run's part of a Docker engine: images, a network, containers and volumes, of which nothing is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiodocker
import aiohttp

from imagestore_sim.containers.container import NOT_FOUND, Container, engine_errors
from imagestore_sim.containers.host import ContainerProblem
from imagestore_sim.containers.labels import FOLDER, KEPT, OWNER, PROJECT
from imagestore_sim.containers.ownership import Owner
from imagestore_sim.ids import new_uuid
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.worlds.local_node import PREFIX

logger = logging.getLogger(__name__)

IMAGES = Path(__file__).parent / "images"
"""The folders that images are built from; of a checkout, they are in docker/."""
BUILT = ("disks", "host")
ATTEMPTS = 20
PAUSE = 0.1
CONFLICT = 409
ENGINE_SECONDS = aiohttp.ClientTimeout(total=60.0)
BUILD_SECONDS = aiohttp.ClientTimeout(total=600.0)


class EngineProblem(WorldProblem):
    """Nothing can be run in containers here; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a container may do beyond nothing."""

    capabilities: Sequence[str] = ()
    devices: Sequence[str] = ()
    """Rules of its device group, such as `b 7:* rwm`."""
    device_files: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume, and where it is mounted."""

    volume: str
    path: str


class Engine:
    """What one run has in an engine. In `async with` it is connected; left, all of the run is removed, unless kept."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        """`folder` has the run's files: it is removed with what a run has left that was killed."""
        self.folder = folder
        self.project = f"imagestore-sim-{new_uuid()[:8]}"
        self.keep = keep
        self._owner = Owner.of_this_process()
        self._docker: aiodocker.Docker
        self._network: Any = None
        self._addresses: list[str] = []

    async def __aenter__(self) -> Self:
        """Raises EngineProblem."""
        self._docker = await connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self.keep:
                await remove(self._docker, self.project)
        finally:
            await self._docker.close()

    @property
    def labels(self) -> dict[str, str]:
        """Of all that the run makes, so that tools for Compose list it, and the next run knows whose it is."""
        labels = {PROJECT: self.project, OWNER: str(self._owner), FOLDER: str(self.folder)}
        return labels | ({KEPT: "true"} if self.keep else {})

    async def create_network(self, hosts: int) -> None:
        """Make the run's network, with addresses for so many hosts. Raises ContainerProblem."""
        with engine_errors("making a network"):
            for _ in range(ATTEMPTS):
                subnet, gateway = await self._free_subnet()
                pool = {"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": gateway}]}
                try:
                    self._network = await self._docker.networks.create(self._network_of(pool))
                except aiodocker.DockerError as error:
                    if "overlap" not in error.message:
                        raise  # else another run was faster
                else:
                    break
            else:
                raise ContainerProblem("making a network: no free subnet was found")
        self._addresses = _addresses(subnet, gateway, hosts)

    async def _free_subnet(self) -> tuple[str, str]:
        """One that the engine finds free. Only in a network that was made with it, containers keep their addresses."""
        network = await self._docker.networks.create(self._network_of(None))
        try:
            described = await network.show()
        finally:
            await network.delete()
        for pool in _pools(described):
            return pool
        raise ContainerProblem("making a network: the engine gave it no IPv4 addresses")

    def _network_of(self, pool: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "Name": f"{self.project}_default",
            "CheckDuplicate": True,
            "Labels": self.labels | {"com.docker.compose.network": "default"},
            **({} if pool is None else {"IPAM": pool}),
        }

    async def create_volume(self, name: str, filesystem: str, device: str) -> str:
        """A volume that is a file system on a block device of the engine's machine; answers its name."""
        volume = f"{self.project}_{name}"
        with engine_errors(f"making the volume {volume}"):
            await self._docker.volumes.create(
                {
                    "Name": volume,
                    "Driver": "local",
                    "DriverOpts": {"type": filesystem, "device": device},
                    "Labels": self.labels | {"com.docker.compose.volume": name},
                }
            )
        return volume

    async def create_container(
        self,
        name: str,
        image: str,
        *,
        rights: Rights,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
        memory: Mapping[str, str] | None = None,
        networked: bool = True,
    ) -> Container:
        """A container that has not been started. `memory` has the options of file systems in memory by their paths."""
        network, address = None, ""
        if networked:
            network, address = self._network, self._addresses.pop(0)
        host: dict[str, Any] = {
            "CapDrop": ["ALL"],
            "CapAdd": sorted(rights.capabilities),
            "SecurityOpt": list(rights.options),
            "DeviceCgroupRules": list(rights.devices),
            "Devices": [
                {"PathOnHost": one, "PathInContainer": one, "CgroupPermissions": "rwm"} for one in rights.device_files
            ],
            "Mounts": [
                {"Type": "volume", "Source": one.volume, "Target": one.path, "VolumeOptions": {"NoCopy": True}}
                for one in mounts
            ],
            "Tmpfs": dict(memory or {}),
            "NetworkMode": network.id if network is not None else "none",
        }
        endpoint = {"IPAMConfig": {"IPv4Address": address}}
        with engine_errors(f"making the container {name}"):
            made = await self._docker.containers.create(
                {
                    "Image": image,
                    "Hostname": name,
                    "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
                    "Labels": self.labels | _as_service(name),
                    "HostConfig": host,
                    **({"NetworkingConfig": {"EndpointsConfig": {network.id: endpoint}}} if network else {}),
                },
                name=f"{self.project}-{name}-1",
            )
        return Container(made, name, network, address)


def _as_service(name: str) -> dict[str, str]:
    """What tools for Compose know a container by."""
    prefix = "com.docker.compose"
    return {f"{prefix}.service": name, f"{prefix}.container-number": "1", f"{prefix}.oneoff": "False"}


def _addresses(subnet: str, gateway: str, count: int) -> list[str]:
    free = (str(one) for one in ip_network(subnet).hosts() if str(one) != gateway)
    return list(islice(free, count))


# Before a run


async def connect(
    needed_by: str = "--hosts compose", instead: str = "start one, or use --hosts embedded"
) -> aiodocker.Docker:
    """A client of the engine that DOCKER_HOST, or the context, names. Raises EngineProblem, with who needs it."""

    def no_engine(why: str) -> EngineProblem:
        return EngineProblem(f"{needed_by} needs a Docker engine, and none answers: {why}; {instead}")

    try:
        docker = aiodocker.Docker(timeout=ENGINE_SECONDS)
    except (ValueError, AssertionError, aiodocker.DockerError):
        raise no_engine("there is no socket of one, and DOCKER_HOST is not set") from None
    try:
        await docker.version()
    except (aiodocker.DockerError, aiohttp.ClientError, OSError, TimeoutError) as error:
        await docker.close()
        raise no_engine(str(error) or type(error).__name__) from None
    return docker


async def prepare() -> None:
    """See to all that runs have in common: images, no leftovers of runs that are gone, a way to containers.

    Raises EngineProblem.
    """
    docker = await connect()
    try:
        await _look_for_a_way(docker)
        await remove_leftovers(docker)
        for name in BUILT:
            await _build(docker, name)
    except (aiodocker.DockerError, aiohttp.ClientError, ContainerProblem, TimeoutError) as error:
        raise EngineProblem(f"--hosts compose: {error}") from error
    finally:
        await docker.close()


@cache
def image(name: str) -> str:
    """The tag of an image: its folder's content is part of it, so that one that is there is as its folder is now."""
    digest = hashlib.sha256()
    for file in _files(IMAGES / name):
        digest.update(f"{file.name} {file.stat().st_mode & 0o111:o}\n".encode() + file.read_bytes())
    return f"imagestore-sim-{name}:{digest.hexdigest()[:12]}"


def _files(folder: Path) -> list[Path]:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    if not files:
        raise EngineProblem(f"the image {folder.name} cannot be built: this installation has no {folder}")
    return files


async def _build(docker: aiodocker.Docker, name: str) -> None:
    tag = await asyncio.to_thread(image, name)
    try:
        await docker.images.inspect(tag)
    except aiodocker.DockerError as error:
        if error.status != NOT_FOUND:
            raise
    else:
        return
    logger.info("building the image %s", tag)
    archive = await asyncio.to_thread(_packed, IMAGES / name)
    await docker.images.build(fileobj=archive, encoding="gzip", tag=tag, timeout=BUILD_SECONDS)


def _packed(folder: Path) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file in _files(folder):
            tar.add(file, str(file.relative_to(folder)))
    archive.seek(0)
    return archive


async def _look_for_a_way(docker: aiodocker.Docker) -> None:
    """Containers are reached at their own addresses if the engine's bridge is one of this machine's interfaces.

    What the networks that are there do not show (an engine that was just installed has only its own, without a
    gateway in its description; a bridge whose interface is down) a network of ours does. Raises EngineProblem.
    """
    for network in await docker.networks.list(filters={"driver": "bridge"}):
        if any(_is_ours(gateway) for _, gateway in _pools(network)):
            return
    if await _reaches_a_new_network(docker):
        return
    raise EngineProblem(
        "--hosts compose reaches containers at their own addresses, and this engine's are not reachable from here: "
        "it runs in a virtual machine (as Docker Desktop's does), rootless, or elsewhere; use Linux's own engine, "
        "or --hosts embedded"
    )


async def _reaches_a_new_network(docker: aiodocker.Docker) -> bool:
    """Whether the bridge of a network that is made for this question, and removed, is an interface of this machine."""
    labels = {PROJECT: f"imagestore-sim-{new_uuid()[:8]}", OWNER: str(Owner.of_this_process())}
    made = await docker.networks.create({"Name": f"{labels[PROJECT]}_trial", "Driver": "bridge", "Labels": labels})
    try:
        return any(_is_ours(gateway) for _, gateway in _pools(await made.show()))
    finally:
        await made.delete()


def _pools(network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The IPv4 subnets of a network with their gateways: where none is described, the engine takes the first address.

    Source: the engine's own default, as its documentation of `docker network create --gateway` gives it.
    """
    for pool in (network.get("IPAM") or {}).get("Config") or ():
        subnet = pool.get("Subnet", "")
        if not subnet or ip_network(subnet, strict=False).version != 4:
            continue
        gateway = str(pool.get("Gateway") or "").partition("/")[0]
        yield subnet, gateway or str(next(ip_network(subnet, strict=False).hosts()))


def _is_ours(address: str) -> bool:
    """Whether an interface of this machine has the IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return True


# Afterwards


async def remove_leftovers(docker: aiodocker.Docker) -> None:
    """Remove what runs have left that were killed. Raises aiodocker.DockerError, ContainerProblem."""
    runs = {labels[PROJECT]: labels for labels in await _all_labels(docker)}
    for project, labels in runs.items():
        owner = Owner.read(labels[OWNER])
        if owner is not None and owner.is_gone and KEPT not in labels:
            logger.info("removing what the run %s has left", project)
            await remove(docker, project)
            folder = Path(labels.get(FOLDER, ""))
            if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _all_labels(docker: aiodocker.Docker) -> list[dict[str, str]]:
    filters = {"label": [OWNER]}
    volumes = (await docker.volumes.list(filters=filters))["Volumes"] or []
    networks = await docker.networks.list(filters=filters)
    containers = await docker.containers.list(all="true", filters=aiodocker.utils.clean_filters(filters))
    return [one["Labels"] for one in (*volumes, *networks, *(one._container for one in containers))]


async def remove(docker: aiodocker.Docker, project: str) -> None:
    """Remove all of a run, also what was still being made when it was interrupted. Raises ContainerProblem."""
    with engine_errors(f"removing {project}"):
        for _ in range(ATTEMPTS):
            if not await _remove_what_is_there(docker, project):
                return
            await asyncio.sleep(PAUSE)  # real: so is the engine
    raise ContainerProblem(f"removing {project}: there is always something of it left")


async def _remove_what_is_there(docker: aiodocker.Docker, project: str) -> bool:
    """Containers, then the network and the volumes, which they use; answers whether there was anything."""
    filters = {"label": [f"{PROJECT}={project}", OWNER]}
    containers = await docker.containers.list(all="true", filters=aiodocker.utils.clean_filters(filters))
    for container in containers:
        await _removed(container.delete(force=True, v=True))
    networks = await docker.networks.list(filters=filters)
    for network in networks:
        await _removed(aiodocker.networks.DockerNetwork(docker, network["Id"]).delete())
    volumes = (await docker.volumes.list(filters=filters))["Volumes"] or []
    for volume in volumes:
        await _removed(aiodocker.volumes.DockerVolume(docker, volume["Name"]).delete())
    return bool(containers or networks or volumes)


async def _removed(removal: Any) -> None:
    try:
        await removal
    except aiodocker.DockerError as error:
        if error.status not in (NOT_FOUND, CONFLICT):  # somebody else removes it, too
            raise

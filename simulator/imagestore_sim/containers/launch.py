"""The start of a run's hosts: a container each, and one that holds the disks."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imagestore_sim.clock import Clock
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disks import XFS, Disk, MemoryDisk, XfsDisk
from imagestore_sim.containers.faults import Requirements
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.containers.image_builds import DISKS_IMAGE, HOST_IMAGE, image_tag
from imagestore_sim.containers.run_project import Mount, Privileges, RunProject
from imagestore_sim.containers.spec import HostSpec

SSHD_CAPABILITIES = frozenset({"AUDIT_WRITE", "CHOWN", "KILL", "SETGID", "SETUID", "SYS_CHROOT"})
"""What sshd needs, as in docker-compose.yml. Faults may need more."""
AUTHORITY = "/var/lib/zstack-authority"
"""Where hosts have the authority that issues the certificates of their agents (`images/host/agent/certificates`)."""
NO_NEW_PRIVILEGES = "no-new-privileges:true"
UNCONFINED = "apparmor=unconfined"
"""For containers that mount something: AppArmor's profile for containers forbids that."""
HOLDER_PRIVILEGES = Privileges(
    capabilities=("DAC_OVERRIDE", "MKNOD", "SYS_ADMIN"),
    device_rules=("b 7:* rwm", "c 10:237 rwm"),  # loop devices, and /dev/loop-control
    security_options=(NO_NEW_PRIVILEGES, UNCONFINED),
)


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host to start. Sizes are in bytes."""

    name: str
    spec: HostSpec
    password: str = field(repr=False)
    size: int
    used: int
    reserved: int
    """Bytes that are kept for root. 0 on a MemoryDisk."""
    inodes: int
    """The inodes of a MemoryDisk. XFS makes its own number."""
    sftp: bool
    statvfs: bool
    """Whether its SFTP server has statvfs@openssh.com."""
    requirements: Requirements
    """What the faults need that will be put on it."""
    images: bool = False
    """Whether images are written to it. On XFS they take their space then, though their files are sparse."""


async def launch(project: RunProject, hosts: Sequence[NewHost], clock: Clock) -> list[ContainerHost]:
    """Start hosts, in their order, and return when the sshd of each answers. Raise ContainerProblem, EngineProblem.

    When one fails, others may have been started: they are removed with the project.
    """
    holder_image, host_image = image_tag(DISKS_IMAGE), image_tag(HOST_IMAGE)
    await project.create_network(len(hosts))
    images = any(one.images for one in hosts)
    holder = await _start_disk_holder(project, holder_image, images)
    authority = Mount(await project.create_shared_volume("authority"), AUTHORITY)
    launching = _Launch(project, host_image, holder, authority, clock)
    try:
        async with asyncio.TaskGroup() as starting:
            tasks = [starting.create_task(launching.start(new)) for new in hosts]
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from None
    return [task.result() for task in tasks]


async def _start_disk_holder(project: RunProject, image: str, images: bool) -> Container:
    """Start the container that holds the disks of all hosts; with `images`, files of images take their space there."""
    folder = f"/{project.name}"  # so that the loop devices of the machine show whose they are
    holder = await project.create_container(
        DISKS_IMAGE,
        image,
        privileges=HOLDER_PRIVILEGES,
        environment={"IMAGES": folder, "BLOCKS": "yes" if images else ""},
        tmpfs={folder: "mode=0700"},
        networked=False,
    )
    await holder.start()
    return holder


@dataclass(frozen=True, slots=True)
class _Launch:
    """What all hosts of a launch have in common."""

    project: RunProject
    image: str
    holder: Container
    authority: Mount
    """The volume of the authority that issues the certificates of their agents."""
    clock: Clock

    async def start(self, new: NewHost) -> ContainerHost:
        path = new.spec.disk_path
        disk: Disk
        if new.spec.memory_disk:
            tmpfs = {path: f"size={new.size},nr_inodes={new.inodes},mode=0755"}
            container = await self._create_container(new, tmpfs=tmpfs)
            disk = MemoryDisk(container, path, new.size, new.used)
        else:
            disk = XfsDisk(self.holder, new.name, new.size, new.used, new.reserved)
            mount = Mount(await self.project.create_volume(new.name, XFS, await disk.make()), path)
            container = await self._create_container(new, mounts=(mount,))
        host = ContainerHost(container, new.spec, disk, self.clock, running=False)
        await host.start()
        await host.run(f"chown -- {shlex.quote(new.spec.username)}: {shlex.quote(path)}")
        await disk.fill(new.used)
        return host

    async def _create_container(
        self, new: NewHost, *, mounts: Sequence[Mount] = (), tmpfs: Mapping[str, str] | None = None
    ) -> Container:
        return await self.project.create_container(
            new.name,
            self.image,
            privileges=_privileges(new.requirements),
            environment=_environment(new),
            mounts=(*mounts, self.authority),
            tmpfs=tmpfs,
        )


def _privileges(requirements: Requirements) -> Privileges:
    """Return what sshd and faults need, and no more."""
    capabilities = SSHD_CAPABILITIES | requirements.capabilities
    mounts = "SYS_ADMIN" in capabilities
    return Privileges(
        capabilities=tuple(capabilities),
        device_files=tuple(sorted(requirements.devices)),
        security_options=(NO_NEW_PRIVILEGES, UNCONFINED) if mounts else (NO_NEW_PRIVILEGES,),
    )


def _environment(new: NewHost) -> dict[str, str]:
    """Return the environment that `images/host/start` reads."""
    return {
        "STORE_USER": new.spec.username,
        "STORE_PASSWORD": new.password,
        "STORE_URL": "",
        "STORE_PORT": str(new.spec.port),
        "STORE_SFTP": "no" if not new.sftp else "yes" if new.statvfs else "no-statvfs",
    }

"""APIs that make images of volumes, snapshots and virtual machines (domain 4).

A lab has no volumes: a call that names one gets ZStack's answer for a volume that does not exist.
"""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.image import ARCHITECTURES, PACKAGE, PLATFORMS
from imagestore_sim.api.services import Services
from imagestore_sim.query import IMAGE
from imagestore_sim.rest.errors import not_found
from imagestore_sim.rest.messages import Call, CreateMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

SOURCE = "ZStack's public Java SDK; recorded call 12148"
NONE = "a lab has no volumes and no snapshots: every call answers that what it names does not exist"
handlers = Handlers[Services]()
Name = Annotated[str, Rule(max_length=255)]
Description = Annotated[str | None, Rule(max_length=2048)]
GuestOs = Annotated[str | None, Rule(max_length=255)]
Storages = Annotated[list[str] | None, Rule(resource="BackupStorageVO", nonempty=True)]
Platform = Annotated[str | None, Rule(valid_values=PLATFORMS)]
Architecture = Annotated[str | None, Rule(valid_values=ARCHITECTURES)]


class APICreateRootVolumeTemplateFromRootVolumeMsg(
    CreateMessage,
    method="POST",
    path="/images/root-volume-templates/from/volumes/{rootVolumeUuid}",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source=SOURCE,
    deviation=NONE,
):
    """Make an image of the root volume of a virtual machine."""

    name: Name
    """The name of the image."""
    description: Description = None
    """A text for people."""
    guestOsType: GuestOs = None
    """The operating system in it, as a text for people."""
    backupStorageUuids: Storages = None
    rootVolumeUuid: Annotated[str, Rule(resource="VolumeVO")]
    platform: Platform = None
    """The kind of operating system in it."""
    system: bool = False
    """Whether it is one that ZStack itself uses."""
    architecture: Architecture = None
    """The processor that it is for."""


@handlers.handles
async def create_from_root_volume(
    services: Services, message: APICreateRootVolumeTemplateFromRootVolumeMsg, call: Call
) -> Reply:
    """Raise ApiError SYS.1003: there is no volume."""
    raise not_found(f"volume[uuid:{message.rootVolumeUuid}] not found")


class APICreateRootVolumeTemplateFromVolumeSnapshotMsg(
    CreateMessage,
    method="POST",
    path="/images/root-volume-templates/from/volume-snapshots/{snapshotUuid}",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source=SOURCE,
    deviation=NONE,
):
    """Make an image of a snapshot of a root volume."""

    snapshotUuid: Annotated[str, Rule(resource="VolumeSnapshotVO")]
    name: Name
    """The name of the image."""
    description: Description = None
    """A text for people."""
    guestOsType: GuestOs = None
    """The operating system in it, as a text for people."""
    backupStorageUuids: Annotated[list[str], Rule(resource="BackupStorageVO", nonempty=True)]
    platform: Platform = None
    """The kind of operating system in it."""
    system: bool = False
    """Whether it is one that ZStack itself uses."""
    architecture: Architecture = None
    """The processor that it is for."""


@handlers.handles
async def create_from_root_snapshot(
    services: Services, message: APICreateRootVolumeTemplateFromVolumeSnapshotMsg, call: Call
) -> Reply:
    """Raise ApiError SYS.1003: there is no snapshot."""
    raise not_found(f"snapshot[uuid:{message.snapshotUuid}] not found")


class APICreateDataVolumeTemplateFromVolumeMsg(
    CreateMessage,
    method="POST",
    path="/images/data-volume-templates/from/volumes/{volumeUuid}",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source=SOURCE,
    deviation=NONE,
):
    """Make an image of a data volume."""

    name: Name
    """The name of the image."""
    description: Description = None
    """A text for people."""
    volumeUuid: Annotated[str, Rule(resource="VolumeVO")]
    backupStorageUuids: Storages = None


@handlers.handles
async def create_from_volume(
    services: Services, message: APICreateDataVolumeTemplateFromVolumeMsg, call: Call
) -> Reply:
    """Raise ApiError SYS.1003: there is no volume."""
    raise not_found(f"volume[uuid:{message.volumeUuid}] not found")


class APICreateDataVolumeTemplateFromVolumeSnapshotMsg(
    CreateMessage,
    method="POST",
    path="/images/data-volume-templates/from/volume-snapshots/{snapshotUuid}",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source=SOURCE,
    deviation=NONE,
):
    """Make an image of a snapshot of a data volume."""

    snapshotUuid: Annotated[str, Rule(resource="VolumeSnapshotVO")]
    name: Name
    """The name of the image."""
    description: Description = None
    """A text for people."""
    backupStorageUuids: Annotated[list[str], Rule(resource="BackupStorageVO", nonempty=True)]


@handlers.handles
async def create_from_snapshot(
    services: Services, message: APICreateDataVolumeTemplateFromVolumeSnapshotMsg, call: Call
) -> Reply:
    """Raise ApiError SYS.1003: there is no snapshot."""
    raise not_found(f"snapshot[uuid:{message.snapshotUuid}] not found")

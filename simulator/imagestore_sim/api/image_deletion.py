"""APIs that change and remove images: update, delete, expunge (observed 12, 13; domain 8)."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from imagestore_sim.api.image import ARCHITECTURES, PACKAGE, PLATFORMS, Existing
from imagestore_sim.api.services import Services
from imagestore_sim.query import IMAGE
from imagestore_sim.rest.messages import AsyncMessage, Call, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

UPDATED = (
    *("name", "description", "guestOsType", "mediaType", "format", "system", "platform", "architecture"),
    "virtio",
)
"""The fields that an update may write."""
handlers = Handlers[Services]()
Storages = Annotated[list[str] | None, Rule(resource="BackupStorageVO")]


class APIUpdateImageMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
):
    """Change the description of an image, in any status. An empty name is one, too."""

    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    guestOsType: Annotated[str | None, Rule(max_length=255)] = None
    """The operating system in it, as a text for people."""
    mediaType: Annotated[
        str | None, Rule(valid_values=("RootVolumeTemplate", "DataVolumeTemplate", "ISO"), max_length=255)
    ] = None
    """What is in it."""
    format: Annotated[str | None, Rule(valid_values=("raw", "qcow2", "iso"), max_length=255)] = None
    """The format of its disk. Nothing is converted."""
    system: bool | None = None
    """Whether it is one that ZStack itself uses."""
    platform: Annotated[str | None, Rule(valid_values=PLATFORMS, max_length=255)] = None
    """The kind of operating system in it."""
    architecture: Annotated[str | None, Rule(valid_values=ARCHITECTURES, max_length=32)] = None
    """The processor that it is for."""
    virtio: bool | None = None
    """Whether its machines have virtio drivers."""


@handlers.handles
async def update_image(services: Services, message: APIUpdateImageMsg, call: Call) -> Reply:
    """Write the given fields, and return the image."""
    await services.image_deletion.update(message.uuid, message.given(*UPDATED))
    return await services.inventory(IMAGE, message.uuid)


class APIDeleteImageMsg(
    DeleteMessage,
    method="DELETE",
    path="/images/{uuid}",
    package=PACKAGE,
    for_everyone=True,
):
    """Delete an image from backup storages, or from all. Its bits stay until it is expunged."""

    uuid: Annotated[str, Rule(resource="ImageVO", missing_is_done=True)]
    backupStorageUuids: Storages = None


@handlers.handles
async def delete_image(services: Services, message: APIDeleteImageMsg, call: Call) -> Reply:
    """Delete the image, and return an empty reply."""
    if await services.image_deletion.delete(message.uuid, message.backupStorageUuids):
        await services.uploads.image_deleted(message.uuid)
    await services.database.after_commit(partial(services.image_deletion.collect_soon, message.uuid))
    return Reply()


class APIExpungeImageMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{imageUuid}/actions",
    package=PACKAGE,
    for_everyone=True,
):
    """Remove a deleted image, with its bits, from backup storages, or from all that it is deleted on."""

    waits = True
    imageUuid: Existing
    backupStorageUuids: Annotated[list[str] | None, Rule(resource="BackupStorageVO", nonempty=True)] = None


@handlers.handles
async def expunge_image(services: Services, message: APIExpungeImageMsg, call: Call) -> Reply:
    """Remove the image, and return an empty reply once its bits are gone, or their host does not answer."""
    await services.image_deletion.expunge(message.imageUuid, message.backupStorageUuids)
    await services.image_deletion.collect(message.imageUuid)
    return Reply()

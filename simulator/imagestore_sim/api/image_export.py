"""Exports of images from an ImageStore (domain 2.2, 8.4)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.backup_storage import PACKAGE
from imagestore_sim.api.image import Existing, Storage
from imagestore_sim.api.services import Services
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

EXPORT_SECONDS = 3 * 3600
handlers = Handlers[Services]()


class APIExportImageFromBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path="/backup-storage/{backupStorageUuid}/actions",
    package=PACKAGE,
    reply={"imageUrl": str, "exportMd5Sum": str},
    with_success=True,
    timeout_seconds=EXPORT_SECONDS,
    for_everyone=True,
    deviation="a sparse file under `<url>/export` on a host that may be written to, else a record; nothing serves the"
    " url, which is made up as the MD5 is; a second export returns the first, as on ZStack's Ceph storages",
):
    """Export an image from an ImageStore."""

    waits = True
    owned_by = "backupStorageUuid"

    backupStorageUuid: Storage
    imageUuid: Existing
    exportFormat: Annotated[str | None, Rule(valid_values=("raw", "qcow2"))] = None
    """The format of the file; that of the image by default."""


@handlers.handles
async def export_image(services: Services, message: APIExportImageFromBackupStorageMsg, call: Call) -> Reply:
    """Export the image, and return its url and MD5 once its file is there."""
    image, storage = message.imageUuid, message.backupStorageUuid
    exported = await services.exports.export(image, storage, message.exportFormat, call.uuid)
    return Reply({"imageUrl": exported.url, "exportMd5Sum": exported.md5})


class APIDeleteExportedImageFromBackupStorageMsg(
    AsyncMessage,
    method="DELETE",
    path="/backup-storage/{backupStorageUuid}/exported-images/{imageUuid}",
    package=PACKAGE,
    for_everyone=True,
    deviation="ZStack's own is closed: an image that is not on the storage is an error, one without an export is not;"
    " an export whose file the host keeps stays",
):
    """Delete the export of an image."""

    waits = True
    owned_by = "backupStorageUuid"

    backupStorageUuid: Storage
    imageUuid: Existing


@handlers.handles
async def delete_exported_image(
    services: Services, message: APIDeleteExportedImageFromBackupStorageMsg, call: Call
) -> Reply:
    """Delete the export with its file, and return an empty reply."""
    await services.exports.delete(message.imageUuid, message.backupStorageUuid)
    return Reply()

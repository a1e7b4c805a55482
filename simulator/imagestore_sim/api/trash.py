"""The trash of a backup storage: what migrated images leave there (domain 2.2)."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from imagestore_sim.api.backup_storage import PACKAGE, Existing
from imagestore_sim.api.services import Services
from imagestore_sim.images.trash import Cleaned
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import invalid_argument, operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule
from imagestore_sim.units import write_date

TRASH_PACKAGE = "org.zstack.header.core.trash"
IMAGE, MIGRATED = "ImageVO", "MigrateImage"
FILLED = (
    "only migrations of images between Ceph storages fill it, which are not emulated: here it holds what a bootstrap"
    " file has put there"
)
handlers = Handlers[Services]()


class TrashItem(TypedDict):
    """Bits that a migrated image has left on a storage."""

    trashId: int
    """The number of the item."""
    resourceUuid: str
    """The uuid of the image."""
    storageUuid: str
    """The uuid of the storage."""
    storageType: str
    """Always `BackupStorageVO`."""
    resourceType: str
    """Always `ImageVO`."""
    installPath: str
    """Where the bits are."""
    isFolder: bool
    """Always false."""
    size: int
    """Bytes."""
    trashType: str
    """Always `MigrateImage`."""
    createDate: str
    """When the image left the storage."""


class TrashSummary(TypedDict):
    """What cleaning up has done, in all."""

    resourceUuids: list[str]
    """The uuids of the images whose bits are gone."""
    details: list[str]
    """Why other bits were kept."""
    size: int
    """Bytes."""


class TrashResult(TypedDict):
    """What became of one item."""

    resourceUuid: NotRequired[str]
    """The uuid of the image."""
    success: bool
    """Whether the bits are gone."""
    error: NotRequired[dict[str, object]]
    """Why they were kept."""
    trashId: int
    """The number of the item."""
    size: int
    """Bytes."""


class APIGetTrashOnBackupStorageMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/trash",
    package=PACKAGE,
    reply={"inventories": list[TrashItem]},
    deviation=FILLED,
):
    """List the trash of a backup storage."""

    uuid: Existing
    resourceUuid: str | None = None
    """The uuid of an image, to list what it has left alone."""
    resourceType: str | None = None
    """`ImageVO`; needed beside `resourceUuid`."""
    trashType: Annotated[str | None, Rule(valid_values=(MIGRATED,))] = None
    """`MigrateImage`: the only type that there is."""


@handlers.handles
async def get_trash(services: Services, message: APIGetTrashOnBackupStorageMsg, call: Call) -> Reply:
    """Return the items, or those of one resource. Raise ApiError SYS.1007 for half of a resource."""
    wanted = (message.resourceUuid, message.resourceType)
    if (message.resourceType is None) != (message.resourceUuid is None):
        raise invalid_argument("resourceUuid and resourceType must be set both or neither!")
    inventories = [
        {
            "trashId": item.trashId,
            "resourceUuid": item.resourceUuid,
            "storageUuid": item.storageUuid,
            "storageType": "BackupStorageVO",
            "resourceType": IMAGE,
            "installPath": item.installPath,
            "isFolder": False,
            "size": item.size,
            "trashType": MIGRATED,
            "createDate": write_date(item.createDate),
        }
        for item in await services.trash.items(message.uuid)
        if wanted in ((None, None), (item.resourceUuid, IMAGE))
    ]
    classes = [f"{TRASH_PACKAGE}.InstallPathRecycleInventory"] * len(inventories)
    return Reply({"inventories": inventories}, list_schema("inventories", classes))


class APICleanUpTrashOnBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path="/backup-storage/{uuid}/trash/actions",
    package=PACKAGE,
    reply={"result": TrashSummary, "results": list[TrashResult]},
    with_success=True,
    batch=True,
    deviation=f"{FILLED}; the id of another storage's item counts as missing",
):
    """Delete one item of the trash, or all, with the bits."""

    waits = True
    owned_by = "uuid"

    uuid: Existing
    trashId: Annotated[int | None, Rule(long=True)] = None
    """The number of the item; all items by default."""


@handlers.handles
async def clean_up_trash(services: Services, message: APICleanUpTrashOnBackupStorageMsg, call: Call) -> Reply:
    """Return what was deleted, and what was kept; the deletion of a missing item succeeds."""
    cleaned = await services.trash.clean(message.uuid, message.trashId)
    done = [one for one in cleaned if one.kept_because is None]
    result = {
        "resourceUuids": [one.resource_uuid for one in done if one.resource_uuid is not None],
        "details": [one.kept_because for one in cleaned if one.kept_because is not None],
        "size": sum(one.size for one in cleaned),
    }
    body = {"result": result, "results": [_result(one) for one in cleaned]}
    classes = {"result": f"{TRASH_PACKAGE}.CleanTrashResult"}
    each = list_schema("results", [f"{TRASH_PACKAGE}.TrashCleanupResult"] * len(cleaned))
    return Reply(body, {**classes, **each}, batch=(len(done), len(cleaned)))


def _result(one: Cleaned) -> dict[str, object]:
    """Return what happened to an item, in the order of the fields in ZStack's class."""
    resource = {} if one.resource_uuid is None else {"resourceUuid": one.resource_uuid}
    error = {} if one.kept_because is None else {"error": operation_failed(one.kept_because).error.to_json()}
    return {**resource, "success": not error, **error, "trashId": one.trash_id, "size": one.size}

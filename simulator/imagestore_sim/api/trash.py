"""The trash of a backup storage: what migrated images leave there (domain 2.2).

ZStack fills it only when an image is migrated between Ceph storages. These are not emulated, so it is always empty.
"""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.backup_storage import PACKAGE, Existing
from imagestore_sim.api.services import Services
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

TRASH_PACKAGE = "org.zstack.header.core.trash"
EMPTY = "the trash is always empty: only migrations of images between Ceph storages fill it"
handlers = Handlers[Services]()


class APIGetTrashOnBackupStorageMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/trash",
    package=PACKAGE,
    reply=("inventories",),
    deviation=EMPTY,
):
    """List the trash of a backup storage."""

    uuid: Existing
    resourceUuid: str | None = None
    resourceType: str | None = None
    trashType: Annotated[str | None, Rule(valid_values=("MigrateImage",))] = None


@handlers.handles
async def get_trash(services: Services, message: APIGetTrashOnBackupStorageMsg, call: Call) -> Reply:
    """Return an empty list. Raise ApiError SYS.1007 for half of a resource."""
    if (message.resourceType is None) != (message.resourceUuid is None):
        raise invalid_argument("resourceUuid and resourceType must be set both or neither!")
    return Reply({"inventories": []})


class APICleanUpTrashOnBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path="/backup-storage/{uuid}/trash/actions",
    package=PACKAGE,
    reply=("result", "results"),
    with_success=True,
    batch=True,
    deviation=EMPTY,
):
    """Delete one item of the trash, or all."""

    uuid: Existing
    trashId: Annotated[int | None, Rule(long=True)] = None


@handlers.handles
async def clean_up_trash(services: Services, message: APICleanUpTrashOnBackupStorageMsg, call: Call) -> Reply:
    """Return that nothing was deleted; the deletion of a missing item succeeds."""
    results = [] if message.trashId is None else [{"success": True, "trashId": message.trashId, "size": 0}]
    body = {"result": {"resourceUuids": [], "details": [], "size": 0}, "results": results}
    schema = {"result": f"{TRASH_PACKAGE}.CleanTrashResult"}
    if results:
        schema["results[0]"] = f"{TRASH_PACKAGE}.TrashCleanupResult"
    return Reply(body, schema, batch=(len(results), len(results)))

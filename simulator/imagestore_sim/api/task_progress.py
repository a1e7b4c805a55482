"""How far a call is: the share of an image's bits that has come (clients 5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict

from sqlalchemy import select

from imagestore_sim.api.image import APIAddImageMsg, APISyncImageFromImageStoreBackupStorageMsg
from imagestore_sim.api.image_export import APIExportImageFromBackupStorageMsg
from imagestore_sim.api.services import Services
from imagestore_sim.database.models import LongJob
from imagestore_sim.images.transfer import Kind, Progress
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.messages import Call, Handlers, Message, Reply, SyncMessage

PACKAGE = "org.zstack.header.core.progress"
TASKS: Mapping[Kind, type[Message]] = MappingProxyType(
    {
        Kind.DOWNLOAD: APIAddImageMsg,
        Kind.COPY: APISyncImageFromImageStoreBackupStorageMsg,
        Kind.EXPORT: APIExportImageFromBackupStorageMsg,
    }
)
"""The APIs that report progress."""
handlers = Handlers[Services]()


class TaskProgress(TypedDict):
    """How far a call is."""

    taskUuid: str
    """The uuid of the call's job."""
    taskName: str
    """The Java class of the call's message."""
    type: str
    """Always `Progress`."""
    content: str
    """Percent, as text."""
    time: int
    """When this was so, in milliseconds since the epoch."""


class APIGetTaskProgressMsg(
    SyncMessage,
    method="GET",
    path="/task-progresses/{apiId}",
    package=PACKAGE,
    reply={"inventories": list[TaskProgress]},
    for_everyone=True,
    source="observed 14; ZStack's public Java SDK",
    deviation="only images that come to ImageStores, and exports, report progress, and only while they come",
):
    """Return how far a call is, in percent, while it runs."""

    asks_all_nodes = True
    apiId: str | None = None
    """The uuid of the call's job."""
    all: bool = False
    """Ignored: there is one entry at most."""


@handlers.handles
async def get_task_progress(services: Services, message: APIGetTaskProgressMsg, call: Call) -> Reply:
    """Return the progress of the call with this uuid; an empty list for one that reports none."""
    progress = await _progress(services, message.apiId or "")
    if progress is None:
        return Reply({"inventories": []})
    inventory = {
        "taskUuid": message.apiId,
        "taskName": TASKS[progress.kind].api.java_class,
        "type": "Progress",
        "content": str(progress.percent),
        "time": int(services.clock.time() * 1000),
    }
    return Reply({"inventories": [inventory]}, list_schema("inventories", [f"{PACKAGE}.TaskProgressInventory"]))


async def _progress(services: Services, call: str) -> Progress | None:
    """Return how far a call is; a long job is known by the call that submitted it."""
    jobs = await services.database.read(select(LongJob.uuid).where(LongJob.apiId == call))
    found = map(services.images.transfers.progress, (call, *(row.uuid for row in jobs)))
    return next((progress for progress in found if progress is not None), None)

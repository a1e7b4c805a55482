"""How far a call is: the share of an image's bits that has come (clients 5)."""

from __future__ import annotations

from imagestore_sim.api.services import Services
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.messages import Call, Handlers, Reply, SyncMessage

PACKAGE = "org.zstack.header.core.progress"
handlers = Handlers[Services]()


class APIGetTaskProgressMsg(
    SyncMessage,
    method="GET",
    path="/task-progresses/{apiId}",
    package=PACKAGE,
    reply=("inventories",),
    for_everyone=True,
    source="observed 14; ZStack's public Java SDK",
    deviation="only downloads of images to ImageStores report progress, and only while they run",
):
    """Return how far a call is, in percent, while it runs."""

    apiId: str | None = None
    all: bool = False


@handlers.handles
async def get_task_progress(services: Services, message: APIGetTaskProgressMsg, call: Call) -> Reply:
    """Return the progress of the call with this uuid; an empty list for one that reports none."""
    progress = services.images.transfers.progress(message.apiId or "")
    if progress is None:
        return Reply({"inventories": []})
    inventory = {
        "taskUuid": message.apiId,
        "taskName": "org.zstack.header.image.APIAddImageMsg",
        "type": "Progress",
        "content": str(progress.percent),
        "time": int(services.clock.time() * 1000),
    }
    return Reply({"inventories": [inventory]}, list_schema("inventories", [f"{PACKAGE}.TaskProgressInventory"]))

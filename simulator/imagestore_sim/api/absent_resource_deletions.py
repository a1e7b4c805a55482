"""Deletion APIs of resources that a lab has none of: they succeed without doing anything (observed 19).

They are here because of their paths. An API that is alone on its path serves every HTTP method, so ZStack takes
`GET /primary-storage/{uuid}`, which no query API has, for the deletion; likewise the path of a query that the open
edition lacks, such as `/primary-storage/block` (recorded call 10520). The deletion of a missing resource succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from imagestore_sim.api.services import Services
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Call, DeleteMessage, Handlers, Reply, declare
from imagestore_sim.rest.parameters import Rule

DELETIONS = (
    ("org.zstack.header.storage.primary.APIDeletePrimaryStorageMsg", "/primary-storage/{uuid}", ""),
    ("org.zstack.header.vm.APIDeleteVmNicMsg", "/nics/{uuid}", "VmNicVO"),
    (
        "org.zstack.header.network.l3.APIDeleteReservedIpRangeMsg",
        "/l3-networks/reserved-ip-ranges/{uuid}",
        "ReservedIpRangeVO",
    ),
    (
        "org.zstack.header.storage.snapshot.group.APIUngroupVolumeSnapshotGroupMsg",
        "/volume-snapshots/ungroup/{uuid}",
        "VolumeSnapshotGroupVO",
    ),
)
"""Message, path, and the resource type where ZStack declares one: then the form of the uuid is checked, too."""
handlers = Handlers[Services]()


class Deletion(DeleteMessage):
    """The deletion of a resource that does not exist. ZStack does not read its mode."""

    def check_delete_mode(self, leniency: Leniency = LENIENT) -> None:
        """Accept any mode."""


async def delete_nothing(services: Services, message: Deletion, call: Call) -> Reply:
    """Do nothing, and return an empty reply."""
    return Reply()


def _messages() -> Iterator[type[Deletion]]:
    for java_class, path, resource in DELETIONS:
        rule = Rule(resource=resource or None, missing_is_done=bool(resource))
        yield declare(
            Deletion,
            java_class,
            {
                "__module__": __name__,
                "__doc__": "Delete a resource that does not exist.",
                "__annotations__": {"uuid": Annotated[str, rule]},
            },
            method="DELETE",
            path=path,
            source="ZStack's own declarations",
            deviation="a lab has none of these resources",
        )


for _message in _messages():
    handlers.register(_message, delete_nothing)

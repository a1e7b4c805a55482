"""Deletions of what no lab has, alone on paths that also fit queries: they succeed at once (observed 19, call 10520).

An API that is alone on its path serves any verb, so `GET /primary-storage/{uuid}`, which no query API has, is a
deletion; so is the path of a query that this edition lacks, such as `/primary-storage/block`. What is not there is
as good as deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import new_class
from typing import Annotated

from imagestore_sim.api.services import Services
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Call, DeleteMessage, Handlers, Reply
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
"""Message, path, and the type of what has to exist, where ZStack declares one: of such a uuid's form it is, too."""
handlers = Handlers[Services]()


class Deletion(DeleteMessage):
    """The deletion of something that is not there, whose mode nothing comes to read."""

    def check_delete_mode(self, leniency: Leniency = LENIENT) -> None:
        """Take any."""


async def delete_nothing(services: Services, message: Deletion, call: Call) -> Reply:
    """An empty reply, as there is nothing to delete."""
    return Reply()


def _messages() -> Iterator[type[Deletion]]:
    for java_class, path, resource in DELETIONS:
        package, _, name = java_class.rpartition(".")
        declared = {"method": "DELETE", "path": path, "package": package}
        described = {"source": "ZStack's own declarations", "deviation": "there are none of them in a lab"}
        yield new_class(name, (Deletion,), declared | described, partial(_fill, resource))


def _fill(resource: str, space: dict[str, object]) -> None:
    rule = Rule(resource=resource or None, missing_is_done=bool(resource))
    space |= {
        "__module__": __name__,
        "__doc__": "Delete what no lab has.",
        "__annotations__": {"uuid": Annotated[str, rule]},
    }


for _message in _messages():
    handlers.by_message[_message] = delete_nothing

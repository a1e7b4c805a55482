"""The uuids that a bootstrap file gives to resources. Each is unique among resources of all types (domain 1.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from sqlalchemy import select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.bootstrap.errors import Place, RecordProblem
from imagestore_sim.bootstrap.records import Bootstrap
from imagestore_sim.bootstrap.row_batch import pieces
from imagestore_sim.database.models import (
    AccessKey,
    Account,
    BackupStorage,
    Image,
    Policy,
    Role,
    TagPattern,
    User,
    UserGroup,
    WebHook,
    Zone,
)
from imagestore_sim.database.resource_uuids import RESOURCES

SECTIONS: Mapping[str, object] = {
    "zones": Zone,
    "backupStorages": BackupStorage,
    "images": Image,
    "accounts": Account,
    "users": User,
    "groups": UserGroup,
    "policies": Policy,
    "roles": Role,
    "tags": TagPattern,
    "accessKeys": AccessKey,
    "webHooks": WebHook,
}
"""The resources of a section of the file."""
OF_ACCOUNTS = ("users", "groups", "policies", "roles")


class Identified(Protocol):
    """A record that may give its resource a uuid."""

    @property
    def uuid(self) -> str | None:
        """The uuid; None to have one made."""


def given_uuids(bootstrap: Bootstrap) -> Iterator[tuple[Place, str, str]]:
    """Yield the uuids that the records give to resources: the place of each, the section of its type, and the uuid."""
    for section in ("zones", "backupStorages", "images", "accounts"):
        yield from _uuids_of((section,), getattr(bootstrap, section))
    for index, account in enumerate(bootstrap.accounts):
        for section in OF_ACCOUNTS:
            yield from _uuids_of(("accounts", index, section), getattr(account, section))
    for section in ("tags", "accessKeys", "webHooks"):
        yield from _uuids_of((section,), getattr(bootstrap, section))


async def refuse_taken(connection: AsyncConnection, bootstrap: Bootstrap) -> None:
    """Raise RecordProblem for a uuid that a stored resource of another type has.

    A record whose uuid a resource of its own type has is there already.
    """
    of_sections: defaultdict[str, list[tuple[Place, str]]] = defaultdict(list)
    for place, section, uuid in given_uuids(bootstrap):
        of_sections[section].append((place, uuid))
    for section, given in of_sections.items():
        await _refuse(connection, section, given)


async def _refuse(connection: AsyncConnection, section: str, given: list[tuple[Place, str]]) -> None:
    others = [model.uuid for model in RESOURCES if model is not SECTIONS[section]]
    for piece in pieces(given):
        asked = [uuid for _, uuid in piece]
        found = union_all(*(select(column).where(column.in_(asked)) for column in others))
        taken = set(await connection.scalars(found))
        for place, uuid in piece:
            if uuid in taken:
                raise RecordProblem(place, f"a resource of another type has the uuid {uuid}")


def _uuids_of(place: Place, records: Iterable[Identified]) -> Iterator[tuple[Place, str, str]]:
    for number, record in enumerate(records):
        if record.uuid is not None:
            yield (*place, number, "uuid"), str(place[-1]), record.uuid

"""The tags that come with a new resource: which system tags mean something, and how all of them are stored.

A system tag that is to be known is one more line in backup_storage.tags (wire-protocol 5.1, domain 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from sqlalchemy import insert, select
from sqlalchemy.sql.dml import UpdateBase

from imagestore_sim.backup_storage.tags import (
    BOOT_MODE,
    NETWORK,
    SYSTEM_TAGS,
    check_boot_mode,
    check_network,
    matches,
)
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import SystemTag, UserTag
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.binding import NoText, texts
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import CreateMessage, Reply

VALIDATION_ONLY = "validationOnly"
KNOWN = (
    *(pattern for patterns in SYSTEM_TAGS.values() for pattern in patterns),
    VALIDATION_ONLY,
    f"ephemeral::{VALIDATION_ONLY}",
)
"""Every system tag, whatever it is on."""
EPHEMERAL = "ephemeral::"
STORAGE_SUFFIX, RESOURCE_SUFFIX = "BackupStorageInventory", "Inventory"


class NewResourceTags:
    """Checks and stores the tags of new resources."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def check(self, message: CreateMessage) -> None:
        """Raises ApiError SYS.1007 for a system tag that means nothing, or that may not stand there, and SYS.1000 for
        one that is no text."""
        tags = _distinct(message.systemTags)
        if all(tag.startswith(EPHEMERAL) for tag in texts(tags)):
            return
        for tag in texts(tags):
            if not any(matches(known, tag) for known in KNOWN):
                raise invalid_argument(f"no system tag matches {tag}")
        _check_data_network([tag for tag in tags if matches(NETWORK, tag)])
        for tag in tags:
            if matches(BOOT_MODE, tag):
                check_boot_mode(tag)

    async def writes(self, message: CreateMessage, reply: Reply) -> Sequence[UpdateBase]:
        """What writes the tags of the resource in a reply; they become visible with it, at once and together.

        A user's tag that is no text, and what follows it, is lost: ZStack comes upon it when all else is done.
        """
        inventory = reply.body.get("inventory")
        if not isinstance(inventory, dict) or "uuid" not in inventory:
            return ()
        owner = {"resourceUuid": inventory["uuid"], "resourceType": _resource_type(reply.schema["inventory"])}
        kept = [tag for tag in _distinct(message.systemTags) if not tag.startswith(EPHEMERAL)]
        system = [insert(SystemTag).values(self._row(tag, "System") | owner | {"inherent": False}) for tag in kept]
        user = [insert(UserTag).values(self._row(tag, "User") | owner) for tag in _up_to_no_text(message.userTags)]
        return (*system, *user, *[insert(UserTag).values(row | owner) for row in await self._patterned(message)])

    async def _patterned(self, message: CreateMessage) -> list[dict[str, object]]:
        """The tags of the patterns that a message names; a pattern's text is known from where it is in use."""
        uuids = _distinct(message.tagUuids)
        if not uuids:
            return []
        patterns = select(UserTag.tagPatternUuid, UserTag.tag).where(UserTag.tagPatternUuid.in_(uuids)).distinct()
        texts = {row.tagPatternUuid: row.tag for row in await self._database.read(patterns)}
        return [self._row(texts[one], "User") | {"tagPatternUuid": one} for one in uuids if one in texts]

    def _row(self, tag: str, kind: str) -> dict[str, object]:
        now = self._clock.local()
        return {"uuid": new_uuid(), "tag": tag, "type": kind, "createDate": now, "lastOpDate": now}


def _distinct(tags: Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(tags or ()))


def _up_to_no_text(tags: Iterable[str] | None) -> list[str]:
    return list(takewhile(lambda tag: not isinstance(tag, NoText), _distinct(tags)))


def _check_data_network(tags: Sequence[str]) -> None:
    if len(tags) > 1:
        raise invalid_argument(f"only one backup storage data network system tag is allowed, but {len(tags)} got")
    for tag in tags:
        check_network(tag)


def _resource_type(java_class: str) -> str:
    """The type of a resource as tags tell it: all backup storages are of one."""
    name = java_class.rpartition(".")[2]
    return "BackupStorageVO" if name.endswith(STORAGE_SUFFIX) else f"{name.removesuffix(RESOURCE_SUFFIX)}VO"

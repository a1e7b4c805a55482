"""Tags given in the call that creates a resource: check and store them (wire-protocol 5.1, domain 3.1).

The system tags that exist are declared in `backup_storage.tags`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, takewhile

from sqlalchemy import Insert, insert, select
from sqlalchemy.sql.dml import UpdateBase

from imagestore_sim.backup_storage.tag_patterns import SIMPLE
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
from imagestore_sim.database.models import SystemTag, TagPattern, UserTag
from imagestore_sim.ids import new_uuid
from imagestore_sim.pieces import in_pieces
from imagestore_sim.rest.binding import NotAString, strings
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import CreateMessage, Reply

VALIDATION_ONLY = "validationOnly"
OF_CALLS = (VALIDATION_ONLY, f"ephemeral::{VALIDATION_ONLY}")
"""The system tags that are about the call, not about the resource."""
KNOWN = (*(pattern for patterns in SYSTEM_TAGS.values() for pattern in patterns), *OF_CALLS)
"""The patterns of all system tags, of whatever resource."""
ROWS_OF_A_STATEMENT = 50
"""Tags that one statement writes: a call may give thousands."""
EPHEMERAL = "ephemeral::"
STORAGE_SUFFIX, RESOURCE_SUFFIX = "BackupStorageInventory", "Inventory"


class NewResourceTags:
    """Checks and stores the tags of new resources."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def check(self, message: CreateMessage) -> None:
        """Check a message's tags.

        Raise ApiError SYS.1007 for one that is unknown or not allowed here, and SYS.1000 for one that is not a string.
        """
        await self._check_patterns(_distinct(message.tagUuids))
        tags = _distinct(message.systemTags)
        if all(tag.startswith(EPHEMERAL) for tag in strings(tags)):
            return
        for tag in strings(tags):
            if not any(matches(known, tag) for known in KNOWN):
                raise invalid_argument(f"no system tag matches {tag}")
        _check_data_network([tag for tag in tags if matches(NETWORK, tag)])
        for count, tag in enumerate([tag for tag in tags if matches(BOOT_MODE, tag)], start=1):
            if count > 1:
                raise invalid_argument(f"only one bootMode system tag is allowed, but {count} got")
            check_boot_mode(tag)
        if message.tagged_as:
            _check_type(message.tagged_as, strings(tags))

    async def _check_patterns(self, uuids: Sequence[str]) -> None:
        """Raise ApiError SYS.1007 for patterns with tokens: they need values, which a create call cannot give."""
        if not uuids:
            return
        chosen = (TagPattern.uuid.in_(uuids), TagPattern.type != SIMPLE)
        others = {row.uuid for row in await self._database.read(select(TagPattern.uuid).where(*chosen))}
        if others:
            listed = ", ".join(one for one in uuids if one in others)
            raise invalid_argument(f"illegal tag uuids [{listed}], tag type must be simple,")

    async def writes(self, message: CreateMessage, reply: Reply) -> Sequence[UpdateBase]:
        """Return the statements that write the tags of the new resource in a reply, in one transaction with it.

        A user tag that is not a string is dropped with all that follow it: ZStack reads it after everything else is
        done.
        """
        inventory = reply.body.get("inventory")
        if not isinstance(inventory, dict) or "uuid" not in inventory:
            return ()
        now = self._clock.local()
        owner = {"resourceUuid": inventory["uuid"], "resourceType": _resource_type(reply.schema["inventory"])}
        owner |= {"createDate": now, "lastOpDate": now}
        kept = [tag for tag in _distinct(message.systemTags) if not tag.startswith(EPHEMERAL)]
        system = [_row(tag, "System") | owner | {"inherent": False} for tag in kept]
        user = [_row(tag, "User") | owner for tag in _leading_strings(message.userTags)]
        patterned = [row | owner for row in await self._patterned(message)]
        return tuple(chain(_inserts(SystemTag, system), _inserts(UserTag, user), _inserts(UserTag, patterned)))

    async def _patterned(self, message: CreateMessage) -> list[dict[str, object]]:
        """Return the rows of tags by pattern."""
        uuids = _distinct(message.tagUuids)
        found = select(TagPattern.uuid, TagPattern.value, TagPattern.type).where(TagPattern.uuid.in_(uuids))
        patterns = {row.uuid: row for row in await self._database.read(found)} if uuids else {}
        return [_row(patterns[one].value, "User") | {"tagPatternUuid": one} for one in uuids if one in patterns]


def _row(tag: str, kind: str) -> dict[str, object]:
    return {"uuid": new_uuid(), "tag": tag, "type": kind}


def _inserts(model: type[SystemTag | UserTag], rows: Sequence[Mapping[str, object]]) -> Iterator[Insert]:
    """Yield statements that insert rows with the same columns, as few as can be compiled in a short time each."""
    for some in in_pieces(rows, ROWS_OF_A_STATEMENT):
        yield insert(model).values(some if len(some) > 1 else some[0])


def _distinct(tags: Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(tags or ()))


def _leading_strings(tags: Iterable[str] | None) -> list[str]:
    return list(takewhile(lambda tag: not isinstance(tag, NotAString), _distinct(tags)))


def _check_type(resource_type: str, tags: Iterable[str]) -> None:
    """Raise ApiError SYS.1007 for a tag that only resources of other types have, as `TagManagerImpl` (call 10796)."""
    own = (*SYSTEM_TAGS[resource_type], *OF_CALLS)
    for tag in tags:
        if not any(matches(pattern, tag) for pattern in own):
            raise invalid_argument(f"no system tag matches[{tag}] for resourceType[{resource_type}]")


def _check_data_network(tags: Sequence[str]) -> None:
    if len(tags) > 1:
        raise invalid_argument(f"only one backup storage data network system tag is allowed, but {len(tags)} got")
    for tag in tags:
        check_network(tag)


def _resource_type(java_class: str) -> str:
    """Return the resource type that tags have: all backup storages have the same."""
    name = java_class.rpartition(".")[2]
    return "BackupStorageVO" if name.endswith(STORAGE_SUFFIX) else f"{name.removesuffix(RESOURCE_SUFFIX)}VO"

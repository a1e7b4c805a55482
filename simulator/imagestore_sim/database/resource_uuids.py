"""Uuids of resources: unique over all types, since each has a row in ZStack's ResourceVO (recorded call 10774)."""

from __future__ import annotations

from sqlalchemy import bindparam, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.errors import UuidTaken
from imagestore_sim.database.models import (
    AccessKey,
    Account,
    BackupStorage,
    Image,
    LongJob,
    Policy,
    Role,
    TagPattern,
    User,
    UserGroup,
    WebHook,
    Zone,
)

RESOURCES = (
    AccessKey, Account, BackupStorage, Image, LongJob, Policy, Role, TagPattern, User, UserGroup, WebHook, Zone,
)  # fmt: skip
_TAKEN = union_all(*(select(model.uuid).where(model.uuid == bindparam("uuid")) for model in RESOURCES))


async def refuse_taken(connection: AsyncConnection, uuid: str) -> None:
    """Raise UuidTaken if a resource of any type has this uuid."""
    if (await connection.execute(_TAKEN, {"uuid": uuid})).first() is not None:
        raise UuidTaken(uuid)

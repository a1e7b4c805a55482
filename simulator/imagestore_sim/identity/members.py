"""Which users are in a group, and which policies users and groups have (observed 21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import (
    Policy,
    User,
    UserGroup,
    UserGroupPolicyRef,
    UserGroupUserRef,
    UserPolicyRef,
)

Reference = type[UserGroupUserRef | UserGroupPolicyRef | UserPolicyRef]


@dataclass(frozen=True, slots=True)
class UserPolicy:
    """A policy that a user has, by itself or by a group."""

    uuid: str
    name: str
    statements: Sequence[dict[str, object]]


class Members:
    """The operations on members of groups, and on policies of users and groups."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, model: Reference, **ends: str) -> bool:
        """Connect two records, such as `userUuid` and `groupUuid`. Return False if they are connected already."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await _lock(connection, ends)
            if await connection.scalar(select(model.id).filter_by(**ends)) is not None:
                return False
            await connection.execute(insert(model).values(**ends, createDate=now, lastOpDate=now))
        return True

    async def remove(self, model: Reference, **ends: str) -> None:
        """Part two records, if they are connected."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(model).filter_by(**ends))

    async def policies_of(self, user: str) -> list[UserPolicy]:
        """Return the policies of a user and of its groups."""
        own = select(UserPolicyRef.policyUuid).where(UserPolicyRef.userUuid == user)
        groups = select(UserGroupUserRef.groupUuid).where(UserGroupUserRef.userUuid == user)
        of_groups = select(UserGroupPolicyRef.policyUuid).where(UserGroupPolicyRef.groupUuid.in_(groups))
        found = select(Policy.uuid, Policy.name, Policy.statements)
        rows = await self._database.read(found.where(Policy.uuid.in_(own.union(of_groups))).order_by(Policy.uuid))
        return [UserPolicy(row.uuid, row.name, orjson.loads(row.statements)) for row in rows]


async def _lock(connection: AsyncConnection, ends: Mapping[str, str]) -> None:
    """Let no other node add to the same group, or give a policy to the same user, before the transaction ends."""
    if (group := ends.get("groupUuid")) is not None:
        await lock(connection, select(UserGroup.uuid).where(UserGroup.uuid == group))
    else:
        await lock(connection, select(User.uuid).where(User.uuid == ends["userUuid"]))

"""Patterns of user tags, which tag many resources alike (observed 23)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import InvalidRequest, OperationFailed
from imagestore_sim.backup_storage.tags import hold, is_gone
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import TagPattern, UserTag
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.ids import new_uuid

SIMPLE, WITH_TOKEN = "simple", "withToken"
COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
TOKEN = re.compile(r"\{([^{}:]+)\}")
FORMAT = re.compile(r"(?:[^{}:]+::)?\{[^{}:]+\}(?:::\{[^{}:]+\})*")
"""A pattern with tokens: `name::{token}::{token}`, or without the name."""
FORMS = (
    "format must like that name::{tokenName1}::{tokenName2} ... ::{tokenNameN} or "
    "{tokenName1}::{tokenName2} ... ::{tokenNameN} Name cannot contain '{}:'"
)


class TagPatterns:
    """The operations on patterns of tags. Each raises InvalidRequest for what ZStack's interceptor refuses."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, uuid: str, account: str, values: Mapping[str, object]) -> None:
        """Insert a pattern of an account."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await refuse_taken(connection, uuid)
            row = insert(TagPattern).values(uuid=uuid, accountUuid=account, **values)
            await connection.execute(row.values(createDate=now, lastOpDate=now))

    async def change(self, uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of a pattern, if there are any to change."""
        if values:
            async with self._database.transaction() as connection:
                this = update(TagPattern).where(TagPattern.uuid == uuid)
                await connection.execute(this.values(**values, lastOpDate=self._clock.local()))

    async def delete(self, uuid: str) -> None:
        """Delete a pattern, if it exists, with the tags made of it."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(TagPattern).where(TagPattern.uuid == uuid))  # which `attach` locks
            await connection.execute(delete(UserTag).where(UserTag.tagPatternUuid == uuid))

    async def check_change(self, uuid: str, value: str | None) -> None:
        """Raise InvalidRequest for a new text of a simple pattern, or other tokens than it has."""
        if value is None:
            return
        rows = await self._database.read(select(TagPattern.value, TagPattern.type).where(TagPattern.uuid == uuid))
        for row in rows:
            if row.type == SIMPLE:
                raise InvalidRequest("cannot update simple tag pattern format")
            check_format(value)
            if TOKEN.sub("{}", value) != TOKEN.sub("{}", row.value):
                raise InvalidRequest("you can only update token name")

    async def check_tokens(self, uuid: str, tokens: Mapping[str, object] | None) -> None:
        """Raise InvalidRequest for tokens of a simple pattern, or for a token without a value."""
        for row in await self._database.read(select(TagPattern.value, TagPattern.type).where(TagPattern.uuid == uuid)):
            names = TOKEN.findall(row.value) if row.type == WITH_TOKEN else []
            if tokens and not names:
                raise InvalidRequest("simple tag pattern has no tokens")
            if not set(names) <= set(tokens or ()):
                raise InvalidRequest(f"all tokens [{', '.join(names)}] must be specify")

    async def attach(self, uuid: str, resource: str, resource_type: str, tokens: Mapping[str, object]) -> str:
        """Tag a resource, and return the uuid of the tag.

        Raise OperationFailed if it has that tag already, or if the resource or the pattern is gone. Nothing is written
        then, and more resources may be tagged in the same transaction.
        """
        async with self._database.transaction() as connection:
            attached = await self._attach(connection, uuid, resource, resource_type, tokens)
        if isinstance(attached, OperationFailed):
            raise attached  # not before: what fails within a transaction undoes the whole of it
        return attached

    async def _attach(
        self, connection: AsyncConnection, uuid: str, resource: str, resource_type: str, tokens: Mapping[str, object]
    ) -> str | OperationFailed:
        """Return the uuid of the new tag, or why there is none."""
        now = self._clock.local()
        columns = select(TagPattern.value, TagPattern.type).where(TagPattern.uuid == uuid)
        pattern = (await connection.execute(columns.with_for_update())).one_or_none()
        if pattern is None or not await hold(connection, resource):
            return is_gone(uuid if pattern is None else resource)
        tag = pattern.value
        if pattern.type == WITH_TOKEN:
            tag = TOKEN.sub(lambda token: str(tokens[token[1]]), tag)
        same = (UserTag.resourceUuid == resource, UserTag.tagPatternUuid == uuid, UserTag.tag == tag)
        if await connection.scalar(select(UserTag.uuid).where(*same).limit(1)) is not None:
            where = f"resourceType:{resource_type}, resourceUuid:{resource}"
            return OperationFailed(f"Duplicated Tag[tag:{tag}, type:User, {where}]")
        made = new_uuid()
        row = {"uuid": made, "resourceUuid": resource, "resourceType": resource_type, "tag": tag, "type": "User"}
        insertion = insert(UserTag).values(**row, tagPatternUuid=uuid)
        await connection.execute(insertion.values(createDate=now, lastOpDate=now))
        return made

    async def detach(self, uuid: str, resources: Sequence[str]) -> None:
        """Delete the tags of a pattern from resources."""
        async with self._database.transaction() as connection:
            theirs = (UserTag.tagPatternUuid == uuid, UserTag.resourceUuid.in_(resources))
            await connection.execute(delete(UserTag).where(*theirs))


def check_new(kind: str, value: str) -> None:
    """Raise InvalidRequest for the text of a new pattern that has no tokens, where it must have some."""
    if kind == WITH_TOKEN:
        check_format(value)


def check_format(value: str) -> None:
    """Raise InvalidRequest unless a text is a pattern with tokens."""
    if FORMAT.fullmatch(value) is None:
        raise InvalidRequest(f"Get format[{value}], {FORMS}")


def check_color(color: str | None) -> None:
    """Raise InvalidRequest unless a color is six hex digits after a `#`."""
    if color is not None and COLOR.fullmatch(color) is None:
        raise InvalidRequest(f"Invalid color specification[{color}], must like #FF00FF")

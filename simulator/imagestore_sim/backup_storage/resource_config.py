"""Values that options of the global configuration have for single resources (observed 22)."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, delete, insert, select, update

from imagestore_sim.backup_storage.tags import hold, is_gone
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import ConfigOption, GlobalConfiguration
from imagestore_sim.database.models import ADMIN_UUID, ResourceConfig
from imagestore_sim.ids import new_uuid

T = TypeVar("T")


class ResourceConfigs:
    """The operations on values of resources. Those that options can bind here belong to admin, all of them."""

    def __init__(self, database: Database, clock: Clock, configuration: GlobalConfiguration) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration

    async def value(self, option: ConfigOption[T], resource: str) -> T:
        """Return the value of an option for a resource: its own, else the global one."""
        rows = await self._database.read(select(ResourceConfig.value).where(*_this(option, resource)))
        return option.read(option, rows[0].value) if rows else self._configuration.get(option)

    async def find(self, option: ConfigOption[object], resource: str) -> str | None:
        """Return the uuid of a resource's own value, or None."""
        rows = await self._database.read(select(ResourceConfig.uuid).where(*_this(option, resource)))
        return str(rows[0].uuid) if rows else None

    async def change(self, option: ConfigOption[object], resource: str, resource_type: str, value: str) -> None:
        """Give a resource a value of its own.

        Raise InvalidOption for one that the option does not take, OperationFailed if the resource is gone.
        """
        option.read(option, value)
        now, this = self._clock.local(), _this(option, resource)
        async with self._database.transaction() as connection:
            if not await hold(connection, resource):
                raise is_gone(resource)
            changed = await connection.execute(update(ResourceConfig).where(*this).values(value=value, lastOpDate=now))
            if not changed.rowcount:
                row = {"uuid": new_uuid(), "resourceUuid": resource, "resourceType": resource_type, "value": value}
                row |= {"category": option.category, "name": option.name, "description": option.description}
                insertion = insert(ResourceConfig).values(**row, accountUuid=ADMIN_UUID)
                await connection.execute(insertion.values(createDate=now, lastOpDate=now))

    async def delete(self, option: ConfigOption[object], resource: str) -> None:
        """Take the resource's own value from it, if it has one."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(ResourceConfig).where(*_this(option, resource)))


def _this(option: ConfigOption[T], resource: str) -> tuple[ColumnElement[bool], ...]:
    same = ResourceConfig.category == option.category, ResourceConfig.name == option.name
    return ResourceConfig.resourceUuid == resource, *same

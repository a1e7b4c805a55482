"""Quotas: how much of something an account may have, and how much it has (observed 7, 20)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.large_sums import joined, sum_in_parts
from imagestore_sim.database.models import ADMIN_UUID, Account, Image, Quota
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.identity.owners import hold_account
from imagestore_sim.units import MOST_BYTES

CATEGORY = "quota"
IMAGE_NUM, IMAGE_SIZE = "image.num", "image.size"
NAMES = (
    *("snapshot.volume.num", IMAGE_NUM, "eip.num", "volume.data.num", "vm.totalNum", "vm.memorySize"),
    *("securityGroup.num", "vxlan.num", "vm.cpuNum", "l3.num", "volume.capacity", "listener.num", "portForwarding.num"),
    *("loadBalancer.num", "ssh_key_pair.num", "vip.num", IMAGE_SIZE, "vm.num"),
)
"""The quotas of an account, in the order in which ZStack lists their use (observed 20)."""
NAMESPACE = UUID("1c0b6c1e-5d0c-4f7c-9f35-3f5a8d0f6a11")
"""Makes the uuid of a quota of its account and its name, so that a snapshot need not hold it."""


class QuotaExceeded(Exception):
    """An account would have more than its quota; the text is ZStack's."""

    def __init__(self, account: tuple[str, str], name: str, value: int, used: int, request: int) -> None:
        uuid, account_name = account
        super().__init__(
            "quota exceeding.The resource owner(or target resource owner) "
            f"account[uuid: {uuid} name: {account_name}] exceeds a quota[name: {name}, value: {value}], "
            f"Current used:{used}, Request:{request}. Please contact the administrator."
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """How much an account may have of something, and how much it has."""

    name: str
    total: int
    used: int


class Quotas:
    """The quotas of all accounts. Admin has none, so that nothing limits it."""

    def __init__(self, database: Database, clock: Clock, configuration: GlobalConfiguration) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration

    def defaults(self) -> dict[str, int]:
        """Return the values for a new account (options of the category `quota`)."""
        return {name: self._configuration.get(integer(CATEGORY, name)) for name in NAMES}

    async def check(self, account_uuid: str | None, wanted: Mapping[str, int]) -> None:
        """Raise QuotaExceeded if the account may not have that much more, by the name of the quota.

        For `AddImage` that is `{IMAGE_SIZE: 100, IMAGE_NUM: 1}`; the first that is exceeded is told. Within a
        handler's transaction the uses are those of the moment, so that concurrent calls cannot exceed a quota together:
        those of two nodes of one MariaDB wait for each other at the rows of the quotas. The account is there until that
        transaction ends. Raise AccountGone if it was deleted meanwhile: an account without quotas is admin.
        """
        async with self._database.transaction() as connection:
            if account_uuid is not None:
                await hold_account(connection, account_uuid)  # before its quotas, as its deletion takes them
            columns = select(Quota.name, Quota.value).where(Quota.identityUuid == account_uuid, Quota.name.in_(wanted))
            rows = await connection.execute(columns.order_by(Quota.name).with_for_update())
            values = {row.name: row.value for row in rows}
            if not values or account_uuid is None:
                return
            used = await _used(connection, account_uuid)
            for name, request in wanted.items():
                if request and used[name] + request > values[name]:
                    account = await connection.scalar(select(Account.name).where(Account.uuid == account_uuid))
                    raise QuotaExceeded((account_uuid, str(account)), name, values[name], used[name], request)

    async def usages(self, account_uuid: str) -> list[Usage]:
        """Return the use of every quota of an account; of admin with totals of 0, as it has no quotas."""
        async with self._database.transaction() as connection:
            used = await _used(connection, account_uuid)
            values = select(Quota.name, Quota.value).where(Quota.identityUuid == account_uuid)
            totals = {row.name: row.value for row in await connection.execute(values)}
        return [Usage(name, totals.get(name, 0), used[name]) for name in NAMES]

    async def find(self, account_uuid: str, name: str) -> str | None:
        """Return the uuid of an account's quota, or None."""
        mine = select(Quota.uuid).where(Quota.identityUuid == account_uuid, Quota.name == name)
        rows = await self._database.read(mine)
        return rows[0].uuid if rows else None

    async def change(self, uuid: str, value: int) -> None:
        """Set a quota."""
        async with self._database.transaction() as connection:
            row = update(Quota).where(Quota.uuid == uuid)
            await connection.execute(row.values(value=value, lastOpDate=self._clock.local()))


def quota_rows(account_uuid: str, values: Mapping[str, int], now: datetime) -> list[dict[str, object]]:
    """Return the rows of the quotas of a new account; admin has none."""
    if account_uuid == ADMIN_UUID:
        return []
    return [
        {
            "uuid": quota_uuid(account_uuid, name),
            "name": name,
            "identityUuid": account_uuid,
            "identityType": "AccountVO",
            "value": value,
            "createDate": now,
            "lastOpDate": now,
        }
        for name, value in values.items()
    ]


def quota_uuid(account_uuid: str, name: str) -> str:
    """Return the uuid of an account's quota."""
    return uuid5(NAMESPACE, f"{account_uuid}/{name}").hex


async def _used(connection: AsyncConnection, account_uuid: str) -> dict[str, int]:
    """Return how much an account has of everything; images that wait for being expunged count (observed 20)."""
    images = select(func.count(), *sum_in_parts(Image.actualSize)).where(Image.accountUuid == account_uuid)
    [(number, *parts)] = (await connection.execute(images)).all()
    return {**dict.fromkeys(NAMES, 0), IMAGE_NUM: int(number), IMAGE_SIZE: min(joined(*parts), MOST_BYTES)}

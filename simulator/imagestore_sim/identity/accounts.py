"""Accounts with their users and groups, as records (observed 8, 9, 20)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid5

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.collated import general_ci
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import (
    ADMIN_UUID,
    Account,
    Image,
    ImageBackupStorageRef,
    LongJob,
    Policy,
    Quota,
    Role,
    TagPattern,
    User,
    UserGroup,
    UserPolicyRef,
    UserTag,
)
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.identity.quotas import NAMESPACE, Quotas, quota_rows

ADMIN, NORMAL = "SystemAdmin", "Normal"
DELETED = "Deleted"
"""The status of an image whose owner was deleted, until it is expunged (observed 9)."""
DEFAULT_POLICY = "DEFAULT-READ"
PASSWORD = "password"  # noqa: S105 - the name of a column


class AccountRecords:
    """The operations on accounts, users and groups. Passwords are what clients send, the SHA-512 in hex."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, quotas: Quotas) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._quotas = quotas

    async def create(self, uuid: str, values: Mapping[str, object]) -> None:
        """Insert an account with the default quotas."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await refuse_taken(connection, uuid)
            await connection.execute(insert(Account).values(**self._stored({"uuid": uuid, **values}, new=True)))
            if quotas := quota_rows(uuid, self._quotas.defaults(), now):
                await connection.execute(insert(Quota), quotas)
            await connection.execute(insert(Policy).values(**default_policy(uuid)))

    async def delete(self, uuid: str) -> None:
        """Delete an account with all that belongs to it, but for images and long jobs: they become admin's.

        The images become Deleted. Nothing else happens to long jobs (observed 20).

        Its sessions are in memory, too: `Sessions.end_of` ends them.
        """
        async with self._database.transaction() as connection:
            # First, so that what is being given to the account is there before, or is refused: see `hold_account`.
            await lock(connection, select(Account.uuid).where(Account.uuid == uuid))
            its_patterns = select(TagPattern.uuid).where(TagPattern.accountUuid == uuid)
            await lock(connection, its_patterns.order_by(TagPattern.uuid))
            mine = select(Image.uuid).where(Image.accountUuid == uuid)
            refs = update(ImageBackupStorageRef).where(ImageBackupStorageRef.imageUuid.in_(mine))
            await connection.execute(refs.values(status=DELETED))
            images = update(Image).where(Image.accountUuid == uuid)
            await connection.execute(images.values(status=DELETED, accountUuid=ADMIN_UUID))
            jobs = update(LongJob).where(LongJob.accountUuid == uuid)
            await connection.execute(jobs.values(accountUuid=ADMIN_UUID))
            await connection.execute(delete(UserTag).where(UserTag.tagPatternUuid.in_(its_patterns)))
            await connection.execute(delete(Account).where(Account.uuid == uuid))

    async def insert(self, model: type[User | UserGroup | Policy | Role], values: Mapping[str, object]) -> None:
        """Insert a user, a group, a policy or a role of an account."""
        row = dict(values)
        if model is not Policy:
            row = self._stored(values, new=True, dated=model is not UserGroup)
        async with self._database.transaction() as connection:
            await refuse_taken(connection, str(row["uuid"]))
            await connection.execute(insert(model).values(**row))
            if model is User:
                await allow_reading(connection, str(row["uuid"]), str(row["accountUuid"]), self._clock.local())

    async def change(self, model: type[Account | User | UserGroup], uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of an account, a user or a group."""
        if values:
            async with self._database.transaction() as connection:
                await connection.execute(update(model).where(model.uuid == uuid).values(**self._stored(values)))

    async def remove(self, model: type[User | UserGroup | Policy | Role], uuid: str) -> None:
        """Delete a user, a group, a policy or a role."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(model).where(model.uuid == uuid))

    async def is_named(self, name: str) -> bool:
        """Return whether an account has that name, as the database compares names (observed 8)."""
        return await self._exists(Account, same_name(Account, name))

    async def has(self, model: type[User | UserGroup], account_uuid: str, name: str) -> bool:
        """Return whether an account has a user or a group of that name."""
        return await self._exists(model, model.accountUuid == account_uuid, same_name(model, name))

    async def is_password(self, model: type[Account | User], uuid: str, password: str) -> bool:
        """Return whether that is the password of an account or a user."""
        rows = await self._database.read(select(model.password).where(model.uuid == uuid))
        return self._vault.is_password(password.rstrip(" "), rows[0].password if rows else None)

    async def _exists(self, model: type[Account | User | UserGroup], *conditions: ColumnElement[bool]) -> bool:
        return bool(await self._database.read(select(model.uuid).where(*conditions)))

    def _stored(self, values: Mapping[str, object], *, new: bool = False, dated: bool = True) -> dict[str, object]:
        """Return the columns to write: the password as a hash, and the dates."""
        now = self._clock.local()
        dates = {**({"createDate": now} if new else {}), **({"lastOpDate": now} if dated else {})}
        password = values.get(PASSWORD)
        hashed = {} if password is None else {PASSWORD: self._vault.protect(str(password).rstrip(" "))}
        return {**values, **hashed, **dates}


def default_policy_uuid(account_uuid: str) -> str:
    """Return the uuid of the policy that an account has from the start; a later one may have its name."""
    return uuid5(NAMESPACE, f"{account_uuid}/{DEFAULT_POLICY}").hex


def default_policy(account_uuid: str) -> dict[str, object]:
    """Return the policy that every account but admin has: its users may make all calls that change nothing."""
    return {
        "uuid": default_policy_uuid(account_uuid),
        "accountUuid": account_uuid,
        "name": DEFAULT_POLICY,
        "statements": '[{"effect":"Allow","actions":["*:read"]}]',
    }


async def allow_reading(connection: AsyncConnection, user: str, account: str, now: datetime) -> None:
    """Give a new user the policy DEFAULT-READ of its account, if the account has it; admin has not."""
    mine = select(Policy.uuid).where(Policy.accountUuid == account, Policy.name == DEFAULT_POLICY)
    first = (Policy.uuid != default_policy_uuid(account), Policy.uuid)
    policy = await connection.scalar(mine.order_by(*first).limit(1))
    if policy is not None:
        row = insert(UserPolicyRef).values(userUuid=user, policyUuid=policy)
        await connection.execute(row.values(createDate=now, lastOpDate=now))


def same_name(model: type[Account | User | UserGroup], name: str) -> ColumnElement[bool]:
    """Compare names as ZStack's database does: ignoring case, accents and trailing blanks."""
    return general_ci(model.name) == general_ci(name)

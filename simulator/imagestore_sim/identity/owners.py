"""The accounts that resources are given to: each is there until the transaction that gives it one has ended."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.models import ADMIN_UUID, Account


class AccountGone(Exception):
    """An account that was deleted while a call for it ran."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"resource[uuid:{uuid}, type:AccountVO] not found")


async def hold_account(connection: AsyncConnection, uuid: str) -> None:
    """Keep an account from being deleted until the caller's transaction ends. Raise AccountGone if it was deleted.

    No foreign key of MariaDB's does that for images: their rows outlive the account. Those who hold an account at one
    time do not wait for each other. Admin is never deleted.
    """
    if uuid == ADMIN_UUID:
        return
    there = select(Account.uuid).where(Account.uuid == uuid).with_for_update(read=True)
    if await connection.scalar(there) is None:
        raise AccountGone(uuid)

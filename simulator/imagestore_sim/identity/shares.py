"""Who owns an image, and who else sees it (observed 10, 20). Only images belong to accounts and can be shared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice, product

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import Image, SharedResource
from imagestore_sim.identity.owners import hold_account

TYPE = "ImageVO"
ROWS_OF_A_STATEMENT = 500
"""A call may share thousands of images with thousands of accounts."""


class Shares:
    """The operations on owners and shares of images."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def without_owner(self, resources: Sequence[str]) -> str | None:
        """Return the first of the resources that belongs to no account, such as a zone; None if all have owners."""
        owned = {row.uuid for row in await self._database.read(select(Image.uuid).where(Image.uuid.in_(resources)))}
        return next((one for one in resources if one not in owned), None)

    async def share(self, owner: str, resources: Collection[str], accounts: Collection[str | None]) -> None:
        """Let accounts see images, where they do not yet; None stands for all accounts."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await lock(connection, select(Image.uuid).where(Image.uuid.in_(resources)).order_by(Image.uuid))
            mine = select(SharedResource.resourceUuid, SharedResource.receiverAccountUuid)
            where = mine.where(SharedResource.ownerAccountUuid == owner, SharedResource.resourceUuid.in_(resources))
            there = {tuple(row) for row in await connection.execute(where)}
            pairs = product(dict.fromkeys(resources), dict.fromkeys(accounts))
            new = (pair for pair in pairs if pair not in there)
            its = {"ownerAccountUuid": owner, "resourceType": TYPE, "createDate": now, "lastOpDate": now}
            while some := [
                {"resourceUuid": resource, "receiverAccountUuid": account, "toPublic": account is None, **its}
                for resource, account in islice(new, ROWS_OF_A_STATEMENT)
            ]:
                await connection.execute(insert(SharedResource), some)

    async def revoke(self, owner: str, resources: Collection[str], accounts: Collection[str | None] | None) -> None:
        """Take images back from accounts; None among them stands for the share with all accounts, alone for all shares.

        Accounts that a public share lets see an image see it still.
        """
        conditions: list[ColumnElement[bool]] = [
            SharedResource.ownerAccountUuid == owner,
            SharedResource.resourceUuid.in_(resources),
        ]
        if accounts is not None:
            named = [one for one in accounts if one is not None]
            public = [SharedResource.toPublic] if None in accounts else []
            conditions.append(or_(SharedResource.receiverAccountUuid.in_(named), *public))
        async with self._database.transaction() as connection:
            await connection.execute(delete(SharedResource).where(*conditions))

    async def give(self, image_uuid: str, account_uuid: str) -> None:
        """Make an account the owner of an image. Raise AccountGone if it was deleted meanwhile."""
        async with self._database.transaction() as connection:
            await hold_account(connection, account_uuid)
            await connection.execute(update(Image).where(Image.uuid == image_uuid).values(accountUuid=account_uuid))

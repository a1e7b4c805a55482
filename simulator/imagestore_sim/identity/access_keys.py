"""Access keys, which sign requests in place of a session (wire-protocol 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, update

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.models import AccessKey
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.ids import new_token

ID_LENGTH, SECRET_LENGTH = 20, 40
ENABLED, DISABLED = "Enabled", "Disabled"
STATE_AFTER = {"enable": ENABLED, "disable": DISABLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessKey:
    """An access key to be made; without an id or a secret they are drawn: letters and digits, 20 and 40 of them."""

    uuid: str
    account_uuid: str
    user_uuid: str
    description: str | None
    key_id: str | None
    secret: str | None


class AccessKeys:
    """The operations on access keys. Their secrets are stored encrypted."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def create(self, key: NewAccessKey) -> str:
        """Insert an Enabled key, and return its secret, which nothing shows again."""
        now = self._clock.local()
        secret = key.secret or new_token("access key", SECRET_LENGTH)
        values = {
            "uuid": key.uuid,
            "accountUuid": key.account_uuid,
            "userUuid": key.user_uuid,
            "description": key.description,
            "AccessKeyID": key.key_id or new_token("access key", ID_LENGTH),
            "AccessKeySecret": self._vault.encrypt(secret),
            "state": ENABLED,
            "createDate": now,
            "lastOpDate": now,
        }
        async with self._database.transaction() as connection:
            await refuse_taken(connection, key.uuid)
            await connection.execute(insert(AccessKey).values(**values))
        return secret

    async def change_state(self, uuid: str, state: str) -> None:
        """Enable or disable a key."""
        async with self._database.transaction() as connection:
            row = update(AccessKey).where(AccessKey.uuid == uuid)
            await connection.execute(row.values(state=state, lastOpDate=self._clock.local()))

    async def delete(self, uuid: str) -> None:
        """Delete a key."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(AccessKey).where(AccessKey.uuid == uuid))

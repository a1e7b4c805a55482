"""What the faults of a node take from its store, and write there: facts about requests, and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from imagestore_sim.backup_storage.events import Events
from imagestore_sim.database import Database
from imagestore_sim.database.models import Account, BackupStorage


@dataclass(frozen=True, slots=True)
class FaultRecords:
    """Reads facts (`rest.node_faults.Facts`), and records events."""

    database: Database
    events: Events

    async def account_name(self, uuid: str) -> str | None:
        """Return the name of an account, None if there is none. Raise StoreUnavailable."""
        rows = await self.database.read(select(Account.name).where(Account.uuid == uuid))
        return rows[0][0] if rows else None

    async def storage_statuses(self, uuids: list[str]) -> list[str]:
        """Return the statuses of the backup storages among these uuids. Raise StoreUnavailable."""
        if not uuids:
            return []
        found = select(BackupStorage.status).where(BackupStorage.uuid.in_(uuids))
        return [row[0] for row in await self.database.read(found)]

    async def record(self, path: str, fault: str, content: Mapping[str, object]) -> None:
        """Record an event about a fault, by its id. Raise StoreUnavailable."""
        async with self.database.transaction() as connection:
            event = await self.events.record(connection, path, fault, content)
        self.events.publish(event)

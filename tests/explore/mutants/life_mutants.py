"""Mutants of the life cycle: statuses, capacities, events, answers, and what is left of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mutant import Mutant
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.auto_reconnect import AutoReconnect
from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event, Events, NewEvent, Occasion
from imagestore_sim.backup_storage.lifecycle import Lifecycle
from imagestore_sim.backup_storage.records import NewStorage, State, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.database.changes import Changes
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.probe import Capacity


def _lose_disconnections(patch: pytest.MonkeyPatch) -> None:
    def publish(self: Events, *events: Event) -> None:
        plain(self, *(one for one in events if one.path != DISCONNECTED))

    plain = Events.publish
    patch.setattr(Events, "publish", publish)


def _connect_by_ping(patch: pytest.MonkeyPatch) -> None:
    async def set_capacity(self: StatusStore, storage: Storage, capacity: Capacity) -> None:
        if storage.status is Status.DISCONNECTED:
            await self.set_connected(storage, capacity)
        else:
            await plain(self, storage, capacity)

    plain = StatusStore.set_capacity
    patch.setattr(StatusStore, "set_capacity", set_capacity)


def _zero_capacity(patch: pytest.MonkeyPatch) -> None:
    async def set_disconnected(self: StatusStore, storage: Storage, why: Any, *, was_connected: bool) -> None:
        await plain(self, storage, why, was_connected=was_connected)
        now = self._capacities.now()
        event = await self._database.change(
            lambda changes: self._capacities.write(changes, storage.uuid, 0, 0, now),
        )
        if event is not None:
            self._events.publish(event)

    plain = StatusStore.set_disconnected
    patch.setattr(StatusStore, "set_disconnected", set_disconnected)


def _leave_connecting(patch: pytest.MonkeyPatch) -> None:
    async def fail(self: StatusStore, storage: Storage, why: BackupStorageError, *, was_connected: bool) -> None:
        raise RuntimeError("nobody expects this")

    def is_lost(self: AutoReconnect, uuid: str, status: Status, *rest: Any) -> bool:
        return status is Status.DISCONNECTED

    patch.setattr(StatusStore, "set_disconnected_when_writable", fail)
    patch.setattr(AutoReconnect, "_is_lost", is_lost)


def _enable_at_start(patch: pytest.MonkeyPatch) -> None:
    async def start(self: Lifecycle) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(update(BackupStorage).values(state=State.ENABLED))
        await plain(self)

    plain = Lifecycle.start
    patch.setattr(Lifecycle, "start", start)


def _answer_success(patch: pytest.MonkeyPatch) -> None:
    async def reconnect(self: Lifecycle, uuid: str) -> None:
        try:
            await plain(self, uuid)
        except BackupStorageError:
            return

    plain = Lifecycle.reconnect
    patch.setattr(Lifecycle, "reconnect", reconnect)


def _keep_failed_adds(patch: pytest.MonkeyPatch) -> None:
    async def remove(self: Lifecycle, new: NewStorage) -> None:
        await self.hosts.release(new.hostname)

    patch.setattr(Lifecycle, "_remove", remove)


def _reconnect_once(patch: pytest.MonkeyPatch) -> None:
    async def reconnect_once(self: AutoReconnect, uuid: str) -> None:
        await self._clock.sleep(1)
        await self._reconnect(uuid)  # its task stays in `_running`, as if it went on

    patch.setattr(AutoReconnect, "_reconnect_until_connected", reconnect_once)


def _lose_descriptions(patch: pytest.MonkeyPatch) -> None:
    async def change(self: StorageRecords, connection: AsyncConnection, uuid: str, **values: object) -> bool:
        if len(values) > 1:
            values.pop("description", None)
        return await plain(self, connection, uuid, **values)

    plain = StorageRecords.change
    patch.setattr(StorageRecords, "change", change)


def _number_twice(patch: pytest.MonkeyPatch) -> None:
    def add(self: Events, changes: Changes, new: NewEvent, now: Occasion) -> Event:
        event = plain(self, changes, new, now)
        if new.path == STATUS_CHANGED and new.content["oldStatus"] == Status.DISCONNECTED:
            return replace(event, id=event.id - 1)
        return event

    plain = Events.add
    patch.setattr(Events, "add", add)


MUTANTS = (
    Mutant("event-lost", "the event of a disconnection is stored, and never told", _lose_disconnections),
    Mutant("ping-connects", "a successful ping sets a storage Connected", _connect_by_ping),
    Mutant("capacity-zeroed", "a storage that is Disconnected shows no capacity", _zero_capacity),
    Mutant("connecting-left", "an unexpected exception leaves a storage Connecting", _leave_connecting),
    Mutant("restart-enables", "a restart forgets that a storage was Disabled", _enable_at_start),
    Mutant("reconnect-lies", "a reconnect that has failed is answered as a success", _answer_success),
    Mutant("failed-add-stays", "an add that fails leaves its record", _keep_failed_adds),
    Mutant("one-try", "a lost storage is reconnected once, and then given up", _reconnect_once),
    Mutant("description-lost", "an update of several fields leaves the description as it was", _lose_descriptions),
    Mutant("number-twice", "two events get the same number", _number_twice),
)

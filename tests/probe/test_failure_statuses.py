"""The failures of the catalogue lead to the statuses that docs/failures.md gives."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from failure_catalogue import IGNORE, ROWS, Row

from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Prober
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import virtual_clock

pytestmark = pytest.mark.thorough

HUNDRED_MINUTES = 6000


@pytest.mark.imagestore_lab(clock="virtual")
async def test_a_storage_is_disconnected_by_what_has_a_reason_and_by_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In virtual time: less than a slow login takes, and more than the second after which a host without SFTP gives up.
    monkeypatch.setattr(
        "imagestore_sim.node.from_settings.Prober",
        partial(Prober, connect_timeout=0.9, command_timeout=2.5, busy_pauses=()),
    )
    rows = [row for row in ROWS if row.policy is IGNORE]
    settings = Settings(port=0, hosts=len(rows), ping_interval=HUNDRED_MINUTES)
    async with Lab(settings, clock=virtual_clock()) as lab:
        async with asyncio.TaskGroup() as hosts:
            for number, row in enumerate(rows, 1):
                hosts.create_task(break_host(lab, number, row))
        found = {storage.name: storage for storage in await lab.node.storages.records.tracked()}
        for number, row in enumerate(rows, 1):
            expected = Status.DISCONNECTED if row.connect else Status.CONNECTED
            assert found[f"imagestore-{number}"].status is expected, row.name
            assert found[f"imagestore-{number}"].total > 0, row.name


async def break_host(lab: Lab, number: int, row: Row) -> None:
    """Put the faults of a row on a host whose storage is connected, and reconnect that."""
    name = f"imagestore-{number}"
    storage = next(one for one in await lab.node.storages.records.tracked() if one.name == name)
    for fault in row.faults:
        at_url = {"path": storage.url} if "path" in fault.values() else {}
        await lab.network[name].faults.apply(fault.model_copy(update=at_url))
    if row.connect is None:
        await lab.node.storages.lifecycle.reconnect(storage.uuid)
        return
    with pytest.raises(ConnectFailed) as failed:
        await lab.node.storages.lifecycle.reconnect(storage.uuid)
    assert failed.value.failure.reason is row.connect, row.name

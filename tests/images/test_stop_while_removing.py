"""A node that stops while it removes what a failed add has left: nothing of it goes on."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.faults import read_fault
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.virtual_clock import virtual_clock
from leftovers import no_more_tasks_than

GIB = 2**30
HOUR = 3600


@pytest.mark.imagestore_lab(clock="virtual")
async def test_a_node_that_stops_while_it_removes_bits_leaves_no_task(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    async with Lab(Settings(port=0, hosts=1, ping_interval=HOUR), clock=virtual_clock()) as lab:
        lab.node.foundation.image_sources.add([ImageSource("*", 4 * GIB, rate=GIB)])
        uuids = [one.uuid for one in await lab.node.storages.records.tracked()]
        async with Client(lab.node.url) as client:
            await client.log_in()
            image = {"name": "i", "url": "http://x", "format": "raw", "backupStorageUuids": uuids}
            await client.request("POST", "/images", {"params": image})
            await lab.clock.sleep(1)
            await lab.network["imagestore-1"].faults.apply(read_fault("blackhole", {}))  # its bits stay for a while
            while await client.query("/images"):
                await lab.clock.sleep(1)
            assert any("removal of what was added" in task.get_name() for task in asyncio.all_tasks())
    assert await no_more_tasks_than(before)
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []

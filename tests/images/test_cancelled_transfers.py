"""Transfers that are cut short, and removals that are: no bits are left for good, and none that a record names go."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from imagestore_sim.backup_storage.events import CAPACITY_CHANGED
from imagestore_sim.database.models import ImageGarbage
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from lifecycle_events import storage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=3600, clock="virtual"),
]
GIB = 2**30
BLOCK = 4096
HOST = "imagestore-1"
REGISTRY, EXPORT = "/Cloud_bs/registry", "/Cloud_bs/export"
DAY = 24 * 3600
End = Callable[[Lab, Client, str], Awaitable[None]]
"""Cuts the job with this uuid short."""

imagestore_lab, imagestore_client = reset_fixtures()


@pytest.fixture(autouse=True)
def source(imagestore_lab: Lab) -> None:
    """Add a source of images of 4 GiB that take four seconds."""
    imagestore_lab.node.foundation.image_sources.add([ImageSource("*", 40 * GIB, 4 * GIB, rate=GIB)])


async def _image(lab: Lab, **values: object) -> dict[str, Any]:
    given = {"name": "i", "url": "http://images/i", "format": "qcow2"}
    return given | {"backupStorageUuids": [(await storage(lab, HOST)).uuid]} | values


async def _add(lab: Lab, client: Client, **values: object) -> str:
    added = await client.call("POST", "/images", {"params": await _image(lab, **values)})
    return str(added["inventory"]["uuid"])


async def _long_job(client: Client, name: str, /, **values: object) -> str:
    params = {"jobName": f"API{name}Msg", "jobData": orjson.dumps(values).decode()}
    return str((await client.call("POST", "/longjobs", {"params": params}))["inventory"]["uuid"])


async def _expunge(client: Client, image: str) -> None:
    await client.call("DELETE", f"/images/{image}")
    await client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})


async def _notes(lab: Lab) -> list[str]:
    rows = await lab.node.parts.store.database.read(select(ImageGarbage.installPath))
    return [row.installPath for row in rows]


def _folders(hosts: HostNetwork) -> list[str]:
    disk = hosts[HOST].disk
    return disk.listdir(REGISTRY) if disk.exists(REGISTRY) else []


async def _cancel(_: Lab, client: Client, job: str) -> None:
    await client.call("PUT", f"/longjobs/{job}/actions", {"cancelLongJob": {}})


async def _restart(lab: Lab, *_: object) -> None:
    await lab.node.changes.restart()


async def _replace(lab: Lab, *_: object) -> None:
    records = await lab.node.changes.snapshot()
    await lab.node.changes.replace(records.model_copy(update={"images": ()}), wait=True)


@pytest.mark.parametrize("fault", [None, "read_only", "blackhole"])
@pytest.mark.parametrize("end", [_cancel, _restart, _replace])
async def test_an_add_that_is_cut_short_leaves_neither_bits_nor_their_note(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, end: End, fault: str | None
) -> None:
    host = imagestore_hosts[HOST]
    before = host.disk.available
    job = await _long_job(imagestore_client, "AddImage", **await _image(imagestore_lab))
    await imagestore_lab.clock.sleep(2)
    assert len(_folders(imagestore_hosts)) == 1
    broken = None if fault is None else await host.apply(read_fault(fault, {}))
    await end(imagestore_lab, imagestore_client, job)
    await imagestore_lab.clock.sleep(60)
    if broken is not None:
        await broken.heal()
        await imagestore_lab.clock.sleep(2 * 3600)  # image.deletion.gcInterval is one
    assert (_folders(imagestore_hosts), await _notes(imagestore_lab)) == ([], [])
    assert abs(before - host.disk.available) < 8 * BLOCK


async def test_records_that_are_put_back_over_an_add_keep_their_bits(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    image = await _add(imagestore_lab, imagestore_client)
    records = await imagestore_lab.node.changes.snapshot()
    await _expunge(imagestore_client, image)
    again = {"params": await _image(imagestore_lab, resourceUuid=image)}
    await imagestore_client.request("POST", "/images", again)
    await imagestore_lab.clock.sleep(2)
    await imagestore_lab.node.changes.replace(records, wait=True)
    await imagestore_lab.clock.sleep(DAY)
    await imagestore_client.log_in()
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Ready"]
    assert (_folders(imagestore_hosts), await _notes(imagestore_lab)) == ([image], [])


async def test_records_that_are_put_back_keep_bits_that_were_still_to_be_removed(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    image = await _add(imagestore_lab, imagestore_client)
    records = await imagestore_lab.node.changes.snapshot()
    kept = await imagestore_hosts[HOST].apply(read_fault("read_only", {}))
    await _expunge(imagestore_client, image)
    await imagestore_lab.node.changes.add(records)
    await kept.heal()
    await imagestore_lab.clock.sleep(DAY)
    assert (_folders(imagestore_hosts), await _notes(imagestore_lab)) == ([image], [])


async def test_what_an_interrupted_expunge_has_left_is_removed_later(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    image = await _add(imagestore_lab, imagestore_client)
    slow = await imagestore_hosts[HOST].apply(read_fault("latency", {"delay": "500ms"}))
    await imagestore_client.call("DELETE", f"/images/{image}")
    deletion = imagestore_lab.node.parts.services.image_deletion
    await deletion.expunge(image, None)
    collecting = asyncio.create_task(deletion.collect(image))
    await imagestore_lab.clock.sleep(1)
    collecting.cancel()
    await slow.heal()
    await imagestore_lab.clock.sleep(60)
    assert (_folders(imagestore_hosts), await _notes(imagestore_lab)) == ([], [])


async def test_an_export_that_is_cancelled_as_it_is_recorded_keeps_its_file(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await _add(imagestore_lab, imagestore_client)
    where = (await storage(imagestore_lab, HOST)).uuid
    parts = imagestore_lab.node.parts
    values = {"imageUuid": image, "backupStorageUuid": where}
    job = await _long_job(imagestore_client, "ExportImageFromBackupStorage", **values)

    forgets, forgotten = parts.images.garbage.forget, asyncio.Event()

    async def forget(*given: Any) -> bool:
        forgotten.set()
        return await forgets(*given)

    def cancel_once_recorded() -> None:
        if forgotten.is_set():
            forgotten.clear()
            parts.services.long_jobs.cancel(job)

    await imagestore_lab.clock.sleep(1)  # the note has been written
    monkeypatch.setattr(parts.images.garbage, "forget", forget)
    with parts.store.database.watching_commits(cancel_once_recorded):
        await imagestore_lab.clock.sleep(60)
    [found] = await imagestore_client.query(f"/images/{image}")
    there = imagestore_hosts[HOST].disk.listdir(EXPORT)
    assert [one.get("exportUrl", "").rpartition("/")[2] for one in found["backupStorageRefs"]] == there
    assert [one["state"] for one in await imagestore_client.query(f"/longjobs/{job}")] == ["Canceled"]


async def test_a_call_during_the_periodic_expunge_does_not_end_its_round(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    images = [await _add(imagestore_lab, imagestore_client) for _ in range(3)]
    for name, value in (("expungePeriod", "60"), ("expungeInterval", "3000")):
        path = f"/global-configurations/image/{name}/actions"
        await imagestore_client.call("PUT", path, {"updateGlobalConfig": {"value": value}})
    for image in images:
        await imagestore_client.call("DELETE", f"/images/{image}")
    await imagestore_lab.clock.sleep(2990)
    await imagestore_client.log_in()
    slow = await imagestore_hosts[HOST].apply(read_fault("latency", {"delay": "500ms"}))
    while len(left := await imagestore_client.query("/images")) == len(images):
        await imagestore_lab.clock.sleep(0.5)
    await slow.heal()
    await imagestore_client.call("PUT", f"/images/{left[0]['uuid']}/actions", {"recoverImage": {}})
    await imagestore_lab.clock.sleep(60)
    assert await imagestore_lab.node.problems() == []
    assert [one["uuid"] for one in await imagestore_client.query("/images")] == [left[0]["uuid"]]


async def test_an_image_that_comes_while_another_one_goes_is_measured_at_its_end(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    goes = await _add(imagestore_lab, imagestore_client)
    mode = "/global-configurations/backupStorage/ping.mode/actions"
    await imagestore_client.call("PUT", mode, {"updateGlobalConfig": {"value": "ssh"}})
    await imagestore_lab.node.storages.lifecycle.reconnect((await storage(imagestore_lab, HOST)).uuid)
    coming = asyncio.create_task(_add(imagestore_lab, imagestore_client))
    await imagestore_lab.clock.sleep(2)
    await _expunge(imagestore_client, goes)
    await coming
    await imagestore_lab.clock.sleep(1)
    assert (await storage(imagestore_lab, HOST)).available == imagestore_hosts[HOST].disk.available


async def test_space_that_a_cancelled_add_has_taken_is_given_back(imagestore_lab: Lab) -> None:
    parts = imagestore_lab.node.parts
    before = await storage(imagestore_lab, HOST)

    async def take() -> None:
        async with parts.images.space.promised(before, GIB):
            raise AssertionError("it is cancelled as its reserve is committed")

    taking, commits = asyncio.create_task(take()), itertools.count()

    def cancel_after_the_measurement() -> None:
        if next(commits) == 1:
            taking.cancel()

    with parts.store.database.watching_commits(cancel_after_the_measurement), pytest.raises(asyncio.CancelledError):
        await taking
    assert (await storage(imagestore_lab, HOST)).available == before.available
    told = [one for one in await parts.store.event_log.since(0, 10_000) if one.path == CAPACITY_CHANGED]
    assert [one.content["availableCapacity"] for one in told[-2:]] == [before.available - GIB, before.available]

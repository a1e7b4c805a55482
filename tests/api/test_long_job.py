"""Long jobs of AddImage (observed 14)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import Row

from fixed_data import B1, UNKNOWN
from imagestore_sim.api import long_job
from imagestore_sim.api.services import Services
from imagestore_sim.database.models import LongJob
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from rows import rows

IMAGE = {"name": "new", "url": "http://u:secret@x/new.qcow2", "format": "qcow2", "backupStorageUuids": [B1]}


async def submit(client: Client, values: object = IMAGE, **others: object) -> Json:
    data = values if isinstance(values, str) else json.dumps(values)
    job = {"jobName": "APIAddImageMsg", "jobData": data} | others
    inventory: Json = (await client.call("POST", "/longjobs", {"params": job}))["inventory"]
    return inventory


async def act(client: Client, job: str, action: str, **values: object) -> Json:
    return await client.call("PUT", f"/longjobs/{job}/actions", {action: values})


async def ended(client: Client, uuid: str) -> Json:
    async with asyncio.timeout(60):
        while True:
            [job] = await client.query(f"/longjobs/{uuid}")
            if job["state"] not in ("Running", "Canceling"):
                return job
            await asyncio.sleep(0.01)


async def test_an_image_is_added_by_a_long_job(fixed: Client) -> None:
    submitted = await submit(fixed, description="slow")
    assert (submitted["name"], submitted["state"]) == ("APIAddImageMsg", "Running")
    assert "lastOpDate" not in submitted
    job = await ended(fixed, submitted["uuid"])
    assert (job["state"], job["executeTime"]) == ("Succeeded", 1)
    [image] = await fixed.query(f"/images/{job['targetResourceUuid']}")
    result = json.loads(job["jobResult"])
    assert (result["success"], result["inventory"]["uuid"]) == (True, image["uuid"])
    assert "secret" not in job["jobData"]


async def test_a_long_job_that_fails_has_the_error_as_its_result(fixed: Client) -> None:
    first = await ended(fixed, (await submit(fixed, IMAGE | {"resourceUuid": UNKNOWN}))["uuid"])
    assert first["state"] == "Succeeded"
    rerun = (await act(fixed, first["uuid"], "rerunLongJob"))["inventory"]
    assert (rerun["state"], rerun.get("jobResult")) == ("Running", None)
    second = await ended(fixed, first["uuid"])
    assert second["state"] == "Failed"
    assert "ConstraintViolationException" in json.loads(second["jobResult"])["details"]
    assert len(await fixed.query("/images", "name=new")) == 1


@rows(
    ("data", "name", "code", "details"),
    [
        (IMAGE, "foo", "SYS.1007", "foo is not an API"),
        ("", "APIAddImageMsg", "SYS.1000", None),
        ("[]", "APIAddImageMsg", "SYS.1000", "BEGIN_ARRAY at line 1 column 2 path"),
        ("xx", "APIAddImageMsg", "SYS.1000", "Expected BEGIN_OBJECT but was STRING"),
        ({"name": "x"}, "APIAddImageMsg", "SYS.1007", "field[url]"),
        (IMAGE | {"backupStorageUuids": [UNKNOWN]}, "APIAddImageMsg", "SYS.1003", "type:BackupStorageVO] not found"),
        (IMAGE | {"url": "foo://x"}, "APIAddImageMsg", "SYS.1007", "url must starts with"),
        (IMAGE, "APICreateRootVolumeTemplateFromRootVolumeMsg", "SYS.1007", "field[rootVolumeUuid]"),
    ],
)
async def test_a_message_is_validated_when_it_is_submitted(
    fixed: Client, data: object, name: str, code: str, details: str | None
) -> None:
    with pytest.raises(CallFailed) as failed:
        await submit(fixed, data, jobName=name)
    assert failed.value.code == code
    assert (details or "") in str(failed.value.error.get("details", ""))
    assert await fixed.query("/longjobs") == []


async def test_a_job_that_has_ended_cannot_be_cancelled_resumed_or_cleaned(fixed: Client) -> None:
    job = await ended(fixed, (await submit(fixed))["uuid"])
    for action, code, details in (
        ("cancelLongJob", "SYS.1007", "cannot cancel longjob that is succeeded"),
        ("resumeLongJob", "SYS.1007", "can only resume longjob that is Suspended"),
        ("cleanLongJob", "LONG_JOB.1003", "not supported or state is not Canceling"),
    ):
        with pytest.raises(CallFailed) as failed:
            await act(fixed, job["uuid"], action)
        assert (failed.value.code, failed.value.error["details"]) == (code, details)


async def test_a_long_job_is_renamed_and_deleted(fixed: Client) -> None:
    job = await ended(fixed, (await submit(fixed))["uuid"])
    changed = (await act(fixed, job["uuid"], "updateLongJob", name="", description="d"))["inventory"]
    assert (changed["name"], changed["description"]) == ("", "d")
    for _ in range(2):
        assert await fixed.call("DELETE", f"/longjobs/{job['uuid']}") == {}
    assert await fixed.query("/longjobs") == []


async def test_a_job_that_a_restart_cuts_off_fails_and_a_cancelled_one_is_canceled(tmp_path: Path) -> None:
    settings = Settings(port=0, database=str(tmp_path / "node.db"))
    node = ManagementNode(settings)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        storage = {
            "name": "s",
            "url": "/s",
            "type": "SimulatorBackupStorage",
            "totalCapacity": 9,
            "availableCapacity": 9,
        }
        added = await client.call("POST", "/backup-storage/simulators", {"params": storage})
        image = IMAGE | {"backupStorageUuids": [added["inventory"]["uuid"]]}
        jobs = [await ended(client, (await submit(client, image))["uuid"]) for _ in range(2)]
    database = node.parts.store.database
    for job, state in zip(jobs, ("Running", "Canceling"), strict=True):
        async with database.transaction() as connection:
            await connection.exec_driver_sql(f"UPDATE LongJobVO SET state = '{state}' WHERE uuid = '{job['uuid']}'")
    await node.stop()
    node = ManagementNode(settings)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        states = [(await ended(client, job["uuid"]))["state"] for job in jobs]
    await node.stop()
    assert states == ["Failed", "Canceled"]


async def _submit_slow(client: Client) -> Json:
    sources = {"sources": [{"url": "*", "size": "1G", "actualSize": "1G", "rate": "1M"}]}
    await client.request("PUT", f"{client.url}/lab/v1/image-sources", sources)
    [storage, *_] = await client.query("/backup-storage")
    values = {"name": "slow", "url": "http://x/slow.qcow2", "format": "qcow2", "backupStorageUuids": [storage["uuid"]]}
    return await submit(client, values)


@pytest.mark.imagestore_lab(hosts=1, clock="virtual")
@pytest.mark.parametrize("is_run_again", [False, True])
async def test_what_a_node_still_does_for_a_job_that_another_one_has_ended_is_not_kept(
    imagestore_client: Client, imagestore_lab: Lab, is_run_again: bool
) -> None:
    """It stood still for so long that the other one took it for dead."""
    job = await _submit_slow(imagestore_client)
    runner = imagestore_lab.node.parts.services.long_jobs
    [task] = runner._running.values()
    changed = "apiId = 'another'" if is_run_again else "state = 'Failed', jobResult = '{}'"
    async with imagestore_lab.node.parts.store.database.transaction() as connection:
        await connection.exec_driver_sql(f"UPDATE LongJobVO SET {changed} WHERE uuid = '{job['uuid']}'")
    before = await imagestore_client.query(f"/longjobs/{job['uuid']}")
    await imagestore_lab.clock.sleep(2000)
    await asyncio.wait([task])
    assert await imagestore_client.query(f"/longjobs/{job['uuid']}") == before
    assert not runner._running


async def test_a_call_that_finds_a_job_moved_on_meanwhile_looks_at_it_again(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node may end a job between the read and the write of a call."""
    database = imagestore_lab.node.parts.store.database
    job = await _submit_slow(imagestore_client)
    read, reads = long_job._job, 0

    async def end() -> None:
        async with database.transaction() as connection:
            await connection.exec_driver_sql(f"UPDATE LongJobVO SET state = 'Succeeded' WHERE uuid = '{job['uuid']}'")

    async def read_and_end(services: Services, uuid: str) -> Row[tuple[LongJob]]:
        nonlocal reads
        reads += 1
        row = await read(services, uuid)
        if reads == 1:
            await asyncio.create_task(end())
        return row

    monkeypatch.setattr(long_job, "_job", read_and_end)
    with pytest.raises(CallFailed, match="cannot cancel longjob that is succeeded"):
        await act(imagestore_client, job["uuid"], "cancelLongJob")
    assert reads == 2


async def test_a_replacement_of_all_records_cuts_off_the_jobs_before_it_alone(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    client, runner = imagestore_client, imagestore_lab.node.parts.services.long_jobs
    job = await _submit_slow(client)
    await runner.cut_off()
    assert (await client.query(f"/longjobs/{job['uuid']}"))[0]["state"] == "Running"
    assert runner._running.keys() == {job["uuid"]}
    snapshot = await client.request("GET", f"{client.url}/lab/v1/snapshot")
    replaced = await client.request("PUT", f"{client.url}/lab/v1/snapshot", data=snapshot.text.encode())
    assert replaced.status == 200, replaced.text
    assert not runner._running

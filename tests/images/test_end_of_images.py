"""How images end by themselves: expunged some time after their deletion, or given up without their upload."""

from __future__ import annotations

import json

import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import Json

pytestmark = [pytest.mark.thorough, pytest.mark.imagestore_lab(hosts=0, clock="virtual")]


async def storage(client: Client) -> str:
    values = {
        "name": "s",
        "url": "/s",
        "type": "SimulatorBackupStorage",
        "totalCapacity": 999,
        "availableCapacity": 999,
    }
    added = await client.call("POST", "/backup-storage/simulators", {"params": values})
    return str(added["inventory"]["uuid"])


async def add(client: Client, url: str = "http://x/i.qcow2", **values: object) -> Json:
    image = {"name": "i", "url": url, "format": "qcow2", "backupStorageUuids": [await storage(client)]} | values
    added: Json = (await client.call("POST", "/images", {"params": image}))["inventory"]
    return added


async def configure(client: Client, **values: str) -> None:
    for name, value in values.items():
        path = f"/global-configurations/image/{name}/actions"
        await client.call("PUT", path, {"updateGlobalConfig": {"value": value}})


@pytest.mark.parametrize(("policy", "left"), [("Delay", 0), ("Never", 1)])
async def test_a_deleted_image_is_expunged_after_its_period(
    imagestore_lab: Lab, imagestore_client: Client, policy: str, left: int
) -> None:
    client = imagestore_client
    await configure(client, deletionPolicy=policy, expungeInterval="60", expungePeriod="100")
    image = await add(client)
    await client.call("DELETE", f"/images/{image['uuid']}")
    await imagestore_lab.clock.sleep(90)
    [deleted] = await client.query("/images")
    assert (deleted["status"], deleted["backupStorageRefs"][0]["status"]) == ("Deleted", "Deleted")
    await imagestore_lab.clock.sleep(60)
    assert len(await client.query("/images")) == left


async def test_an_upload_that_nobody_makes_is_given_up_with_its_long_job(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    client = imagestore_client
    data = {"name": "i", "url": "upload://i", "format": "qcow2", "backupStorageUuids": [await storage(client)]}
    params = {"jobName": "APIAddImageMsg", "jobData": json.dumps(data)}
    job = (await client.call("POST", "/longjobs", {"params": params}))["inventory"]["uuid"]
    await imagestore_lab.clock.sleep(3)
    assert [image["status"] for image in await client.query("/images")] == ["Downloading"]
    assert (await client.query(f"/longjobs/{job}"))[0]["state"] == "Running"
    await imagestore_lab.clock.sleep(4)
    assert await client.query("/images") == []
    assert (await client.query(f"/longjobs/{job}"))[0]["state"] == "Failed"


async def test_a_cancelled_upload_waits_to_be_cleaned(imagestore_lab: Lab, imagestore_client: Client) -> None:
    client = imagestore_client
    data = {"name": "i", "url": "upload://i", "format": "qcow2", "backupStorageUuids": [await storage(client)]}
    params = {"jobName": "APIAddImageMsg", "jobData": json.dumps(data)}
    job = (await client.call("POST", "/longjobs", {"params": params}))["inventory"]["uuid"]
    for action, state in (("cancelLongJob", "Canceling"), ("cleanLongJob", "Canceled")):
        await client.call("PUT", f"/longjobs/{job}/actions", {action: {}})
        await imagestore_lab.clock.sleep(10)
        assert (await client.query(f"/longjobs/{job}"))[0]["state"] == state
    assert await client.query("/images") == []


@pytest.mark.parametrize(
    ("architecture", "given", "tags"),
    [
        ("aarch64", [], ["bootMode::UEFI"]),
        ("aarch64", ["bootMode::Legacy"], ["bootMode::Legacy"]),
        ("x86_64", [], []),
    ],
)
async def test_an_image_for_aarch64_boots_by_uefi(
    imagestore_client: Client, architecture: str, given: list[str], tags: list[str]
) -> None:
    client = imagestore_client
    image = {"name": "i", "url": "http://x/i", "format": "qcow2", "backupStorageUuids": [await storage(client)]}
    body = {"params": image | {"architecture": architecture}, "systemTags": given}
    added = (await client.call("POST", "/images", body))["inventory"]["uuid"]
    assert [tag["tag"] for tag in await client.query("/system-tags", f"resourceUuid={added}")] == tags

"""Uuids that clients choose: unique over the resources of all types (recorded call 10774)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagestore_sim.database.resource_uuids import RESOURCES
from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, clock="virtual"),
]
TAKEN, FREE = "0a1b2c3d4e5f4a1b8c2d0123456789ab", "1a1b2c3d4e5f4a1b8c2d0123456789ab"
POLICY = [{"name": "s", "effect": "Allow", "actions": ["a:b"]}]
STORAGE = {"name": "n", "url": "/s"}
HOST = {**STORAGE, "hostname": "imagestore-9", "username": "root", "password": "password"}
CREATES: dict[str, tuple[str, dict[str, Any]]] = {
    "ZoneVO": ("/zones", {"name": "n"}),
    "ImageStoreBackupStorageVO": ("/backup-storage/image-store", HOST),
    "SftpBackupStorageVO": ("/backup-storage/sftp", HOST),
    "BackupStorageVO": ("/backup-storage/simulators", STORAGE),
    "ImageVO": ("/images", {"name": "n", "url": "http://x/i", "format": "raw"}),
    "AccountVO": ("/accounts", {"name": "n", "password": "p" * 128}),
    "UserVO": ("/accounts/users", {"name": "n", "password": "p" * 128}),
    "UserGroupVO": ("/accounts/groups", {"name": "n"}),
    "PolicyVO": ("/accounts/policies", {"name": "n", "statements": POLICY}),
    "RoleVO": ("/identities/roles", {"name": "n"}),
    "TagPatternVO": ("/tags", {"name": "n", "value": "n", "color": "#123456", "type": "simple"}),
    "AccessKeyVO": ("/accesskeys", {}),
    "WebhookVO": ("/web-hooks", {"name": "n", "url": "http://127.0.0.1:9/", "type": "t"}),
    "LongJobVO": ("/longjobs", {"jobName": "APIAddImageMsg"}),
}

imagestore_lab, imagestore_client = reset_fixtures()


async def _params(client: Client, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    [storage] = await client.query("/backup-storage")
    if kind == "ImageVO":
        return {**values, "backupStorageUuids": [storage["uuid"]]}
    if kind == "LongJobVO":
        image = {**CREATES["ImageVO"][1], "backupStorageUuids": [storage["uuid"]]}
        return {**values, "jobData": json.dumps(image)}
    if kind == "AccessKeyVO":
        [account] = await client.query("/accounts", "name=admin")
        return {"accountUuid": account["uuid"], "userUuid": account["uuid"]}
    return values


@pytest.mark.parametrize("kind", CREATES)
async def test_a_uuid_of_a_resource_is_refused_for_one_of_another_type(imagestore_client: Client, kind: str) -> None:
    path, values = CREATES[kind]
    taken = "/zones" if kind != "ZoneVO" else "/accounts/groups"
    await imagestore_client.call("POST", taken, {"params": {"name": "first", "resourceUuid": TAKEN}})
    params = await _params(imagestore_client, kind, values)
    with pytest.raises(CallFailed) as failed:
        await imagestore_client.call("POST", path, {"params": {**params, "resourceUuid": TAKEN}})
    assert (failed.value.error["code"], str(failed.value.error["details"]).rpartition(", ")[2]) == (
        "SYS.1000",
        "org.hibernate.exception.ConstraintViolationException: could not execute statement",
    )
    await imagestore_client.call("POST", path, {"params": {**params, "resourceUuid": FREE}})


async def test_each_type_of_resource_is_tried() -> None:
    assert {model.__tablename__ for model in RESOURCES} <= {*CREATES}

"""Resources that another call deletes while a call that names them is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from imagestore_sim.rest import dispatch
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.parameters import Api
from imagestore_sim.rest.validation import FindMissing, validate
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from rows import rows

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=0, ping_interval=3600, clock="virtual"),
]
GONE = "d" * 12 + "4ddd8ddddddddddddddd"
LONG_JOB = f"/longjobs/{GONE}/actions"
QUOTA = {"setImageStoreBackupStorageQuota": {"uuids": [GONE], "maxCapacity": 1}}
MIGRATION = {"backupStorageMigrateImage": {"srcBackupStorageUuid": GONE, "dstBackupStorageUuid": "e" + GONE[1:]}}


imagestore_lab, imagestore_client = reset_fixtures()


@pytest.fixture(autouse=True)
def everything_is_there_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rules of parameters find each resource, which is gone when the call goes on."""

    async def none(resource: str, uuids: Sequence[str]) -> Sequence[str]:
        return []

    async def validate_before(api: Api, values: Values, missing: FindMissing, *others: object) -> None:
        await partial(validate, api, values, none)(*others)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatch, "validate", validate_before)


@rows(
    ("method", "path", "body", "field", "resource"),
    [
        ("PUT", f"/images/{GONE}/actions", {"recoverImage": {}}, "imageUuid", "ImageVO"),
        ("PUT", LONG_JOB, {"cancelLongJob": {}}, "uuid", "LongJobVO"),
        ("PUT", LONG_JOB, {"resumeLongJob": {}}, "uuid", "LongJobVO"),
        ("PUT", LONG_JOB, {"rerunLongJob": {}}, "uuid", "LongJobVO"),
        ("POST", f"/accounts/groups/{GONE}/users", {"params": {"userUuid": GONE}}, "userUuid", "UserVO"),
        ("PUT", f"/backup-storage/images/{GONE}/actions", MIGRATION, "srcBackupStorageUuid", "BackupStorageVO"),
        ("PUT", "/backup-storage/image-store/actions", QUOTA, "uuids", "ImageStoreBackupStorageVO"),
    ],
)
async def test_a_call_whose_resource_is_deleted_meanwhile_says_that_it_is_not_there(
    imagestore_client: Client, method: str, path: str, body: object, field: str, resource: str
) -> None:
    answer = await imagestore_client.request(method, path, body)
    error = (await imagestore_client.follow(answer.body["location"])).body["error"]
    wanted = f"invalid field[{field}], resource[uuid:{GONE}, type:{resource}] not found"
    assert (error["code"], error["details"]) == ("SYS.1003", wanted)


async def test_a_long_job_that_another_call_deletes_meanwhile_is_deleted(imagestore_client: Client) -> None:
    await imagestore_client.call("DELETE", f"/longjobs/{GONE}?deleteMode=Permissive")

"""The quota `image.size`: what counts, and when it is checked (domain 8; observed 20)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from other_accounts import client_of, new_account

pytestmark = [
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]
GIB = 2**30


async def refusal(client: Client, method: str, path: str, body: dict[str, Any]) -> tuple[str | None, str]:
    with pytest.raises(CallFailed) as failed:
        await client.call(method, path, body)
    return failed.value.code, str(failed.value.error["details"])


async def test_an_account_has_no_more_bytes_of_images_than_its_quota(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    imagestore_lab.node.foundation.image_sources.add([ImageSource("*", 8 * GIB, 4 * GIB, rate=GIB)])
    [storage] = [one.uuid for one in await imagestore_lab.node.storages.records.tracked()]
    account = await new_account(imagestore_client, "ann")

    async def limit(value: int) -> None:
        quota = {"identityUuid": account, "name": "image.size", "value": value}
        await imagestore_client.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})

    def add(url: str) -> dict[str, Any]:
        return {"params": {"name": "i", "url": url, "format": "qcow2", "backupStorageUuids": [storage]}}

    def exceeded(value: int, used: int, request: int) -> tuple[str, str]:
        owner = f"The resource owner(or target resource owner) account[uuid: {account} name: ann]"
        quota = f"quota[name: image.size, value: {value}], Current used:{used}, Request:{request}"
        return "ID.1003", f"quota exceeding.{owner} exceeds a {quota}. Please contact the administrator."

    async with client_of(imagestore_client, "ann") as ann:
        await limit(4 * GIB - 1)
        assert await refusal(ann, "POST", "/images", add("http://x")) == exceeded(4 * GIB - 1, 0, 4 * GIB)
        await limit(8 * GIB - 1)
        image = (await ann.call("POST", "/images", add("http://x")))["inventory"]["uuid"]
        usages = (await ann.call("GET", f"/accounts/quota/{account}/usages"))["usages"]
        assert {"name": "image.size", "total": 8 * GIB - 1, "used": 4 * GIB} in usages
        refused = exceeded(8 * GIB - 1, 4 * GIB, 4 * GIB)
        assert await refusal(ann, "POST", "/images", add("https://x")) == refused
        assert await refusal(ann, "POST", "/images", add("file:///x")) == refused
        job = {"params": {"jobName": "APIAddImageMsg", "jobData": orjson.dumps(add("http://x")["params"]).decode()}}
        assert await refusal(ann, "POST", "/longjobs", job) == refused
        await ann.call("DELETE", f"/images/{image}")
        recover: dict[str, Any] = {
            "recoverImage": {}
        }  # it asks for the size of the disk, beside that of the deleted file
        assert await refusal(ann, "PUT", f"/images/{image}/actions", recover) == exceeded(8 * GIB - 1, 4 * GIB, 8 * GIB)
        await limit(12 * GIB)
        assert (await ann.call("PUT", f"/images/{image}/actions", recover))["inventory"]["status"] == "Ready"
        given = (await imagestore_client.call("POST", "/images", add("http://x")))["inventory"]["uuid"]
        await limit(12 * GIB - 1)
        body = {"params": {"resourceUuid": given}}
        code, text = await refusal(imagestore_client, "POST", f"/account/{account}/resources", body)
        assert (code, exceeded(12 * GIB - 1, 4 * GIB, 8 * GIB)[1] in text) == ("SYS.1000", True)


async def test_a_size_that_zstack_does_not_ask_for_is_not_checked(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    imagestore_lab.node.foundation.image_sources.add([ImageSource("*", 8 * GIB, 4 * GIB, rate=GIB)])
    [storage] = [one.uuid for one in await imagestore_lab.node.storages.records.tracked()]
    account = await new_account(imagestore_client, "ann")
    quota = {"identityUuid": account, "name": "image.size", "value": 1}
    await imagestore_client.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
    async with client_of(imagestore_client, "ann") as ann:
        body = {"name": "i", "url": "ftp://x", "format": "qcow2", "backupStorageUuids": [storage]}
        assert (await ann.call("POST", "/images", {"params": body}))["inventory"]["actualSize"] == 4 * GIB

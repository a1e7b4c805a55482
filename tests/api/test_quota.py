"""Quotas: defaults, changes, use, and what exceeds them (observed 7, 20)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from fixed_data import B1, I1, Z1
from image_web_server import web_server
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from other_accounts import ADD, ADMIN, client_of, new_account

SHARING = "/accounts/resources/actions"


async def test_a_new_account_has_the_quotas_of_the_options(fixed: Client) -> None:
    option = "/global-configurations/quota/image.num/actions"
    await fixed.call("PUT", option, {"updateGlobalConfig": {"value": "7"}})
    account = await new_account(fixed, "ann")
    quotas = {one["name"]: one["value"] for one in await fixed.query("/accounts/quotas", f"identityUuid={account}")}
    assert (len(quotas), quotas["image.num"], quotas["image.size"]) == (18, 7, 10995116277760)
    assert await fixed.query("/accounts/quotas", f"identityUuid={ADMIN}") == []


async def test_an_account_sees_its_quotas_and_the_use_of_all(fixed: Client) -> None:
    accounts = [await new_account(fixed, name) for name in ("ann", "bob")]
    async with client_of(fixed, "ann") as ann:
        await ann.call("POST", "/images", {"params": ADD})
        assert {one["identityUuid"] for one in await ann.query("/accounts/quotas")} == {accounts[0]}
        used = []
        for account in (*accounts, ADMIN):
            usages = (await ann.call("GET", f"/accounts/quota/{account}/usages"))["usages"]
            used.append(next((one["total"], one["used"]) for one in usages if one["name"] == "image.num"))
        assert used == [(20, 1), (20, 0), (0, len(await fixed.query("/images")) - 1)]


async def test_a_quota_is_no_less_than_what_is_used(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        await ann.call("POST", "/images", {"params": ADD})

    async def change(name: str, value: object, uuid: str = account) -> int:
        quota = {"identityUuid": uuid, "name": name, "value": value}
        changed = await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
        return int(changed["inventory"]["value"])

    assert await change("image.num", 1) == 1
    with pytest.raises(CallFailed) as failed:
        await change("image.num", 0)
    cause = failed.value.error["cause"]
    assert f"account[uuid:{account}] used [name:image.num, usedValue:1] exceeds request quota: 0" in str(cause)
    for uuid, name in ((account, "foo"), (ADMIN, "image.num")):
        with pytest.raises(CallFailed, match=r"cannot find Quota\[name: "):
            await change(name, 1, uuid)
    with pytest.raises(CallFailed, match="must be in range of"):
        await change("image.num", -1)


async def test_a_resource_of_admin_is_given_away_within_the_quota(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    path = f"/account/{account}/resources"
    given = (await fixed.call("POST", path, {"params": {"resourceUuid": I1}}))["inventory"]
    assert (given["accountUuid"], given["resourceType"]) == (account, "ImageVO")
    with pytest.raises(CallFailed) as failed:
        await fixed.call("POST", path, {"params": {"resourceUuid": I1}})
    assert failed.value.code == "ID.1004"
    for resource in (Z1, B1):
        with pytest.raises(CallFailed) as failed:
            await fixed.call("POST", path, {"params": {"resourceUuid": resource}})
        assert failed.value.code == "SYS.1000"
    quota = {"identityUuid": account, "name": "image.num", "value": 1}
    await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
    other = (await fixed.call("POST", "/images", {"params": ADD}))["inventory"]["uuid"]
    with pytest.raises(CallFailed, match=r"exceeds a quota\[name: image.num, value: 1\], Current used:1, Request:1"):
        await fixed.call("POST", path, {"params": {"resourceUuid": other}})
    assert (await fixed.call("POST", f"/account/{ADMIN}/resources", {"params": {"resourceUuid": I1}}))["inventory"]


async def test_an_image_too_many_is_refused(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    quota = {"identityUuid": account, "name": "image.num", "value": 1}
    await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
    async with client_of(fixed, "ann") as ann:
        adds = [ann.call("POST", "/images", {"params": ADD}) for _ in range(3)]
        refused = [one for one in await asyncio.gather(*adds, return_exceptions=True) if isinstance(one, CallFailed)]
        assert [one.code for one in refused] == ["ID.1003"] * 2
        assert f"account[uuid: {account} name: ann] exceeds a quota[name: image.num, value: 1]" in str(refused[0])
        assert len(await ann.query("/images")) == 1
    assert (await fixed.call("POST", "/images", {"params": ADD}))["inventory"]  # admin has no quota


async def test_an_account_sees_what_is_shared_with_it_or_with_all(fixed: Client) -> None:
    accounts = [await new_account(fixed, name) for name in ("ann", "bob")]
    exits = AsyncExitStack()
    clients = [await exits.enter_async_context(client_of(fixed, name)) for name in ("ann", "bob")]

    async def seen() -> list[int]:
        return [len(await client.query("/images", f"uuid={I1}")) for client in clients]

    async def change(action: str, **values: object) -> None:
        assert await fixed.call("PUT", SHARING, {action: {"resourceUuids": [I1], **values}}) == {}

    assert await seen() == [0, 0]
    await change("shareResource", accountUuids=accounts[:1])
    await change("shareResource", accountUuids=accounts[:1])
    assert (await seen(), len(await fixed.query("/accounts/resources"))) == ([1, 0], 1)
    await change("shareResource", toPublic=True)
    assert await seen() == [1, 1]
    await change("revokeResourceSharing", accountUuids=accounts)
    assert await seen() == [1, 1]
    await change("revokeResourceSharing", all=True)
    assert await seen() == [0, 0]
    for action in ("shareResource", "revokeResourceSharing"):
        with pytest.raises(CallFailed, match="accountUuids cannot be null or empty"):
            await change(action)
    with pytest.raises(CallFailed, match="doesnt have a resource"):
        await fixed.call("PUT", SHARING, {"shareResource": {"resourceUuids": [Z1], "toPublic": True}})
    await exits.aclose()


async def test_names_and_owners_are_told_of_hidden_resources_too(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        uuids = [("uuids", one) for one in (I1, Z1, account, "0" * 32)]
        named = (await ann.call("GET", "/resources/names", query=uuids))["inventories"]
        assert {one["uuid"]: one["resourceType"] for one in named} == {
            I1: "ImageVO",
            Z1: "ZoneVO",
            account: "AccountVO",
        }
        owners = await ann.call("GET", "/resources/accounts", query=[("resourceUuids", I1), ("resourceUuids", Z1)])
        assert {one["name"] for one in owners["inventories"].values()} == {"admin"}
        with pytest.raises(CallFailed) as failed:
            await ann.call("GET", "/accounts/resource/api-permissions", query=[("resourceType", "ImageVO")])
        assert failed.value.code == "ID.1002"


async def test_a_strict_node_asks_web_servers_what_images_of_accounts_weigh() -> None:
    async with Lab(Settings(port=0, hosts=0, strict=True)) as lab, web_server(500) as url, Client(lab.url) as admin:
        await admin.log_in()
        values: Json = {"name": "b", "url": "/b", "type": "SimulatorBackupStorage"}
        values |= {"totalCapacity": 1000, "availableCapacity": 1000}
        storage = await admin.call("POST", "/backup-storage/simulators", {"params": values})
        add = {**ADD, "backupStorageUuids": [storage["inventory"]["uuid"]]}
        account = await new_account(admin, "ann")
        quota = {"identityUuid": account, "name": "image.size", "value": 500}
        await admin.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
        refused = "http://127.0.0.1:1/i"
        connect = "Connect to 127.0.0.1:1 [/127.0.0.1] failed: Connection refused"
        exceeded = "exceeds a quota[name: image.size, value: 500], Current used:100, Request:500"
        async with client_of(admin, "ann") as ann:
            for told, client, expected in (
                (refused, ann, f'I/O error on HEAD request for "{refused}": {connect}; nested exception is org.apache'),
                ("http://no.such.host.invalid/i", ann, "no.such.host.invalid: Name or service not known; nested"),
                (f"{url}/none", ann, "404 Not Found: [no body]"),
                (f"{url}/image", ann, ""),
                (f"{url}/image", ann, exceeded),
                (refused, admin, ""),
                ("ftp://127.0.0.1/i", ann, ""),
            ):
                try:
                    await client.call("POST", "/images", {"params": {**add, "url": told}})
                    found = ""
                except CallFailed as failed:
                    found = str(failed.error["details"])
                assert (expected in found, bool(expected)) == (True, bool(found)), (told, found)


async def test_an_image_is_recovered_within_the_quota(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    given = await fixed.call("POST", f"/account/{account}/resources", {"params": {"resourceUuid": I1}})
    assert given["inventory"]["accountUuid"] == account
    [size] = [one["size"] for one in await fixed.query(f"/images/{I1}")]
    recover: Json = {"recoverImage": {"backupStorageUuids": []}}
    async with client_of(fixed, "ann") as ann:
        await ann.call("DELETE", f"/images/{I1}")
        quota = {"identityUuid": account, "name": "image.size", "value": size}
        await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
        with pytest.raises(CallFailed, match=r"exceeds a quota\[name: image.size"):
            await ann.call("PUT", f"/images/{I1}/actions", recover)
        quota["value"] = 2 * size
        await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
        assert (await ann.call("PUT", f"/images/{I1}/actions", recover))["inventory"]["status"] == "Ready"


async def test_a_lenient_node_asks_no_web_server(fixed: Client) -> None:
    await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        added = await ann.call("POST", "/images", {"params": {**ADD, "url": "http://127.0.0.1:1/i"}})
    assert added["inventory"]["status"] == "Ready"
